// The one refusal of a picture that is no fault of the file's.
#pragma once

#include "sam2unet/errors.h"
#include "sam2unet/export.h"

namespace sam2unet {

/// A picture of more pixels than DecodeOptions::max_pixels; it may well be sound.
class SAM2UNET_API PictureTooLargeError : public ImageError {
 public:
  using ImageError::ImageError;
  ~PictureTooLargeError() override;
};

}  // namespace sam2unet
