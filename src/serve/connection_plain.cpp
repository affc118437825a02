#include <utility>

#include "serve/connection.h"

namespace sam2unet::serve {

template <>
struct StreamEnds<Socket> {
  static Socket& socket(Socket& s) { return s; }
  template <class Then>
  static void begin(Socket&, Then&& then) {
    then(beast::error_code());
  }
  template <class Then>
  static void end(Socket& s, Then&& then) {
    beast::error_code ec;
    s.shutdown(Socket::shutdown_send, ec);
    then(ec);
  }
};

std::shared_ptr<ConnectionBase> make_plain_connection(Socket socket, Hub& hub, std::string peer) {
  return std::make_shared<Connection<Socket>>(std::move(socket), hub, std::move(peer));
}

std::string sane_request_id(std::string_view given) {
  constexpr std::size_t kLongest = 64, kBytes = 8;
  constexpr std::string_view kAllowed = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-";
  const bool sane = !given.empty() && given.size() <= kLongest &&
                    given.find_first_not_of(kAllowed) == std::string_view::npos;
  return sane ? std::string(given) : random_hex(kBytes);
}

Method parse_method(std::string_view word) {
  if (word == "GET") return Method::get;
  if (word == "HEAD") return Method::head;
  if (word == "POST") return Method::post;
  if (word == "OPTIONS") return Method::options;
  return Method::other;
}

}  // namespace sam2unet::serve
