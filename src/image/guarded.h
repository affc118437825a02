// Calls into C libraries that report errors by longjmp (libjpeg, libpng).
#pragma once

#include <csetjmp>

namespace sam2unet::image {

/// Runs `calls`; false if it jumped to `target`. `calls` must hold nothing with a destructor while it is in
/// the library, because the jump skips it.
template <typename Calls>
bool guarded(std::jmp_buf& target, Calls&& calls) {
  // NOLINTNEXTLINE(modernize-avoid-setjmp-longjmp,cert-err52-cpp): the libraries' only way to report errors
  if (setjmp(target) != 0) return false;
  calls();
  return true;
}

}  // namespace sam2unet::image
