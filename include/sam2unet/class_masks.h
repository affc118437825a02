// Masks of class ids: read from files of ids or colours, written as indexed PNG.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "sam2unet/classes.h"
#include "sam2unet/export.h"
#include "sam2unet/image.h"

namespace sam2unet {

/// Values or colours of a mask file that are no class and not ignored.
struct UnknownPixels {
  bool is_color = false;
  int value = 0;  ///< an id of 0 to 255, where it is no colour
  Color color;
  std::int64_t pixels = 0;
};

/// A mask file turned into ids.
struct ClassMask {
  Image ids;                           ///< gray; ids of classes, or ClassTable::ignore
  std::vector<UnknownPixels> unknown;  ///< the most pixels first; they are ignored in `ids`
};

/// `stored` is what ColorMode::ids reads. One channel is looked up as ids (`mask_values`), three as colours
/// of the table; a picture of three equal channels with a gray that is no colour of the table holds ids too.
SAM2UNET_API ClassMask to_class_mask(const ImageView& stored, const ClassTable& table);

/// Reads a mask: palettes by index, gray as ids, colours by the table; never turned as EXIF says, as the
/// reference reads masks. FileError; ImageError also for values and colours that are no class, with how many
/// pixels have them.
SAM2UNET_API Image read_class_mask(const std::filesystem::path& file, const ClassTable& table);
/// "the ids 7 (1200 pixels) and 9 (3 pixels) are no classes": at most five are named. Empty if there are
/// none.
SAM2UNET_API std::string describe(const std::vector<UnknownPixels>& unknown);

/// Pillow's `resize(..., NEAREST)`, bit for bit: destination pixel x takes source pixel floor((x + 0.5) *
/// source / destination), the same for rows, so that no new values appear. UsageError if a size is not
/// positive.
SAM2UNET_API Image resize_nearest(const ImageView& image, int width, int height);

/// The 256 colours of indexed PNGs: the classes', the ignored id's, and PASCAL VOC's for what is neither.
SAM2UNET_API std::vector<Color> class_palette(const ClassTable& table);
/// PNG bytes of ids (gray) with the table's colours as palette.
SAM2UNET_API std::vector<std::byte> encode_class_png(const ImageView& ids, const ClassTable& table);

}  // namespace sam2unet
