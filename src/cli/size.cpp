#include "size.h"

#include "results/choices.h"

namespace sam2unet::cli {

InputSize parse_size(const std::string& text) {
  return results::parse_size(text, "--size");
}

}  // namespace sam2unet::cli
