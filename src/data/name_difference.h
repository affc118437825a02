// What the names of two folders differ in, where that is the same for all of them.
#pragma once

#include <set>
#include <string>

#include "sam2unet/listing.h"

namespace sam2unet::data {

struct NameDifference {
  std::string text;         ///< "the second ones all end in "_mask"", or that nothing was found
  NameAffix first, second;  ///< what stands beside the shared part; both empty where it is something else
};

/// Of names of which none is in both sets.
NameDifference find_difference(const std::set<std::string>& first, const std::set<std::string>& second);

}  // namespace sam2unet::data
