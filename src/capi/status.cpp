// Status objects and versions, in libsam2unet_metrics alone: whatever library made a status, one frees it.
#include <string>

#include "sam2unet/s2u_base.h"

struct s2u_status {
  s2u_code code;
  std::string text;
};

namespace {

s2u_status out_of_memory{S2U_OUT_OF_MEMORY, "out of memory"};

}  // namespace

extern "C" {

uint32_t s2u_abi_version(void) {
  return S2U_ABI_VERSION;
}

const char* s2u_version(void) {
  return SAM2UNET_VERSION;
}

s2u_status* s2u_status_new(s2u_code code, const char* text) {
  if (code == S2U_OK) return nullptr;
  try {
    if (code == S2U_OUT_OF_MEMORY) return &out_of_memory;
    return new s2u_status{code, text == nullptr ? "" : text};
  } catch (...) {
    return &out_of_memory;
  }
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
