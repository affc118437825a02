// GET /: the page, one file that asks nothing of any other place.
#include <string>

#include "serve/assets.h"
#include "serve/random.h"
#include "serve/tasks.h"

namespace sam2unet::serve {
namespace {

constexpr std::string_view kNonceMark = "@NONCE@";

Response page() {
  const std::string nonce = random_hex(16);
  std::string text(page_html());
  for (auto at = text.find(kNonceMark); at != std::string::npos; at = text.find(kNonceMark, at))
    text.replace(at, kNonceMark.size(), nonce);
  Response r = text_response(200, "text/html; charset=utf-8", std::move(text));
  r.headers.add("Content-Security-Policy",
                "default-src 'none'; script-src 'nonce-" + nonce + "'; style-src 'nonce-" + nonce +
                    "'; img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
                    "frame-ancestors 'none'");
  r.headers.add("Permissions-Policy", "camera=(self), microphone=(), geolocation=()");
  return r;
}

}  // namespace

void add_page_routes(Router& router, const Context& context) {
  (void)context;  // all it shows it asks for
  router.add({Method::get, "/", Access::open, ErrorStyle::error,
              [](const SharedExchange& e) { e->answer(page()); }});
}

}  // namespace sam2unet::serve
