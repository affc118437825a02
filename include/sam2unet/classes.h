// What the classes of a network with several outputs are: their ids, names and colours, and how the ids and
// colours of mask files become them.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sam2unet/color.h"
#include "sam2unet/export.h"

namespace sam2unet {

/// One class. Its id is its channel of the network and its value in masks.
struct ClassInfo {
  std::string name;  ///< UTF-8, not empty, unique in its table
  Color color;       ///< of indexed PNGs, overlays and colour masks; unique in its table
  friend bool operator==(const ClassInfo&, const ClassInfo&) = default;
};

/// A value of mask files that stands for a class, or for the ignored pixels.
struct IdRemap {
  int from = 0;  ///< 0 to 255
  int to = 0;    ///< id of a class, or ClassTable::ignore
  friend bool operator==(const IdRemap&, const IdRemap&) = default;
};

/// A colour of colour masks that stands for a class beside its own, or for the ignored pixels.
struct ColorRemap {
  Color from;
  int to = 0;  ///< id of a class, or ClassTable::ignore
  friend bool operator==(const ColorRemap&, const ColorRemap&) = default;
};

/// The classes of a network or a data set; entry i has id i, and class 0 is the background. Without any it
/// stands for one foreground without a name.
struct ClassTable {
  static constexpr int kMaxClasses = 255;      ///< ids 0 to 254 leave one of a mask's 256 values to ignore
  static constexpr std::size_t kMaxName = 64;  ///< bytes

  std::vector<ClassInfo> classes;
  /// Value of pixels that count nowhere, 0 to 255, no class's id.
  int ignore = 255;
  Color ignore_color = {224, 224, 192};  ///< PASCAL VOC's colour of 255
  /// How mask files of another numbering are read. They belong to files, so they do not travel with weights.
  std::vector<IdRemap> remap_ids;
  std::vector<ColorRemap> remap_colors;

  int size() const { return static_cast<int>(classes.size()); }
  bool empty() const { return classes.empty(); }
  friend bool operator==(const ClassTable&, const ClassTable&) = default;
};

/// UsageError that names the first thing that cannot be meant: fewer than 2 or more than 255 classes, a name
/// or colour twice, a name that is empty, long or has control characters, an ignored id that is a class's, a
/// remapping of a value twice, to a class that is not there, or to a value that is remapped itself (it is
/// applied once).
SAM2UNET_API void check_class_table(const ClassTable& table);

/// `count` classes: "background", "class 1", "class 2" ... in PASCAL VOC's colours. UsageError unless 2 to
/// 255.
SAM2UNET_API ClassTable default_class_table(int count);
/// The colour that PASCAL VOC's bit pattern gives an id of 0 to 255: black, dark red, dark green, ...
SAM2UNET_API Color voc_color(int id);

/// Reads a class file (TOML):
///
///     ignore = 255                 # pixels that count nowhere; this is the default
///     [[class]]                    # background, black, is 0 where no class has that id
///     id = 1                       # ids run from 1 without gaps
///     name = "road"
///     color = "#804080"            # or [128, 64, 128]; without it PASCAL VOC's
///     [remap.ids]                  # values of mask files that are other ids, or ignored
///     7 = 1
///     8 = 255
///     [remap.colors]               # further colours of colour masks
///     "#e6e6e6" = 1
///
/// FileError; FormatError with file and line, or what `check_class_table` would say.
SAM2UNET_API ClassTable read_class_table(const std::filesystem::path& file);
/// The same of the text itself; `name` stands in messages.
SAM2UNET_API ClassTable parse_class_table(std::string_view toml, const std::string& name = "class file");

/// What users name classes by: digits are a number of classes (`default_class_table`), anything else a class
/// file.
SAM2UNET_API ClassTable class_table_of(const std::string& file_or_count);

/// {"classes": [{"id", "name", "color"}], "ignore", "ignore_color"}, which weights carry; remappings are left
/// out. Colours are "#rrggbb".
SAM2UNET_API std::string to_json(const ClassTable& table);
/// FormatError if the text is not that.
SAM2UNET_API ClassTable class_table_from_json(std::string_view json);

/// Id of the class with that name, or that number written out; none if there is neither.
SAM2UNET_API std::optional<int> find_class(const ClassTable& table, std::string_view name);
/// Whether ids mean the same: as many classes, of the same names in the same order.
SAM2UNET_API bool same_classes(const ClassTable& a, const ClassTable& b);

/// What each value of a mask file means after remapping: an id, `ignore`, or -1 where it is neither.
SAM2UNET_API std::array<std::int16_t, 256> mask_values(const ClassTable& table);

/// "#804080"
SAM2UNET_API std::string to_string(Color color);
/// Of "#rrggbb"; none if it is not that.
SAM2UNET_API std::optional<Color> parse_color(std::string_view text);

}  // namespace sam2unet
