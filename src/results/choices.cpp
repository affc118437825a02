#include "results/choices.h"

#include <fmt/format.h>

#include <algorithm>

#include "sam2unet/errors.h"

namespace sam2unet::results {

InputSize parse_size(const std::string& text, std::string_view option) {
  if (text.empty()) return InputSize::square(0);
  const auto x = text.find('x');
  const auto number = [&](const std::string& digits) {
    const bool plain = !digits.empty() && digits.size() <= 5 &&
                       std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
    const int value = plain ? std::stoi(digits) : 0;
    if (value < 32 || value > InputSize::kMaxSide || value % 32 != 0) {
      throw UsageError(
          fmt::format("{} {}: give N or HxW, multiples of 32 from 32 to {}, such as 352 or 480x640", option,
                      text, InputSize::kMaxSide));
    }
    return value;
  };
  const int height = number(text.substr(0, x));
  return InputSize::of(x == std::string::npos ? height : number(text.substr(x + 1)), height);
}

std::vector<int> shown_classes(const ClassTable& table, const std::vector<std::string>& names,
                               std::string_view option) {
  std::vector<int> out;
  for (const std::string& name : names) {
    const auto id = find_class(table, name);
    if (!id) {
      std::string known;
      for (const ClassInfo& c : table.classes) known += (known.empty() ? "" : ", ") + c.name;
      throw UsageError(fmt::format("{} {}: there is no such class; there are {}", option, name, known));
    }
    out.push_back(*id);
  }
  for (int id = 1; names.empty() && id < table.size(); ++id) out.push_back(id);
  return out;
}

}  // namespace sam2unet::results
