#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "sam2unet/classes.h"
#include "sam2unet/errors.h"

namespace sam2unet {
namespace {

int packed(Color c) {
  return c.red << 16 | c.green << 8 | c.blue;
}

void check_names(const ClassTable& t) {
  std::set<std::string> seen;
  for (int i = 0; i < t.size(); ++i) {
    const std::string& name = t.classes[static_cast<std::size_t>(i)].name;
    if (name.empty()) throw UsageError(fmt::format("class {} has no name", i));
    if (name.size() > ClassTable::kMaxName) {
      throw UsageError(fmt::format("the name of class {} has {} bytes, more than the {} allowed", i,
                                   name.size(), ClassTable::kMaxName));
    }
    // They are printed and become parts of files.
    if (std::any_of(name.begin(), name.end(),
                    [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; })) {
      throw UsageError(fmt::format("the name of class {} has control characters", i));
    }
    if (!seen.insert(name).second) throw UsageError(fmt::format("two classes have the name '{}'", name));
  }
}

void check_colors(const ClassTable& t) {
  std::map<int, std::string> owners{{packed(t.ignore_color), "the ignored pixels"}};
  for (int i = 0; i < t.size(); ++i) {
    const ClassInfo& c = t.classes[static_cast<std::size_t>(i)];
    const std::string owner = fmt::format("class {} ({})", i, c.name);
    const auto [at, added] = owners.emplace(packed(c.color), owner);
    if (!added) {
      throw UsageError(
          fmt::format("{} and {} have the same colour {}: colour masks could not tell them apart", at->second,
                      owner, to_string(c.color)));
    }
  }
  for (const ColorRemap& r : t.remap_colors) {
    const auto [at, added] = owners.emplace(packed(r.from), "another remapping");
    if (!added) {
      throw UsageError(fmt::format("the colour {} is remapped to {}, but it is the colour of {} already",
                                   to_string(r.from), r.to, at->second));
    }
  }
}

void check_targets(const ClassTable& t) {
  const auto known = [&](int id) { return (id >= 0 && id < t.size()) || id == t.ignore; };
  const auto unknown = [&](const std::string& from, int to) {
    throw UsageError(
        fmt::format("{} is remapped to {}, which is neither a class (0 to {}) nor the ignored id ({})", from,
                    to, t.size() - 1, t.ignore));
  };
  std::map<int, int> targets;
  for (const IdRemap& r : t.remap_ids) {
    if (r.from < 0 || r.from > 255) {
      throw UsageError(fmt::format("the id {} is remapped, but masks have values of 0 to 255", r.from));
    }
    if (!known(r.to)) unknown(fmt::format("the id {}", r.from), r.to);
    if (!targets.emplace(r.from, r.to).second) {
      throw UsageError(fmt::format("the id {} is remapped twice", r.from));
    }
  }
  for (const auto& [from, to] : targets) {
    const auto next = targets.find(to);
    if (next != targets.end() && next->second != to) {
      throw UsageError(
          fmt::format("the id {} is remapped to {}, which is itself remapped to {}: a remapping is applied "
                      "once, so give each id its final class",
                      from, to, next->second));
    }
  }
  for (const ColorRemap& r : t.remap_colors) {
    if (!known(r.to)) unknown(fmt::format("the colour {}", to_string(r.from)), r.to);
  }
}

}  // namespace

void check_class_table(const ClassTable& table) {
  const int n = table.size();
  if (n < 2) {
    throw UsageError(fmt::format(
        "{} given: a table has the background and at least one class more; one foreground needs no table",
        n == 1 ? "one class is" : "no classes are"));
  }
  if (n > ClassTable::kMaxClasses) {
    throw UsageError(
        fmt::format("{} classes: masks of 8 bits have room for {}, ids 0 to {} and one for ignored pixels", n,
                    ClassTable::kMaxClasses, ClassTable::kMaxClasses - 1));
  }
  if (table.ignore < 0 || table.ignore > 255) {
    throw UsageError(fmt::format("the ignored id is {}, but masks have values of 0 to 255", table.ignore));
  }
  if (table.ignore < n) {
    throw UsageError(fmt::format("the ignored id {} is that of class '{}'", table.ignore,
                                 table.classes[static_cast<std::size_t>(table.ignore)].name));
  }
  check_names(table);
  check_colors(table);
  check_targets(table);
}

Color voc_color(int id) {
  // VOCdevkit's colour map: bits 0, 1, 2 of the id are the highest bits of red, green, blue, bits 3, 4, 5 the
  // next.
  Color c;
  for (int shift = 7, rest = id & 255; rest != 0; --shift, rest >>= 3) {
    c.red = static_cast<std::uint8_t>(c.red | (rest & 1) << shift);
    c.green = static_cast<std::uint8_t>(c.green | (rest >> 1 & 1) << shift);
    c.blue = static_cast<std::uint8_t>(c.blue | (rest >> 2 & 1) << shift);
  }
  return c;
}

ClassTable default_class_table(int count) {
  ClassTable out;
  for (int i = 0; i < std::min(count, ClassTable::kMaxClasses + 1); ++i) {
    out.classes.push_back({i == 0 ? "background" : fmt::format("class {}", i), voc_color(i)});
  }
  if (count > ClassTable::kMaxClasses) {
    throw UsageError(
        fmt::format("{} classes: masks of 8 bits have room for {}, ids 0 to {} and one for ignored pixels",
                    count, ClassTable::kMaxClasses, ClassTable::kMaxClasses - 1));
  }
  check_class_table(out);
  return out;
}

std::string to_json(const ClassTable& table) {
  nlohmann::ordered_json classes = nlohmann::ordered_json::array();
  for (int i = 0; i < table.size(); ++i) {
    const ClassInfo& c = table.classes[static_cast<std::size_t>(i)];
    classes.push_back({{"id", i}, {"name", c.name}, {"color", to_string(c.color)}});
  }
  const nlohmann::ordered_json out{{"classes", std::move(classes)},
                                   {"ignore", table.ignore},
                                   {"ignore_color", to_string(table.ignore_color)}};
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

namespace {

Color color_of(const nlohmann::json& value) {
  const auto color = parse_color(value.get<std::string>());
  if (!color) throw FormatError("a colour is not \"#rrggbb\"");
  return *color;
}

// Metadata of a weights file: as hostile as the rest of it.
ClassTable table_of(const nlohmann::json& json) {
  ClassTable out;
  const nlohmann::json& classes = json.at("classes");
  if (!classes.is_array() || classes.size() > ClassTable::kMaxClasses) {
    throw FormatError(fmt::format("\"classes\" is no list of up to {} classes", ClassTable::kMaxClasses));
  }
  for (const nlohmann::json& c : classes) {
    if (c.at("id").get<std::int64_t>() != out.size()) {
      throw FormatError("the ids do not run from 0 without gaps");
    }
    out.classes.push_back({c.at("name").get<std::string>(), color_of(c.at("color"))});
  }
  const auto ignore = json.at("ignore").get<std::int64_t>();
  out.ignore = ignore < 0 || ignore > 255 ? -1 : static_cast<int>(ignore);
  if (json.contains("ignore_color")) out.ignore_color = color_of(json.at("ignore_color"));
  check_class_table(out);
  return out;
}

}  // namespace

ClassTable class_table_from_json(std::string_view json) {
  try {
    return table_of(nlohmann::json::parse(json));
  } catch (const nlohmann::json::exception& e) {
    throw FormatError(fmt::format("the table of classes is damaged: {}", e.what()));
  } catch (const Error& e) {
    throw FormatError(fmt::format("the table of classes is damaged: {}", e.what()));
  }
}

std::optional<int> find_class(const ClassTable& table, std::string_view name) {
  for (int i = 0; i < table.size(); ++i) {
    if (table.classes[static_cast<std::size_t>(i)].name == name) return i;
  }
  int id = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
  if (error != std::errc() || end != name.data() + name.size() || id < 0 || id >= table.size()) {
    return std::nullopt;
  }
  return id;
}

bool same_classes(const ClassTable& a, const ClassTable& b) {
  return std::equal(a.classes.begin(), a.classes.end(), b.classes.begin(), b.classes.end(),
                    [](const ClassInfo& x, const ClassInfo& y) { return x.name == y.name; });
}

std::array<std::int16_t, 256> mask_values(const ClassTable& table) {
  std::array<std::int16_t, 256> out{};
  out.fill(-1);
  for (int i = 0; i < table.size(); ++i) out.at(static_cast<std::size_t>(i)) = static_cast<std::int16_t>(i);
  out.at(static_cast<std::size_t>(table.ignore)) = static_cast<std::int16_t>(table.ignore);
  for (const IdRemap& r : table.remap_ids) {
    out.at(static_cast<std::size_t>(r.from)) = static_cast<std::int16_t>(r.to);
  }
  return out;
}

std::string to_string(Color color) {
  return fmt::format("#{:02x}{:02x}{:02x}", color.red, color.green, color.blue);
}

std::optional<Color> parse_color(std::string_view text) {
  if (text.size() != 7 || text[0] != '#') return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + 7, value, 16);
  if (error != std::errc() || end != text.data() + 7) return std::nullopt;
  return Color{static_cast<std::uint8_t>(value >> 16), static_cast<std::uint8_t>(value >> 8),
               static_cast<std::uint8_t>(value)};
}

}  // namespace sam2unet
