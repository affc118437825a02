#include "train/settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <toml++/toml.h>
#include <algorithm>
#include <array>
#include <charconv>

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

template <Choice E>
std::string spelled(E v) {
  return quoted(std::string(name_of(v)));
}

std::string text_of(const Fold& f) {
  return f.count == 0 ? "" : fmt::format("{}/{}", f.index, f.count);
}
std::string spelled(const Fold& v) {
  return quoted(text_of(v));
}
std::string spelled(const std::vector<double>& v) {
  std::string out;
  for (const double d : v) out += (out.empty() ? "" : ", ") + spelled(d);
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

void read(const toml::node& node, const char* key, std::vector<double>& field) {
  const auto* array = node.as_array();
  if (array == nullptr) wrong_type(key);
  field.clear();
  for (const auto& e : *array) {
    const auto value = e.value<double>();
    if (!value) wrong_type(key);
    field.push_back(*value);
  }
}
template <class E>
requires Choice<E> || std::is_same_v<E, Fold>
void read(const toml::node& node, const char* key, E& field) {
  const auto value = node.value<std::string>();
  if (!value) wrong_type(key);
  parse_setting(key, *value, field);
}

// A word that every POSIX shell reads as this text.
std::string for_shell(const std::string& text) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=@%+,-";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

// "early_stop" as the command line spells it.
std::string option_of(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return "--" + key;
}

}  // namespace

void throw_unknown_choice(const std::string& key, const std::string& text, const std::string& all) {
  throw UsageError(fmt::format("{} {}: use one of {}", option_of(key), text, all));
}

void parse_setting(const std::string& key, const std::string& text, Fold& field) {
  field = {};
  if (text.empty()) return;
  const char *begin = text.data(), *end = begin + text.size();
  const auto index = std::from_chars(begin, end, field.index);
  const bool has_slash = index.ec == std::errc() && index.ptr != end && *index.ptr == '/';
  const auto count = has_slash ? std::from_chars(index.ptr + 1, end, field.count) : index;
  if (!has_slash || count.ec != std::errc() || count.ptr != end || field.count < 2 || field.index < 1 ||
      field.index > field.count) {
    throw UsageError(fmt::format("{} {}: give I/K, such as 2/5: part 2 of 5", option_of(key), text));
  }
}

void apply_recipe(Settings& s, Recipe recipe) {
  s.recipe = recipe;
  switch (recipe) {
    case Recipe::official:  // the defaults
      return;
    case Recipe::scratch:
      s.freeze = Freeze::none;
      s.weight_decay = 0.05;
      s.decay_all = false;
      s.warmup_epochs = 5;
      s.augment = Augment::strong;
      s.ema = 0.999;
      s.clip = 1.0;
      s.epochs = 200;
      return;
    case Recipe::finetune:  // found by measurement, see docs/training.md
      s.init = kInitDefault;
      s.batch = 4;
      s.warmup_epochs = 0.5;
      s.decay_all = false;
      s.clip = 1.0;
      s.ema = 0.95;
      s.augment = Augment::strong;
      s.loss = LossKind::structure_empty;
      s.adapters = AdapterInit::near_identity;
      return;
  }
}

AskedParts parts_of(const Settings& s) {
  return {s.adapter_width, s.decoder_width, s.neck};
}

Fit fit_of(const Settings& s) {
  return s.fit == FitChoice::letterbox ? Fit::letterbox : Fit::squash;
}

void apply_classes(Settings& s) {
  s.loss = LossKind::ce_dice;
  s.best_by = BestBy::miou;
}

void Settings::validate() const {
  const auto range = [](const char* key, double v, double low, double high) {
    if (!(v >= low && v <= high)) throw UsageError(fmt::format("--{} {}: use {} to {}", key, v, low, high));
  };
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
  for (const double scale : multi_scale) range("multi-scale", scale, 0.25, 4);
  if (fold.count > 0 && (val_split > 0 || !val_images.empty())) {
    throw UsageError("--fold says what to validate on; leave --val-split and --val-images away");
  }
  if (classes.empty() && (loss == LossKind::ce_dice || best_by == BestBy::miou)) {
    throw UsageError(fmt::format("{} is of several classes: name them with --classes",
                                 loss == LossKind::ce_dice ? "--loss ce-dice" : "--best-by miou"));
  }
  if (!classes.empty() && loss != LossKind::ce_dice) {
    throw UsageError(
        fmt::format("--loss {} is of one foreground; of --classes it is ce-dice", name_of(loss)));
  }
  if (!classes.empty() && best_by != BestBy::miou) {
    throw UsageError(
        fmt::format("--best-by {} is of one foreground; of --classes it is miou", name_of(best_by)));
  }
  if (precision == ComputeType::tf32 && device == DeviceKind::cpu) {
    throw UsageError("--precision tf32 is of GPUs: say --device cuda, or --precision f32");
  }
  range("adapter-width", adapter_width, 0, 4096);
  range("decoder-width", decoder_width, 0, 1024);
  range("workers", workers, 1, 256);
  range("threads", threads, 0, 1024);
  range("dist-timeout", dist_timeout, 1, 1e6);
  if (images.empty()) throw UsageError("--images DIR and --masks DIR say what to learn from");
  if (images.size() != masks.size()) throw UsageError("--images and --masks must be given equally often");
  if (val_images.size() != val_masks.size()) {
    throw UsageError("--val-images and --val-masks must be given equally often");
  }
}

void Settings::resolve_paths(const std::filesystem::path& base) {
  const auto resolve = [&](std::string& path) {
    if (!path.empty()) path = (std::filesystem::absolute(base) / path).lexically_normal().string();
  };
  for (auto* list : {&images, &masks, &val_images, &val_masks}) {
    for (auto& path : *list) resolve(path);
  }
  // Without a folder in it, and where there is no such file, it is the name of a model.
  const bool is_file = std::filesystem::path(init).has_parent_path() || std::filesystem::exists(base / init);
  if (init != kInitScratch && init != kInitDefault && is_file) resolve(init);
  const bool is_count = classes.find_first_not_of("0123456789") == std::string::npos;
  if (!is_count) resolve(classes);
  resolve(out);
}

std::string Settings::to_toml() const {
  std::string text;
  visit(*this, [&](const char*, const char* key, const auto& field, const char* help) {
    text += fmt::format("# {}\n{} = {}\n", help, key, spelled(field));
  });
  return text;
}

Settings Settings::from_toml(const std::string& text, const std::filesystem::path& base) {
  Settings s;
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& e) {
    throw FormatError(fmt::format("configuration: line {}: {}", e.source().begin.line, e.description()));
  }
  Recipe named = s.recipe;
  if (const auto* node = table.get("recipe"); node != nullptr) read(*node, "recipe", named);
  apply_recipe(s, named);
  if (const auto* node = table.get("classes"); node != nullptr) {
    read(*node, "classes", s.classes);
    if (!s.classes.empty()) apply_classes(s);
  }
  const std::string usual_out = s.out;
  s.out.clear();
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
  if (!base.empty()) s.resolve_paths(base);
  if (s.out.empty()) s.out = usual_out;  // not the file's, so not beside it
  return s;
}

std::string Settings::to_command() const {
  Settings usual;
  apply_recipe(usual, recipe);
  if (!classes.empty()) apply_classes(usual);
  std::map<std::string, std::string> defaults;
  visit(usual, [&](const char*, const char* key, const auto& field, const char*) {
    defaults[key] = spelled(field);
  });
  std::string text = "sam2unet train";
  if (recipe != Recipe::official) text += fmt::format(" --recipe {}", name_of(recipe));
  visit(*this, [&](const char*, const char* key, const auto& field, const char*) {
    using T = std::decay_t<decltype(field)>;
    if (spelled(field) == defaults[key]) return;
    if constexpr (std::is_same_v<T, bool>) {
      text += fmt::format(" {}", option_of(field ? key : fmt::format("no_{}", key)));
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      for (const auto& v : field) text += fmt::format(" {} {}", option_of(key), for_shell(v));
    } else if constexpr (std::is_same_v<T, std::string>) {
      text += fmt::format(" {} {}", option_of(key), for_shell(field));
    } else if constexpr (std::is_same_v<T, std::vector<double>>) {
      text += fmt::format(" {} {}", option_of(key), fmt::join(field, ","));
    } else if constexpr (std::is_same_v<T, Fold>) {
      text += fmt::format(" {} {}", option_of(key), text_of(field));
    } else if constexpr (Choice<T>) {
      text += fmt::format(" {} {}", option_of(key), name_of(field));
    } else {
      text += fmt::format(" {} {}", option_of(key), spelled(field));
    }
  });
  return text;
}

std::vector<std::string> Settings::differences(const Settings& a, const Settings& b, Scope scope) {
  constexpr std::array<std::string_view, 10> harmless{
      "out",       "workers",  "save_every", "early_stop",   "pth",
      "task_only", "skip_bad", "recompute",  "dist_timeout", "frozen_scratch"};
  // Whoever resumes checks these himself (trainer.cpp).
  constexpr std::array<std::string_view, 6> resumable{"epochs",     "images",    "masks",
                                                      "val_images", "val_masks", "init"};
  const auto holds = [](const auto& keys, std::string_view key) {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
  };
  std::map<std::string, std::string> left;
  visit(a, [&](const char*, const char* key, const auto& field, const char*) { left[key] = spelled(field); });
  std::vector<std::string> found;
  visit(b, [&](const char*, const char* key, const auto& field, const char*) {
    if (holds(harmless, key) || (scope == Scope::resumed && holds(resumable, key))) return;
    if (left[key] != spelled(field)) {
      found.push_back(fmt::format("{} ({} before, {} now)", key, left[key], spelled(field)));
    }
  });
  return found;
}

}  // namespace sam2unet::train
