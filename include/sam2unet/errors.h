// The typed errors of the library. It never prints and never exits: it throws one of these. `what()` is one
// line that says what is wrong, where (file, tensor, option), and what to do about it.
#pragma once

#include <stdexcept>
#include <string>

#include "sam2unet/export.h"

namespace sam2unet {

/// Base of everything the library throws on purpose.
class SAM2UNET_API Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~Error() override;
};

/// An argument that cannot be meant (a size that is no multiple of 32, an unknown variant). CLI exit code 2.
class SAM2UNET_API UsageError : public Error {
 public:
  using Error::Error;
  ~UsageError() override;
};

/// The file system refused: missing file, no permission, disk full.
class SAM2UNET_API FileError : public Error {
 public:
  using Error::Error;
  ~FileError() override;
};

/// A file that is not what it claims to be: truncated, out of bounds, hostile.
class SAM2UNET_API FormatError : public Error {
 public:
  using Error::Error;
  ~FormatError() override;
};

/// A readable checkpoint that does not hold this network: missing, unexpected or misshapen tensors.
class SAM2UNET_API WeightsError : public Error {
 public:
  using Error::Error;
  ~WeightsError() override;
};

/// A picture that cannot be decoded, or whose size is out of range.
class SAM2UNET_API ImageError : public Error {
 public:
  using Error::Error;
  ~ImageError() override;
};

/// A part that this build or this machine does not have (training component, GPU).
class SAM2UNET_API UnavailableError : public Error {
 public:
  using Error::Error;
  ~UnavailableError() override;
};

}  // namespace sam2unet
