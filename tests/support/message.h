// What an exception says.
#pragma once

#include <string>
#include <utility>

#include "sam2unet/errors.h"

namespace sam2unet::test {

/// The message of the exception of type E that `f` throws; "" if it throws none.
template <typename E = Error, typename F>
std::string message_of(F&& f) {
  try {
    std::forward<F>(f)();
  } catch (const E& e) {
    return e.what();
  }
  return "";
}

}  // namespace sam2unet::test
