#include <exception>
#include <new>
#include <stdexcept>
#include <string>

#include "capi/status.h"
#include "sam2unet/errors.h"

namespace sam2unet::capi {

s2u_status* status_of_current_exception() noexcept {
  try {
    throw;
  } catch (const UsageError& e) {
    return s2u_status_new(S2U_INVALID_ARGUMENT, e.what());
  } catch (const FileError& e) {
    return s2u_status_new(S2U_FILE_ERROR, e.what());
  } catch (const FormatError& e) {
    return s2u_status_new(S2U_FORMAT_ERROR, e.what());
  } catch (const WeightsError& e) {
    return s2u_status_new(S2U_WEIGHTS_ERROR, e.what());
  } catch (const ImageError& e) {
    return s2u_status_new(S2U_IMAGE_ERROR, e.what());
  } catch (const UnavailableError& e) {
    return s2u_status_new(S2U_UNAVAILABLE, e.what());
  } catch (const std::bad_alloc&) {
    return s2u_status_new(S2U_OUT_OF_MEMORY, "out of memory");
  } catch (const std::length_error&) {
    return s2u_status_new(S2U_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception& e) {
    return s2u_status_new(S2U_INTERNAL, e.what());
  } catch (...) {
    return s2u_status_new(S2U_INTERNAL, "an unknown exception");
  }
}

void need(const void* pointer, const char* what) {
  if (pointer == nullptr) throw UsageError(std::string(what) + " is null");
}

}  // namespace sam2unet::capi
