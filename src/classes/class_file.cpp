#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <limits>
#include <map>

#include "core/file.h"
#include "sam2unet/classes.h"
#include "sam2unet/errors.h"

namespace sam2unet {
namespace {

constexpr std::size_t kLargestFile = 1 << 20;

// toml++ limits how deep values lie in each other, but not the parts of a dotted key: each is a table in a
// table, and destroying 100,000 of them overflows the stack. A class file has two.
constexpr int kMaxDots = 16;

void refuse_deep_keys(std::string_view text, const std::string& name) {
  int line = 1, dots = 0;
  char before = 0;
  for (const char c : text) {
    if (c == '\n') {
      ++line;
      dots = 0;
    }
    // A row of dots is a comment's, as a key has something between two.
    dots += c == '.' && before != '.' ? 1 : 0;
    if (dots > kMaxDots) throw FormatError(fmt::format("{}, line {}: too many dots", name, line));
    if (c != ' ' && c != '\t') before = c;
  }
}

class ClassFile {
 public:
  explicit ClassFile(std::string name) : name_(std::move(name)) {}

  ClassTable parse(std::string_view text) {
    toml::table root;
    try {
      root = toml::parse(text);
    } catch (const toml::parse_error& e) {
      fail(e.source(), std::string(e.description()));
    }
    allow(root, {"ignore", "ignore_color", "ignore_colour", "class", "remap"}, "a class file");
    if (const auto* node = root.get("ignore")) table_.ignore = id_of(*node, "ignore");
    if (const auto* node = either(root, "ignore_color", "ignore_colour"))
      table_.ignore_color = color_of(*node);
    read_classes(root);
    if (const auto* node = root.get("remap")) read_remap(*node);
    try {
      check_class_table(table_);
    } catch (const UsageError& e) {
      throw FormatError(fmt::format("{}: {}", name_, e.what()));
    }
    return std::move(table_);
  }

 private:
  [[noreturn]] void fail(const toml::source_region& where, const std::string& what) const {
    throw FormatError(fmt::format("{}, line {}: {}", name_, where.begin.line, what));
  }

  static const toml::node* either(const toml::table& t, const char* one, const char* other) {
    return t.get(one) != nullptr ? t.get(one) : t.get(other);
  }

  void allow(const toml::table& t, std::initializer_list<std::string_view> keys, const char* where) const {
    for (const auto& [key, node] : t) {
      if (std::find(keys.begin(), keys.end(), key.str()) != keys.end()) continue;
      fail(key.source(),
           fmt::format("unknown key '{}'; {} has {}", std::string(key.str()), where, fmt::join(keys, ", ")));
    }
  }

  // 0 to 255, as masks have values. What is no class is found when all are known.
  int id_of(const toml::node& node, const char* what) const {
    const auto value = node.value_exact<std::int64_t>();
    if (!value) fail(node.source(), fmt::format("{} must be a whole number", what));
    if (*value < 0 || *value > 255) {
      fail(node.source(), fmt::format("{} is {}, but masks have values of 0 to 255", what, *value));
    }
    return static_cast<int>(*value);
  }

  Color color_of(const toml::node& node) const {
    if (const auto text = node.value_exact<std::string>()) {
      if (const auto color = parse_color(*text)) return *color;
    }
    if (const auto* parts = node.as_array(); parts != nullptr && parts->size() == 3) {
      std::array<std::int64_t, 3> rgb{-1, -1, -1};
      for (std::size_t i = 0; i < 3; ++i) rgb[i] = (*parts)[i].value_exact<std::int64_t>().value_or(-1);
      if (std::all_of(rgb.begin(), rgb.end(), [](std::int64_t v) { return v >= 0 && v <= 255; })) {
        return {static_cast<std::uint8_t>(rgb[0]), static_cast<std::uint8_t>(rgb[1]),
                static_cast<std::uint8_t>(rgb[2])};
      }
    }
    fail(node.source(), "a colour is written \"#rrggbb\" or [red, green, blue] of 0 to 255");
  }

  void read_classes(const toml::table& root) {
    const toml::node* node = root.get("class");
    if (node == nullptr) {
      throw FormatError(fmt::format(
          "{}: no classes; each is a [[class]] with id = 1, name = \"road\" and color = \"#804080\"", name_));
    }
    const toml::array* list = node->as_array();
    if (list == nullptr || list->empty()) fail(node->source(), "classes are written [[class]], one each");
    std::map<int, ClassInfo> found;
    for (const toml::node& entry : *list) read_class(entry, found);
    if (!found.contains(0)) found[0] = {"background", voc_color(0)};
    for (auto& [id, info] : found) {
      if (id != table_.size()) {
        throw FormatError(fmt::format(
            "{}: there is a class {} ('{}') but no class {}: ids run from 0 without gaps; number the "
            "classes so, and say under [remap.ids] what the masks hold instead ({} = {})",
            name_, id, info.name, table_.size(), id, table_.size()));
      }
      table_.classes.push_back(std::move(info));
    }
  }

  void read_class(const toml::node& entry, std::map<int, ClassInfo>& found) const {
    const toml::table* t = entry.as_table();
    if (t == nullptr) fail(entry.source(), "a class is a table: id, name, color");
    allow(*t, {"id", "name", "color", "colour"}, "a class");
    const toml::node* id_node = t->get("id");
    if (id_node == nullptr) fail(entry.source(), "a class without an id");
    if (found.size() > ClassTable::kMaxClasses) {
      throw FormatError(fmt::format(
          "{}: more than {} classes; masks of 8 bits have room for ids 0 to {} and one for ignored "
          "pixels",
          name_, ClassTable::kMaxClasses, ClassTable::kMaxClasses - 1));
    }
    const int id = id_of(*id_node, "the id of a class");
    const toml::node* name_node = t->get("name");
    const auto name = name_node == nullptr ? std::nullopt : name_node->value_exact<std::string>();
    if (!name || name->empty()) {
      fail(name_node == nullptr ? entry.source() : name_node->source(),
           fmt::format("class {} has no name", id));
    }
    const toml::node* color = either(*t, "color", "colour");
    const auto [at, added] =
        found.emplace(id, ClassInfo{*name, color == nullptr ? voc_color(id) : color_of(*color)});
    if (!added) {
      fail(id_node->source(),
           fmt::format("the id {} is that of '{}' already; '{}' needs another", id, at->second.name, *name));
    }
  }

  void read_remap(const toml::node& node) {
    const toml::table* remap = node.as_table();
    if (remap == nullptr) fail(node.source(), "remappings are written under [remap.ids] and [remap.colors]");
    allow(*remap, {"ids", "colors", "colours"}, "[remap]");
    if (const auto* ids = remap->get("ids")) {
      if (ids->as_table() == nullptr) fail(ids->source(), "[remap.ids] has lines like 7 = 1");
      for (const auto& [key, value] : *ids->as_table()) {
        table_.remap_ids.push_back({mask_value(key), id_of(value, "the class of a remapping")});
      }
    }
    if (const auto* colors = either(*remap, "colors", "colours")) {
      if (colors->as_table() == nullptr)
        fail(colors->source(), "[remap.colors] has lines like \"#804080\" = 1");
      for (const auto& [key, value] : *colors->as_table()) {
        const auto from = parse_color(key.str());
        if (!from) fail(key.source(), "[remap.colors] has lines like \"#804080\" = 1");
        table_.remap_colors.push_back({*from, id_of(value, "the class of a remapping")});
      }
    }
  }

  int mask_value(const toml::key& key) const {
    const std::string_view text = key.str();
    int value = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > 255 ||
        (text.size() > 1 && text[0] == '0')) {
      fail(key.source(), fmt::format("'{}' is no value of a mask, 0 to 255", text));
    }
    return value;
  }

  std::string name_;
  ClassTable table_;
};

}  // namespace

ClassTable parse_class_table(std::string_view toml, const std::string& name) {
  if (toml.size() > kLargestFile) {
    throw FormatError(fmt::format("{} has {} bytes, which no class file needs", name, toml.size()));
  }
  refuse_deep_keys(toml, name);
  return ClassFile(name).parse(toml);
}

ClassTable read_class_table(const std::filesystem::path& file) {
  const MappedFile mapped(file);
  const auto bytes = mapped.bytes();
  return parse_class_table({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file.string());
}

ClassTable class_table_of(const std::string& file_or_count) {
  int count = 0;
  const char* const end = file_or_count.data() + file_or_count.size();
  const auto [last, error] = std::from_chars(file_or_count.data(), end, count);
  if (file_or_count.empty() || last != end) return read_class_table(file_or_count);
  // A number too large to be read is too many classes as well.
  return default_class_table(error == std::errc() ? count : std::numeric_limits<int>::max());
}

}  // namespace sam2unet
