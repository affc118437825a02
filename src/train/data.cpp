#include "train/data.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <mutex>
#include <thread>

#include "data/class_check.h"
#include "data/duplicates.h"
#include "data/mask_check.h"
#include "data/pairing.h"
#include "sam2unet/errors.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using data::MaskKind;

constexpr std::size_t kNamed = 5;  // files named in a line

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < std::min(kNamed, names.size()); ++i) out += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kNamed) out += fmt::format(" and {} more", names.size() - kNamed);
  return out;
}

// What decoding a pair gave.
struct Facts {
  std::string error;  // of the file that cannot be read
  int width = 0, height = 0, mask_width = 0, mask_height = 0;
  bool is_turned = false;  // an EXIF orientation that is not applied
  bool is_deep = false, is_mask_deep = false;
  int brightest = 0;  // grey level of the mask
  data::MaskReport mask;
  data::ClassMaskReport classes;
  data::Fingerprint print;
};

// One of them for each thread.
struct Readers {
  image::PictureReader image, mask;
};

// Of a mask of one foreground.
void examine_mask(const Image& mask, const ImageInfo& info, Facts& f) {
  f.mask_width = mask.width;
  f.mask_height = mask.height;
  f.mask = data::check_mask(mask, info);
  f.brightest = f.mask.brightest;
}

Facts examine(const Pair& pair, Readers& readers, const ClassTable* classes) {
  Facts f;
  try {
    const DecodeOptions as_stored{.mode = ColorMode::rgb, .apply_exif_orientation = false};
    ImageInfo info, mask_info;
    const Image& image = readers.image.read(pair.image, as_stored, &info);
    if (classes != nullptr) {
      f.classes = data::check_class_mask(pair.mask, *classes, &mask_info, &f.mask_width, &f.mask_height);
    } else {
      examine_mask(readers.mask.read(pair.mask, {.mode = ColorMode::rgba, .apply_exif_orientation = false},
                                     &mask_info),
                   mask_info, f);
    }
    const auto turned = [](const ImageInfo& i) {
      return i.format != ImageFormat::tiff && i.orientation != 1;
    };
    f.width = image.width;
    f.height = image.height;
    f.is_turned = turned(info) || turned(mask_info);
    f.is_deep = info.deep;
    f.is_mask_deep = mask_info.deep;
    f.print = data::fingerprint(image);
  } catch (const Error& e) {
    f.error = e.what();
  }
  return f;
}

std::vector<Facts> examine_all(const std::vector<Pair>& pairs, const CheckOptions& options) {
  std::vector<Facts> facts(pairs.size());
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::size_t done = 0;
  std::exception_ptr stop;
  const auto work = [&] {
    Readers readers;
    for (std::size_t i = next++; i < pairs.size(); i = next++) {
      std::exception_ptr error;
      try {
        facts[i] = examine(pairs[i], readers, options.classes);
      } catch (...) {  // no memory
        error = std::current_exception();
      }
      const std::lock_guard lock(mutex);
      ++done;
      try {
        if (error) std::rethrow_exception(error);
        if (options.progress && !stop) options.progress(done, pairs.size());
      } catch (...) {
        stop = std::current_exception();
        next = pairs.size();
      }
    }
  };
  {
    std::vector<std::jthread> pool;
    for (int t = 0; t < std::max(1, options.threads); ++t) pool.emplace_back(work);
  }
  if (stop) std::rethrow_exception(stop);
  return facts;
}

// All pairs of a run with what is known of them; training pairs first.
struct Ward {
  std::vector<Pair> pairs;
  std::size_t train = 0;
  std::vector<Facts> facts;
  std::vector<std::string> bad;  // why a pair cannot be used; empty where it can

  template <class Wanted>
  std::vector<std::string> masks_where(const Wanted& wanted) const {
    return where(wanted, &Pair::mask);
  }
  template <class Wanted>
  std::vector<std::string> images_where(const Wanted& wanted) const {
    return where(wanted, &Pair::image);
  }
  template <class Wanted>
  std::vector<std::string> where(const Wanted& wanted, fs::path Pair::*file) const {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      if (bad[i].empty() && wanted(facts[i])) out.push_back((pairs[i].*file).filename().string());
    }
    return out;
  }
};

// Pictures and masks are resized to one square each for itself, so other sizes of one shape still fit.
bool same_shape(const Facts& f) {
  const double a = static_cast<double>(f.width) / f.height,
               b = static_cast<double>(f.mask_width) / f.mask_height;
  return std::abs(a / b - 1) < 0.02;
}

std::string shapes_of(const Pair& pair, const Facts& f) {
  return fmt::format("{} is {}x{}, its mask {}x{}{}", pair.image.string(), f.width, f.height, f.mask_width,
                     f.mask_height,
                     f.is_turned ? " (an EXIF tag turns one of them; turn the pixels and drop the tag)" : "");
}

void find_bad_classes(Ward& w) {
  for (std::size_t i = 0; i < w.pairs.size(); ++i) {
    const Facts& f = w.facts[i];
    if (!f.error.empty()) {
      w.bad[i] = f.error;
    } else if (!same_shape(f)) {
      w.bad[i] = shapes_of(w.pairs[i], f);
    } else if (!f.classes.unknown.empty()) {
      w.bad[i] = fmt::format("{}: {}", w.pairs[i].mask.string(), describe(f.classes.unknown));
    }
  }
}

// What `doctor` says of the masks that are used, and what training data lacks.
void note_classes(const Ward& w, const ClassTable& table, const Notes& note) {
  std::vector<data::CheckedClassMask> all, train;
  for (std::size_t i = 0; i < w.pairs.size(); ++i) {
    if (!w.bad[i].empty()) continue;
    all.push_back({w.pairs[i].mask, w.facts[i].classes});
    if (i < w.train) train.push_back(all.back());
  }
  for (const Finding& f : data::class_findings(all, table)) {
    if (f.kind != "class-never-occurs") note("warning: " + f.message);
  }
  for (const Finding& f : data::class_findings(train, table)) {
    if (f.kind == "class-never-occurs") note("warning: training pictures: " + f.message);
  }
  const ClassCensus census = data::class_census(train, table);
  if (std::all_of(census.classes.begin() + 1, census.classes.end(),
                  [](const auto& c) { return c.pixels == 0; })) {
    throw UsageError(
        "no training mask has a pixel of any class but the background: check the class file and --masks");
  }
}

void find_bad(Ward& w) {
  // A data set is told by the folder of its masks.
  std::map<fs::path, int> brightest;
  for (std::size_t i = 0; i < w.pairs.size(); ++i) {
    int& level = brightest[w.pairs[i].mask.parent_path()];
    level = std::max(level, w.facts[i].brightest);
  }
  for (std::size_t i = 0; i < w.pairs.size(); ++i) {
    Pair& pair = w.pairs[i];
    const Facts& f = w.facts[i];
    pair.zero_one = brightest[pair.mask.parent_path()] == 1;
    if (!f.error.empty()) {
      w.bad[i] = f.error;
    } else if (!same_shape(f)) {
      w.bad[i] = shapes_of(pair, f);
    } else if (f.mask.kind == MaskKind::alpha) {
      w.bad[i] = fmt::format(
          "{} keeps its shape in alpha alone, which is not read; save the alpha channel as the mask",
          pair.mask.string());
    } else if (!pair.zero_one && f.brightest == 1) {
      w.bad[i] = fmt::format("{} has 0 and 1 while others of its folder go up to {}; multiply it by 255",
                             pair.mask.string(), brightest[pair.mask.parent_path()]);
    } else if (!pair.zero_one && f.brightest > 0 && f.brightest <= 128) {
      w.bad[i] =
          fmt::format("{} has no level above {}, so nothing in it means foreground; write 255 for foreground",
                      pair.mask.string(), f.brightest);
    }
  }
}

void note_scaled(const Ward& w, const Notes& note) {
  std::map<fs::path, std::size_t> scaled;
  for (std::size_t i = 0; i < w.pairs.size(); ++i) {
    if (w.pairs[i].zero_one) ++scaled[w.pairs[i].mask.parent_path()];
  }
  for (const auto& [folder, n] : scaled) {
    note(fmt::format("{}: the {} masks hold 0 and 1; 1 is taken as 255", folder.string(), n));
  }
}

void note_masks(const Ward& w, const Notes& note) {
  const auto warn = [&](MaskKind kind, const char* what) {
    const auto names = w.masks_where([&](const Facts& f) { return f.mask.kind == kind; });
    if (!names.empty()) note(fmt::format("warning: {} {}: {}", names.size(), what, listed(names)));
  };
  warn(MaskKind::empty,
       "masks are empty, which teaches that nothing is there (--loss structure-empty is for such data)");
  warn(MaskKind::jpeg_noise, "masks have levels that lossy compression left, noise around every edge");
  warn(MaskKind::colour, "masks are in colour and are read as gray");
  warn(MaskKind::class_ids,
       "masks hold several flat levels, perhaps numbers of classes, which are read as degrees of "
       "foreground");
  const auto clipped = [&](const std::vector<std::string>& names, const char* what) {
    if (names.empty()) return;
    note(fmt::format(
        "warning: {} {} gray of 16 bits or floating point, whose levels above 255 are clipped as Pillow "
        "clips them: {}; scale them to 8 bits",
        names.size(), what, listed(names)));
  };
  clipped(w.images_where([](const Facts& f) { return f.is_deep; }), "pictures are");
  clipped(w.masks_where([](const Facts& f) { return f.is_mask_deep; }), "masks are");
  const auto turned = w.masks_where([](const Facts& f) { return f.is_turned; });
  if (!turned.empty()) {
    note(fmt::format("warning: {} pairs have an EXIF orientation, which is ignored as the reference does: {}",
                     turned.size(), listed(turned)));
  }
  const auto other =
      w.masks_where([](const Facts& f) { return f.width != f.mask_width || f.height != f.mask_height; });
  if (!other.empty()) {
    note(fmt::format("warning: {} masks have another size than their pictures, though the same shape: {}",
                     other.size(), listed(other)));
  }
  const auto full = w.masks_where([](const Facts& f) { return f.mask.kind != MaskKind::empty; });
  const auto inverted =
      w.masks_where([](const Facts& f) { return f.mask.kind != MaskKind::empty && f.mask.foreground > 0.5; });
  if (full.size() >= 3 && inverted.size() * 10 >= full.size() * 9) {
    note(fmt::format(
        "warning: in {} of {} masks most pixels are foreground: if foreground is black in them, invert all "
        "masks (255 - value)",
        inverted.size(), full.size()));
  }
}

// Pictures that are the same in both parts make the validation look better than it is.
void note_duplicates(const Ward& w, const Notes& note) {
  if (w.train == w.pairs.size()) return;
  std::vector<std::size_t> index;
  std::vector<data::Fingerprint> prints;
  for (std::size_t i = 0; i < w.pairs.size(); ++i) {
    if (!w.bad[i].empty()) continue;
    index.push_back(i);
    prints.push_back(w.facts[i].print);
  }
  std::vector<std::string> names;
  for (const auto& group : data::group_duplicates(prints)) {
    const auto is_train = [&](std::size_t k) { return index[k] < w.train; };
    const auto train = std::find_if(group.begin(), group.end(), is_train);
    const auto validation = std::find_if_not(group.begin(), group.end(), is_train);
    if (train == group.end() || validation == group.end()) continue;
    names.push_back(w.pairs[index[*train]].image.filename().string() + " ~ " +
                    w.pairs[index[*validation]].image.filename().string());
  }
  if (!names.empty()) {
    note(
        fmt::format("warning: {} pictures are alike in the training and the validation data; if they are the "
                    "same, its results "
                    "will look better than they are: {}",
                    names.size(), listed(names)));
  }
}

void drop_bad(Ward& w, const CheckOptions& options) {
  std::vector<std::string> reasons;
  for (const auto& b : w.bad) {
    if (!b.empty()) reasons.push_back(b);
  }
  if (!reasons.empty() && !options.skip_bad) {
    std::string text;
    for (std::size_t i = 0; i < std::min(kNamed, reasons.size()); ++i)
      text += (i == 0 ? "" : "; ") + reasons[i];
    if (reasons.size() > kNamed) text += fmt::format("; and {} more", reasons.size() - kNamed);
    throw ImageError(fmt::format(
        "{} of {} pairs cannot be used: {}. Mend or remove them (`sam2unet doctor` names all), or leave them "
        "out with --skip-bad",
        reasons.size(), w.pairs.size(), text));
  }
  for (const auto& r : reasons) options.note("left out: " + r);
}

// Parts that differ in size by one at most, by an order that neither seed nor folder decides, so that runs of
// other seeds have the same parts.
void split_folds(Data& data, const Fold& fold) {
  if (data.train.size() < static_cast<std::size_t>(fold.count)) {
    throw UsageError(
        fmt::format("--fold {}/{}: there are {} pictures", fold.index, fold.count, data.train.size()));
  }
  constexpr std::uint64_t kFoldSeed = 0x464F4C44;
  const auto order = shuffled(data.train.size(), kFoldSeed, 0);
  std::vector<bool> held(order.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    held[order[i]] = i % static_cast<std::size_t>(fold.count) == static_cast<std::size_t>(fold.index - 1);
  std::vector<Pair> rest;
  for (std::size_t i = 0; i < held.size(); ++i) (held[i] ? data.validation : rest).push_back(data.train[i]);
  data.train = std::move(rest);
}

}  // namespace

std::vector<Pair> find_pairs(const fs::path& images, const fs::path& masks, const FindOptions& options,
                             const Notes& note) {
  const data::Pairing found =
      data::pair_by_name({images, options.image_affix}, {masks, options.mask_affix}, {options.recursive});
  if (!found.first_alone.empty()) {
    const std::string text = data::describe_unpaired(found.first_alone, masks, kNamed);
    if (!options.skip_bad) {
      throw UsageError(text + ". Add the masks, remove the pictures, or leave them out with --skip-bad");
    }
    if (note) note("left out: " + text);
  }
  if (!found.second_alone.empty() && note) {
    note("warning: " + data::describe_unpaired(found.second_alone, images, kNamed));
  }
  if (!found.not_read.empty() && note) note("warning: " + describe_not_read(found.not_read));
  std::vector<Pair> out;
  for (const auto& p : found.pairs) out.push_back({p.first, p.second});
  return out;
}

Data find_data(const Settings& s, const Notes& note) {
  const auto all_pairs = [&](const std::vector<std::string>& images, const std::vector<std::string>& masks) {
    std::vector<Pair> out;
    for (std::size_t i = 0; i < images.size(); ++i) {
      const FindOptions options{
          s.recursive, s.skip_bad, {s.image_prefix, s.image_suffix}, {s.mask_prefix, s.mask_suffix}};
      const auto some = find_pairs(images[i], masks[i], options, note);
      out.insert(out.end(), some.begin(), some.end());
    }
    return out;
  };
  Data data{all_pairs(s.images, s.masks), all_pairs(s.val_images, s.val_masks)};
  if (s.fold.count > 0) {
    split_folds(data, s.fold);
  } else if (s.val_split > 0 && data.validation.empty()) {
    const auto order = shuffled(data.train.size(), s.seed, ~0ULL);
    const auto n = static_cast<std::size_t>(std::lround(s.val_split * static_cast<double>(order.size())));
    std::vector<Pair> rest;
    for (std::size_t i = 0; i < order.size(); ++i)
      (i < n ? data.validation : rest).push_back(data.train[order[i]]);
    data.train = std::move(rest);
  }
  return data;
}

void check_data(Data& data, const CheckOptions& options) {
  Ward w;
  w.pairs = data.train;
  w.train = data.train.size();
  w.pairs.insert(w.pairs.end(), data.validation.begin(), data.validation.end());
  w.facts = examine_all(w.pairs, options);
  w.bad.resize(w.pairs.size());
  if (options.classes != nullptr) {
    find_bad_classes(w);
  } else {
    find_bad(w);
  }
  drop_bad(w, options);
  if (options.classes != nullptr) {
    note_classes(w, *options.classes, options.note);
  } else {
    note_scaled(w, options.note);
    note_masks(w, options.note);
  }
  note_duplicates(w, options.note);
  data = {};
  bool has_foreground = options.classes != nullptr;  // looked for above
  for (std::size_t i = 0; i < w.pairs.size(); ++i) {
    if (!w.bad[i].empty()) continue;
    (i < w.train ? data.train : data.validation).push_back(w.pairs[i]);
    has_foreground = has_foreground || (i < w.train && w.facts[i].mask.kind != MaskKind::empty);
  }
  if (data.train.empty()) throw UsageError("no picture is left to train on");
  if (!has_foreground) {
    throw UsageError(
        fmt::format("all {} masks to train on are empty (such as {}): there is nothing to learn; check "
                    "--masks",
                    data.train.size(), data.train.front().mask.string()));
  }
}

void note_large_batch(const Settings& s, std::size_t pictures, const Notes& note) {
  if (static_cast<std::size_t>(std::max(0, s.batch)) <= pictures || !note) return;
  note(fmt::format(
      "warning: --batch {} is more than the {} picture{}: every epoch is one step of {}; {} step{} in all "
      "{} hardly a training",
      s.batch, pictures, pictures == 1 ? "" : "s", pictures, s.epochs, s.epochs == 1 ? "" : "s",
      s.epochs == 1 ? "is" : "are"));
}

}  // namespace sam2unet::train
