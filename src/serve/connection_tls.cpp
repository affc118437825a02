// TLS connections, where OpenSSL is part of the build.
#include <fmt/format.h>

#include <utility>

#include "sam2unet/errors.h"
#include "serve/connection_base.h"

#if defined(SAM2UNET_TLS)
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>

#include "serve/connection.h"
#endif

namespace sam2unet::serve {

#if defined(SAM2UNET_TLS)

using TlsStream = asio::ssl::stream<Socket>;

template <>
struct StreamEnds<TlsStream> {
  static Socket& socket(TlsStream& s) { return s.next_layer(); }
  template <class Then>
  static void begin(TlsStream& s, Then&& then) {
    s.async_handshake(asio::ssl::stream_base::server, std::forward<Then>(then));
  }
  template <class Then>
  static void end(TlsStream& s, Then&& then) {
    s.async_shutdown(std::forward<Then>(then));
  }
};

namespace {

class OpenSslContext final : public TlsContext {
 public:
  explicit OpenSslContext(const Tls& files) : context_(asio::ssl::context::tls_server) {
    using Context = asio::ssl::context;
    context_.set_options(Context::default_workarounds | Context::no_sslv2 | Context::no_sslv3 |
                         Context::no_tlsv1 | Context::no_tlsv1_1);
    beast::error_code ec;
    context_.use_certificate_chain_file(files.certificate.string(), ec);
    if (ec)
      throw FileError(fmt::format("{}: no certificate can be read from it: {}", files.certificate.string(),
                                  ec.message()));
    context_.use_private_key_file(files.key.string(), Context::pem, ec);
    if (ec)
      throw FileError(fmt::format("{}: no key of that certificate can be read from it: {}",
                                  files.key.string(), ec.message()));
  }
  std::shared_ptr<ConnectionBase> make_connection(Socket socket, Hub& hub, std::string peer) override {
    return std::make_shared<Connection<TlsStream>>(TlsStream(std::move(socket), context_), hub,
                                                   std::move(peer));
  }

 private:
  asio::ssl::context context_;
};

}  // namespace

std::unique_ptr<TlsContext> make_tls_context(const Tls& files) {
  return std::make_unique<OpenSslContext>(files);
}

#else

std::unique_ptr<TlsContext> make_tls_context(const Tls& files) {
  throw UnavailableError(fmt::format("{}: this program was built without OpenSSL; put a proxy in front of it",
                                     files.certificate.string()));
}

#endif

}  // namespace sam2unet::serve
