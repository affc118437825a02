#include "sam2unet/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "data/class_check.h"
#include "data/duplicates.h"
#include "data/mask_check.h"
#include "data/pairing.h"
#include "sam2unet/cores.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"

namespace sam2unet {

namespace {

namespace fs = std::filesystem;
using data::MaskKind;

struct Size {
  int width = 0, height = 0;
  bool operator==(const Size&) const = default;
};

enum class Role { picture, mask, test_picture };

// What reading one file gave.
struct Patient {
  fs::path file;
  Role role = Role::picture;
  std::string error;
  Size stored, upright;  // as the pixels lie in the file, and as EXIF says they are meant
  int orientation = 1;
  bool is_deep = false;
  data::Fingerprint fingerprint;  // of pictures
  data::MaskReport mask;          // of masks of one foreground
  data::ClassMaskReport classes;  // of masks of classes

  bool is_mask() const { return role == Role::mask; }
  bool is_test() const { return role == Role::test_picture; }
};

void take_size(Patient& p, const ImageInfo& info, int width, int height) {
  p.stored = p.upright = {width, height};
  // TIFF is turned while it is read, by Pillow as by us.
  p.orientation = info.format == ImageFormat::tiff ? 1 : info.orientation;
  if (p.orientation >= 5 && p.orientation <= 8) p.upright = {height, width};
}

void examine(Patient& p, const ClassTable& classes) {
  try {
    ImageInfo info;
    if (p.is_mask() && !classes.empty()) {
      int width = 0, height = 0;
      p.classes = data::check_class_mask(p.file, classes, &info, &width, &height);
      take_size(p, info, width, height);
      return;
    }
    const ColorMode mode = p.is_mask() ? ColorMode::rgba : ColorMode::rgb;
    const Image rgb = read_image(p.file, {.mode = mode, .apply_exif_orientation = false}, &info);
    take_size(p, info, rgb.width, rgb.height);
    p.is_deep = info.deep;
    if (p.is_mask()) {
      p.mask = data::check_mask(rgb, info);
    } else {
      p.fingerprint = data::fingerprint(apply_orientation(rgb, p.orientation));
    }
  } catch (const std::exception& e) {
    p.error = e.what();
  }
}

void examine_all(std::vector<Patient>& patients, const DoctorOptions& options) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::size_t done = 0;
  std::exception_ptr stop;
  const auto work = [&] {
    for (std::size_t i = next++; i < patients.size(); i = next++) {
      examine(patients[i], options.classes);
      const std::lock_guard lock(mutex);
      ++done;
      if (!options.progress || stop) continue;
      try {
        options.progress(done, patients.size());
      } catch (...) {
        stop = std::current_exception();
        next = patients.size();
      }
    }
  };
  {
    const unsigned wanted = static_cast<unsigned>(options.threads > 0 ? options.threads : available_cores());
    std::vector<std::jthread> pool;
    for (std::size_t k = 0; k < std::clamp<std::size_t>(wanted, 1, std::max<std::size_t>(1, patients.size()));
         ++k)
      pool.emplace_back(work);
  }
  if (stop) std::rethrow_exception(stop);
}

std::string count_of(std::size_t n, const char* one, const char* many) {
  return fmt::format("{} {}", n, n == 1 ? one : many);
}

class Findings {
 public:
  /// Nothing is added for no files.
  void add(std::string kind, std::string message, std::string remedy, std::vector<fs::path> files) {
    if (!files.empty())
      found_.push_back({std::move(kind), std::move(message), std::move(remedy), std::move(files), {}});
  }
  void add(Finding finding) { found_.push_back(std::move(finding)); }
  std::vector<Finding> take() { return std::move(found_); }

 private:
  std::vector<Finding> found_;
};

template <typename Wanted>
std::vector<fs::path> files_of(const std::vector<Patient>& patients, const Wanted& wanted) {
  std::vector<fs::path> out;
  for (const Patient& p : patients) {
    if (wanted(p)) out.push_back(p.file);
  }
  return out;
}

void look_at_files(const std::vector<Patient>& patients, Findings& out) {
  const auto unreadable = files_of(patients, [](const Patient& p) { return !p.error.empty(); });
  std::string first;
  for (const Patient& p : patients) {
    if (first.empty()) first = p.error;
  }
  out.add("unreadable",
          fmt::format("{} cannot be read: {}", count_of(unreadable.size(), "file", "files"), first),
          "Get the file again from its source, or remove it together with its partner.", unreadable);
  const auto turned =
      files_of(patients, [](const Patient& p) { return p.error.empty() && p.orientation != 1; });
  out.add("exif-rotated",
          fmt::format("{} stored turned, with an EXIF tag that says so: the reference ignores the tag, so "
                      "picture and mask "
                      "may lie across each other",
                      count_of(turned.size(), "file is", "files are")),
          "Turn the pixels and drop the tag (`mogrify -auto-orient`, `exiftran -a -i`), for pictures and "
          "masks alike.",
          turned);
  const auto is_deep = [](const Patient& p) { return p.error.empty() && p.is_deep; };
  const auto deep_pictures = files_of(patients, [&](const Patient& p) { return is_deep(p) && !p.is_mask(); });
  const auto deep_masks = files_of(patients, [&](const Patient& p) { return is_deep(p) && p.is_mask(); });
  out.add(
      "deep-image",
      fmt::format("{} gray of 16 bits or floating point: levels are clipped to 0..255 as Pillow does, which "
                  "makes most such pictures white, or black",
                  count_of(deep_pictures.size(), "picture is", "pictures are")),
      "Scale them to 8 bits, all by one range (a window of the modality, or their least and greatest level).",
      deep_pictures);
  out.add(
      "deep-mask",
      fmt::format("{} gray of 16 bits or floating point: readers bring them to 8 bits in different ways, and "
                  "evaluation refuses them",
                  count_of(deep_masks.size(), "mask is", "masks are")),
      "Save them with 8 bits, foreground as 255.", deep_masks);
}

void look_at_masks(const std::vector<Patient>& patients, Findings& out) {
  const auto of_kind = [&](MaskKind kind) {
    return files_of(
        patients, [kind](const Patient& p) { return p.is_mask() && p.error.empty() && p.mask.kind == kind; });
  };
  const auto add = [&](MaskKind kind, const char* name, const char* one, const char* many, const char* what,
                       const char* remedy) {
    const std::vector<fs::path> files = of_kind(kind);
    out.add(name, fmt::format("{} {}", count_of(files.size(), one, many), what), remedy, files);
  };
  add(MaskKind::alpha, "alpha-mask", "mask keeps", "masks keep",
      "the shape in alpha alone, which is not read: seen is one colour all over",
      "Save the alpha channel as the mask, gray with 8 bits.");
  add(MaskKind::zero_one, "zero-one-mask", "mask has", "masks have",
      "0 and 1 instead of 0 and 255: divided by 255 the foreground becomes 0.004, and evaluation sees none",
      "Multiply the masks by 255.");
  int brightest = 1;
  for (const Patient& p : patients) {
    if (p.is_mask() && p.error.empty() && p.mask.kind == MaskKind::dim)
      brightest = std::max(brightest, p.mask.brightest);
  }
  const std::string dim = fmt::format(
      "no level above 128 (the highest is {}): evaluation counts what is above 128, so it sees no foreground",
      brightest);
  const std::string factor =
      fmt::format("Set the foreground to 255, or multiply by {:.3g}.", 255.0 / brightest);
  add(MaskKind::dim, "dim-mask", "mask has", "masks have", dim.c_str(), factor.c_str());
  add(MaskKind::class_ids, "class-id-mask", "mask holds", "masks hold",
      "numbers of classes (three or more flat levels) instead of foreground and background",
      "Choose the classes that are foreground, and write 255 for them and 0 for the others.");
  add(MaskKind::colour, "colour-mask", "mask is", "masks are",
      "in colour: read as gray, each colour becomes another level, and red or blue count as background",
      "Turn the colour that means foreground into 255 and every other into 0, in one channel.");
  add(MaskKind::jpeg_noise, "jpeg-noise-mask", "mask has", "masks have",
      "levels near 0 and 255 that lossy compression left: labels are noisy around every edge",
      "Set what is above 127 to 255 and the rest to 0, and save as PNG.");
  add(MaskKind::empty, "empty-mask", "mask is", "masks are",
      "empty: most measures are 0 there whatever is predicted, and training learns to predict nothing",
      "Remove them if they are mistakes; evaluate by skip or one-if-correct if they are meant.");

  std::size_t seen = 0;
  std::vector<fs::path> mostly;
  for (const Patient& p : patients) {
    if (!p.is_mask() || !p.error.empty() || p.mask.kind == MaskKind::empty || p.mask.kind == MaskKind::alpha)
      continue;
    ++seen;
    if (p.mask.foreground > 0.5) mostly.push_back(p.file);
  }
  if (seen >= 3 && mostly.size() * 10 >= seen * 9) {
    out.add(
        "inverted-masks",
        fmt::format("in {} of {} masks most pixels are foreground: they look inverted", mostly.size(), seen),
        "If foreground is black in them, invert all masks (255 - value).", mostly);
  }
}

void look_at_class_masks(const std::vector<Patient>& patients, const ClassTable& table, Findings& out,
                         ClassCensus& census) {
  std::vector<data::CheckedClassMask> masks;
  for (const Patient& p : patients) {
    if (p.is_mask() && p.error.empty()) masks.push_back({p.file, p.classes});
  }
  for (Finding& f : data::class_findings(masks, table)) out.add(std::move(f));
  census = data::class_census(masks, table);
}

void look_at_sizes(const std::vector<data::Pair>& pairs, const std::map<fs::path, const Patient*>& by_file,
                   Findings& out) {
  std::vector<fs::path> files;
  std::string example;
  for (const data::Pair& pair : pairs) {
    const Patient& image = *by_file.at(pair.first);
    const Patient& mask = *by_file.at(pair.second);
    if (!image.error.empty() || !mask.error.empty()) continue;
    // A mask that fits the picture once it is turned upright is the finding about EXIF.
    if (image.stored == mask.stored || image.upright == mask.upright) continue;
    if (files.empty()) {
      example = fmt::format("{} is {}x{}, its mask {}x{}", pair.first.filename().string(), image.stored.width,
                            image.stored.height, mask.stored.width, mask.stored.height);
    }
    files.push_back(pair.first);
  }
  out.add("size-mismatch",
          fmt::format("{} another size than the mask ({}): they may not belong together",
                      count_of(files.size(), "picture has", "pictures have"), example),
          "Check that the pairs belong together; if they do, resize the masks to their pictures with nearest "
          "neighbour.",
          files);
}

void look_for_duplicates(const std::vector<Patient>& patients, Findings& out) {
  std::vector<const Patient*> pictures;
  std::vector<data::Fingerprint> prints;
  for (const Patient& p : patients) {
    if (p.is_mask() || !p.error.empty()) continue;
    pictures.push_back(&p);
    prints.push_back(p.fingerprint);
  }
  Finding inside{
      "duplicate",
      "",
      "Look at them: of the same ones keep one, and compare their masks, of which one is wrong where they "
      "differ.",
      {},
      {}};
  Finding across{"train-test-duplicate",
                 "",
                 "Look at them, and remove the same ones from the training pictures.",
                 {},
                 {}};
  for (const std::vector<std::size_t>& group : data::group_duplicates(prints)) {
    std::vector<fs::path> files;
    bool train = false, test = false;
    for (const std::size_t i : group) {
      files.push_back(pictures[i]->file);
      (pictures[i]->is_test() ? test : train) = true;
    }
    Finding& finding = train && test ? across : inside;
    finding.files.insert(finding.files.end(), files.begin(), files.end());
    finding.groups.push_back(std::move(files));
  }
  if (!inside.groups.empty()) {
    inside.message = fmt::format("{} of pictures are alike: if they are the same, they count more than once",
                                 count_of(inside.groups.size(), "group", "groups"));
    out.add(std::move(inside));
  }
  if (!across.groups.empty()) {
    across.message = fmt::format(
        "{} alike in the training and the test pictures: if they are the same, results on the test pictures "
        "are too "
        "good",
        count_of(across.groups.size(), "picture is", "pictures are"));
    out.add(std::move(across));
  }
}

}  // namespace

Diagnosis diagnose(const DoctorOptions& options) {
  if (options.threads < 0 || options.threads > 1024) throw UsageError("threads must lie between 0 and 1024");
  if (!options.classes.empty()) check_class_table(options.classes);
  const data::PairOptions how{options.recursive};
  const data::Pairing pairing =
      data::pair_by_name({options.images, options.image_affix}, {options.masks, options.mask_affix}, how);
  std::vector<fs::path> not_read = pairing.not_read;
  std::vector<Patient> patients;
  const auto admit = [&](const fs::path& file, Role role) {
    Patient p;
    p.file = file;
    p.role = role;
    patients.push_back(std::move(p));
  };
  for (const data::Pair& pair : pairing.pairs) {
    admit(pair.first, Role::picture);
    admit(pair.second, Role::mask);
  }
  for (const fs::path& file : pairing.first_alone) admit(file, Role::picture);
  for (const fs::path& file : pairing.second_alone) admit(file, Role::mask);
  if (!options.test_images.empty()) {
    const PictureList test = list_pictures(options.test_images, how.subfolders());
    for (const ListedPicture& picture : test.pictures) admit(picture.file, Role::test_picture);
    not_read.insert(not_read.end(), test.not_read.begin(), test.not_read.end());
  }
  examine_all(patients, options);

  Diagnosis out;
  out.pairs = pairing.pairs.size();
  std::map<fs::path, const Patient*> by_file;
  for (const Patient& p : patients) {
    out.images += p.is_mask() ? 0 : 1;
    if (!p.is_test()) by_file[p.file] = &p;
  }
  Findings findings;
  findings.add("unpaired-image",
               fmt::format("{} no mask of the same name",
                           count_of(pairing.first_alone.size(), "picture has", "pictures have")),
               "Add the missing masks, or remove the pictures; names pair without their extension, upper and "
               "lower case apart.",
               pairing.first_alone);
  findings.add("unpaired-mask",
               fmt::format("{} no picture of the same name",
                           count_of(pairing.second_alone.size(), "mask has", "masks have")),
               "Add the missing pictures, or remove the masks; names pair without their extension, upper and "
               "lower case apart.",
               pairing.second_alone);
  findings.add("format-not-read",
               fmt::format("{} of a picture format that is not read: HEIC, AVIF, JPEG 2000, raw or the like",
                           count_of(not_read.size(), "file is", "files are")),
               "Convert them to JPEG or PNG.", not_read);
  look_at_files(patients, findings);
  look_at_sizes(pairing.pairs, by_file, findings);
  if (options.classes.empty()) {
    look_at_masks(patients, findings);
  } else {
    look_at_class_masks(patients, options.classes, findings, out.census);
  }
  look_for_duplicates(patients, findings);
  out.findings = findings.take();
  return out;
}

std::string to_json(const Diagnosis& d) {
  using Json = nlohmann::ordered_json;
  const auto names = [](const std::vector<fs::path>& files) {
    Json list = Json::array();
    for (const fs::path& f : files) list.push_back(f.string());
    return list;
  };
  Json out{{"images", d.images}, {"pairs", d.pairs}, {"clean", d.clean()}, {"findings", Json::array()}};
  for (const Finding& f : d.findings) {
    Json finding{{"kind", f.kind}, {"message", f.message}, {"remedy", f.remedy}, {"files", names(f.files)}};
    if (!f.groups.empty()) {
      finding["groups"] = Json::array();
      for (const auto& group : f.groups) finding["groups"].push_back(names(group));
    }
    out["findings"].push_back(std::move(finding));
  }
  if (!d.census.classes.empty()) {
    Json each = Json::array();
    for (std::size_t i = 0; i < d.census.classes.size(); ++i) {
      const ClassCensus::Class& c = d.census.classes[i];
      each.push_back({{"id", i}, {"name", c.name}, {"pixels", c.pixels}, {"masks", c.masks}});
    }
    out["classes"] = {
        {"each", std::move(each)}, {"ignored_pixels", d.census.ignored_pixels}, {"pixels", d.census.pixels}};
  }
  return out.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sam2unet
