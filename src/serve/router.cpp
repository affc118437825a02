#include "serve/router.h"

#include <algorithm>

namespace sam2unet::serve {
namespace {

std::string_view take_segment(std::string_view& path) {
  path.remove_prefix(1);  // the slash
  const std::string_view out = path.substr(0, path.find('/'));
  path.remove_prefix(out.size());
  return out;
}

std::optional<std::vector<std::string>> match(std::string_view pattern, std::string_view path) {
  std::vector<std::string> values;
  while (!pattern.empty() && !path.empty()) {
    const std::string_view want = take_segment(pattern), have = take_segment(path);
    if (want == "{}") {
      if (have.empty()) return std::nullopt;
      values.emplace_back(have);
    } else if (want != have) {
      return std::nullopt;
    }
  }
  if (!pattern.empty() || !path.empty()) return std::nullopt;
  return values;
}

const char* allowed(Method method) {
  return method == Method::get ? "GET, HEAD" : "POST";
}

}  // namespace

Match Router::find(Method method, std::string_view path) const {
  const Method wanted = method == Method::head ? Method::get : method;
  Match out;
  for (const Route& route : routes_) {
    auto values = match(route.pattern, path);
    if (!values) continue;
    if (route.method == wanted) return {&route, std::move(*values), {}};
    out.allowed += (out.allowed.empty() ? "" : ", ") + std::string(allowed(route.method));
  }
  return out;
}

}  // namespace sam2unet::serve
