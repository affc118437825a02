// A body that grows as its bytes arrive, within limits. Included where Beast is.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/optional.hpp>
#include <cstddef>
#include <cstdint>

#include "serve/budget.h"
#include "serve/http.h"

namespace sam2unet::serve {

/// Beast's concept of a body that is read.
struct UploadBody {
  struct value_type {
    Bytes bytes;
    Budget::Lease* lease = nullptr;  ///< of the exchange
    std::size_t limit = 0;
    enum class Full { no, upload, budget } full = Full::no;
  };

  class reader {
   public:
    template <bool isRequest, class Fields>
    reader(boost::beast::http::header<isRequest, Fields>&, value_type& body) : body_(body) {}

    // What a client announces is reserved as addresses only; memory comes with the bytes.
    void init(const boost::optional<std::uint64_t>& length, boost::beast::error_code& ec) {
      ec = {};
      if (length && *length <= body_.limit) body_.bytes.reserve(static_cast<std::size_t>(*length));
    }
    template <class Buffers>
    std::size_t put(const Buffers& buffers, boost::beast::error_code& ec) {
      ec = {};
      const std::size_t n = boost::asio::buffer_size(buffers);
      if (n > body_.limit || body_.bytes.size() > body_.limit - n)
        body_.full = value_type::Full::upload;
      else if (body_.lease == nullptr || !body_.lease->grow(n))
        body_.full = value_type::Full::budget;
      if (body_.full != value_type::Full::no) {
        ec = boost::beast::http::error::body_limit;
        return 0;
      }
      const std::size_t used = body_.bytes.size();
      body_.bytes.resize(used + n);
      boost::asio::buffer_copy(boost::asio::buffer(body_.bytes.data() + used, n), buffers);
      return n;
    }
    void finish(boost::beast::error_code& ec) { ec = {}; }

   private:
    value_type& body_;
  };
};

}  // namespace sam2unet::serve
