// The one way in which the functions of the C API are written, in either library.
#pragma once

#include "sam2unet/s2u_base.h"

namespace sam2unet::capi {

/// The status of the exception in flight.
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

}  // namespace sam2unet::capi
