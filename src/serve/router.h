// Which code answers which path.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/exchange.h"

namespace sam2unet::serve {

enum class Access { open, token };
/// Whose way of telling an error: {"error": ...} or {"detail": ...}.
enum class ErrorStyle { error, detail };
/// A request with a body is handled in the working thread, any other at once by the connections' thread.
using Handler = std::function<void(const SharedExchange&)>;

struct Route {
  Method method = Method::get;
  std::string pattern;  ///< "/v2/models/{}/infer": braces stand for one segment
  Access access = Access::token;
  ErrorStyle style = ErrorStyle::error;
  Handler handler;
};

struct Match {
  const Route* route = nullptr;  ///< nullptr: 404, or 405 where `allowed` says something
  std::vector<std::string> values;
  std::string allowed;  ///< "GET, HEAD"
};

class Router {
 public:
  void add(Route route) { routes_.push_back(std::move(route)); }
  /// HEAD is answered by GET's route.
  Match find(Method method, std::string_view path) const;

 private:
  std::vector<Route> routes_;
};

}  // namespace sam2unet::serve
