// gzip and deflate of whole bodies.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "serve/http.h"

namespace sam2unet::serve {

enum class Coding { gzip, deflate };
std::string_view name_of(Coding coding);
/// Of a Content-Encoding; none for "identity" and "". Refused 415 for any other.
std::optional<Coding> parse_coding(std::string_view name);
/// What an Accept-Encoding takes, gzip before deflate.
std::optional<Coding> choose_coding(std::string_view accepted);

/// Refused: 413 if more than `limit` bytes would come out, 400 if the data is damaged or cut off.
Bytes decompress(ByteView bytes, Coding coding, std::size_t limit);
/// Quick rather than small.
Bytes compress(ByteView bytes, Coding coding);

}  // namespace sam2unet::serve
