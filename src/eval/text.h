// Numbers and names in JSON and CSV.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace sam2unet::eval {

/// null for what was not computed.
nlohmann::ordered_json json_number(double v);
/// "fm.max" goes to object["fm"]["max"].
void put(nlohmann::ordered_json& object, const std::string& key, nlohmann::ordered_json value);

/// A field of a CSV, in quotes where it needs them.
std::string quoted(const std::string& field);
/// The shortest text that reads back as the same double; nothing for what was not computed.
std::string csv_number(double v);

}  // namespace sam2unet::eval
