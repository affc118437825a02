#include "train/settings.h"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <array>
#include <sstream>

#include "sam2unet/errors.h"

namespace sam2unet::train {
namespace {

std::string quoted(const std::string& s) {
  std::string out = "\"";
  for (const char c : s) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04X}", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string spelled(const std::string& v) {
  return quoted(v);
}
std::string spelled(bool v) {
  return v ? "true" : "false";
}
std::string spelled(int v) {
  return fmt::format("{}", v);
}
std::string spelled(std::uint64_t v) {
  return fmt::format("{}", v);
}
std::string spelled(double v) {
  std::string text = fmt::format("{}", v);  // the shortest that is read back as the same number
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}
std::string spelled(const std::vector<std::string>& v) {
  std::string out;
  for (const auto& s : v) out += (out.empty() ? "" : ", ") + quoted(s);
  return "[" + out + "]";
}

[[noreturn]] void wrong_type(const char* key) {
  throw FormatError(fmt::format("configuration: the value of {} has the wrong type", key));
}

template <class T>
void read(const toml::node& node, const char* key, T& field) {
  const auto value = node.value<T>();
  if (!value) wrong_type(key);
  field = *value;
}
void read(const toml::node& node, const char* key, std::uint64_t& field) {
  const auto value = node.value<std::int64_t>();
  if (!value || *value < 0) wrong_type(key);
  field = static_cast<std::uint64_t>(*value);
}
void read(const toml::node& node, const char* key, std::vector<std::string>& field) {
  const auto* array = node.as_array();
  if (array == nullptr) wrong_type(key);
  field.clear();
  for (const auto& e : *array) {
    const auto value = e.value<std::string>();
    if (!value) wrong_type(key);
    field.push_back(*value);
  }
}

}  // namespace

void apply_recipe(Settings& s, const std::string& recipe) {
  s.recipe = recipe;
  if (recipe == "official") return;  // the defaults
  if (recipe != "scratch") throw UsageError(fmt::format("--recipe {}: use official or scratch", recipe));
  s.freeze = "none";
  s.weight_decay = 0.05;
  s.decay_all = false;
  s.warmup_epochs = 5;
  s.augment = "strong";
  s.ema = 0.999;
  s.clip = 1.0;
  s.epochs = 200;
}

void Settings::validate() const {
  const auto one_of = [](const char* key, const std::string& value, std::initializer_list<const char*> all) {
    if (std::find(all.begin(), all.end(), value) != all.end()) return;
    throw UsageError(fmt::format("--{} {}: use one of {}", key, value, fmt::join(all, ", ")));
  };
  one_of("freeze", freeze, {"trunk", "none"});
  one_of("bce", bce, {"effective", "weighted"});
  one_of("augment", augment, {"none", "official", "strong"});
  one_of("precision", precision, {"f32", "f64", "bf16"});
  one_of("device", device, {"cpu", "cuda"});
  const auto range = [](const char* key, double v, double low, double high) {
    if (!(v >= low && v <= high)) throw UsageError(fmt::format("--{} {}: use {} to {}", key, v, low, high));
  };
  one_of("best-by", best_by, {"mae", "s", "wf", "e", "f", "iou", "dice"});
  range("batch", batch, 1, 65536);
  range("epochs", epochs, 1, 1e6);
  range("accumulate", accumulate, 1, batch);
  range("lr", lr, 0, 1e3);
  range("min-lr", min_lr, 0, 1e3);
  range("weight-decay", weight_decay, 0, 1);
  range("warmup-epochs", warmup_epochs, 0, 1e6);
  range("clip", clip, 0, 1e9);
  range("ema", ema, 0, 0.999999);
  range("val-split", val_split, 0, 0.9);
  range("workers", workers, 1, 256);
  range("threads", threads, 0, 1024);
  range("dist-timeout", dist_timeout, 1, 1e6);
  if (images.empty()) throw UsageError("--images DIR and --masks DIR say what to learn from");
  if (images.size() != masks.size()) throw UsageError("--images and --masks must be given equally often");
  if (val_images.size() != val_masks.size()) {
    throw UsageError("--val-images and --val-masks must be given equally often");
  }
}

std::string Settings::to_toml() const {
  std::string text;
  visit(*this, [&](const char*, const char* key, const auto& field, const char* help) {
    text += fmt::format("# {}\n{} = {}\n", help, key, spelled(field));
  });
  return text;
}

Settings Settings::from_toml(const std::string& text) {
  Settings s;
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& e) {
    throw FormatError(fmt::format("configuration: line {}: {}", e.source().begin.line, e.description()));
  }
  std::vector<std::string> known;
  visit(s, [&](const char*, const char* key, auto& field, const char*) {
    known.emplace_back(key);
    if (const auto* node = table.get(key); node != nullptr) read(*node, key, field);
  });
  for (const auto& [key, value] : table) {
    if (std::find(known.begin(), known.end(), std::string(key.str())) == known.end()) {
      throw UsageError(fmt::format("configuration: unknown key {}", std::string(key.str())));
    }
  }
  return s;
}

std::vector<std::string> Settings::differences(const Settings& a, const Settings& b) {
  constexpr std::array<std::string_view, 9> harmless{"out",        "workers",   "save_every",
                                                     "early_stop", "pth",       "task_only",
                                                     "skip_bad",   "recompute", "dist_timeout"};
  std::map<std::string, std::string> left;
  visit(a, [&](const char*, const char* key, const auto& field, const char*) { left[key] = spelled(field); });
  std::vector<std::string> found;
  visit(b, [&](const char*, const char* key, const auto& field, const char*) {
    if (std::find(harmless.begin(), harmless.end(), key) == harmless.end() && left[key] != spelled(field)) {
      found.push_back(fmt::format("{} ({} before, {} now)", key, left[key], spelled(field)));
    }
  });
  return found;
}

}  // namespace sam2unet::train
