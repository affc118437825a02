// Parts of the results' JSON.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sam2unet/class_draw.h"
#include "sam2unet/draw.h"

namespace sam2unet::results {

/// "bounding_box" (null where there is nothing), "area", "area_fraction" of `pixels`, "mean_confidence".
nlohmann::ordered_json summary_json(const MaskSummary& summary, double pixels);
/// [{"outer": [[x, y], ...], "holes": [...]}]
nlohmann::ordered_json polygons_json(const std::vector<Polygon>& polygons);
/// Both of a class or a connected part.
nlohmann::ordered_json region_json(const ClassRegion& region, double pixels);
std::vector<std::byte> bytes_of(const std::string& text);

}  // namespace sam2unet::results
