#include "capi/status.h"

#include <pthread.h>

#include <atomic>
#include <stdexcept>

namespace sam2unet::capi {

namespace {

std::atomic<bool> in_child{false};

// Registered when the library is loaded.
const bool registered = pthread_atfork(nullptr, nullptr, [] { in_child.store(true); }) == 0;

s2u_status out_of_memory{S2U_OUT_OF_MEMORY, "out of memory"};

s2u_status* make_status(s2u_code code, const char* text) noexcept {
  try {
    return new s2u_status{code, text};
  } catch (...) {
    return &out_of_memory;
  }
}

}  // namespace

s2u_status* status_of_current_exception() noexcept {
  try {
    throw;
  } catch (const UsageError& e) {
    return make_status(S2U_INVALID_ARGUMENT, e.what());
  } catch (const FileError& e) {
    return make_status(S2U_FILE_ERROR, e.what());
  } catch (const FormatError& e) {
    return make_status(S2U_FORMAT_ERROR, e.what());
  } catch (const WeightsError& e) {
    return make_status(S2U_WEIGHTS_ERROR, e.what());
  } catch (const ImageError& e) {
    return make_status(S2U_IMAGE_ERROR, e.what());
  } catch (const UnavailableError& e) {
    return make_status(S2U_UNAVAILABLE, e.what());
  } catch (const std::bad_alloc&) {
    return &out_of_memory;
  } catch (const std::length_error&) {
    return &out_of_memory;
  } catch (const std::exception& e) {
    return make_status(S2U_INTERNAL, e.what());
  } catch (...) {
    return make_status(S2U_INTERNAL, "an unknown exception");
  }
}

void need(const void* pointer, const char* what) {
  if (pointer == nullptr) throw UsageError(std::string(what) + " is null");
}

bool forked() {
  return registered && in_child.load();
}

}  // namespace sam2unet::capi

using sam2unet::capi::out_of_memory;

extern "C" {

uint32_t s2u_abi_version(void) {
  return S2U_ABI_VERSION;
}

const char* s2u_version(void) {
  return SAM2UNET_VERSION;
}

s2u_code s2u_status_code(const s2u_status* status) {
  return status == nullptr ? S2U_OK : status->code;
}

const char* s2u_status_text(const s2u_status* status) {
  return status == nullptr ? "" : status->text.c_str();
}

void s2u_status_free(s2u_status* status) {
  if (status != &out_of_memory) delete status;
}
}
