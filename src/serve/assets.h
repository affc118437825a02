// Files that are compiled in (CMakeLists.txt makes their source).
#pragma once

#include <string_view>

namespace sam2unet::serve {

std::string_view page_html();
std::string_view openapi_document();

}  // namespace sam2unet::serve
