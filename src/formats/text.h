// Strings that come out of files: told apart from damage, and shown in one-line messages.
#pragma once

#include <string>
#include <string_view>

namespace sam2unet::formats {

bool is_valid_utf8(std::string_view text);
/// For messages: control characters and broken UTF-8 shown as '?', cut after 100 bytes.
std::string printable(std::string_view text);

}  // namespace sam2unet::formats
