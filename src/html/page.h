// What every page we write has: one file, no scripts, nothing from the network, light and dark, wide and
// narrow.
#pragma once

#include <string>
#include <string_view>

#include "sam2unet/image.h"

namespace sam2unet::html {

/// A whole page around `body`. The title is escaped here; `body` must be already.
std::string page(std::string_view title, const std::string& body);

/// For text between tags and in attributes in double quotes.
std::string escaped(std::string_view text);

/// The picture with its longer side at most `side`, inside the page, and a caption (escaped here).
std::string figure(const ImageView& image, std::string_view caption, int side = 240);

/// Three digits, or a dash where there is no number.
std::string number(double value);

}  // namespace sam2unet::html
