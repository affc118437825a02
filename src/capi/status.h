// The status objects of the C API, and the one way in which its functions are written.
#pragma once

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "sam2unet/errors.h"
#include "sam2unet/s2u_base.h"

struct s2u_status {
  s2u_code code;
  std::string text;
};

namespace sam2unet::capi {

/// The status of the exception in flight. Never throws; a status that cannot be allocated is a constant one.
s2u_status* status_of_current_exception() noexcept;

/// Runs `body`, and turns what it throws into a status. Nothing passes through.
template <typename Body>
s2u_status* guarded(const Body& body) noexcept {
  try {
    body();
    return nullptr;
  } catch (...) {
    return status_of_current_exception();
  }
}

/// UsageError unless the pointer is there; `what` names the argument.
void need(const void* pointer, const char* what);

/// Whether this process is a child of fork(): it has one thread, and starts no others.
bool forked();

}  // namespace sam2unet::capi
