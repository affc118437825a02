#include "sam2unet/errors.h"

namespace sam2unet {

// Out of line, so that each type has one home for its vtable and type information.
Error::~Error() = default;
UsageError::~UsageError() = default;
FileError::~FileError() = default;
FormatError::~FormatError() = default;
WeightsError::~WeightsError() = default;
ImageError::~ImageError() = default;
UnavailableError::~UnavailableError() = default;

}  // namespace sam2unet
