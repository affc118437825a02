#include "sam2unet/doctor.h"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>

#include "commands.h"
#include "outputs.h"
#include "progress.h"
#include "sam2unet/files.h"
#include "sides.h"

namespace sam2unet::cli {
namespace {

struct Arguments {
  DoctorOptions options;
  std::string json, classes;
  std::size_t names = 5;
};

std::string listed(const std::vector<std::filesystem::path>& files, std::size_t most) {
  std::string out;
  for (std::size_t i = 0; i < files.size() && i < most; ++i)
    out += fmt::format("    {}\n", files[i].string());
  if (files.size() > most) out += fmt::format("    and {} more\n", files.size() - most);
  return out;
}

std::string text_of(const ClassCensus& census) {
  if (census.pixels == 0) return {};
  std::string out = "pixels of each class:\n";
  const auto line = [&](const std::string& name, std::int64_t pixels, const std::string& masks) {
    out += fmt::format("  {:>12} {:6.2f} %  {}{}\n", pixels,
                       100.0 * static_cast<double>(pixels) / static_cast<double>(census.pixels), name, masks);
  };
  for (std::size_t i = 0; i < census.classes.size(); ++i) {
    const ClassCensus::Class& c = census.classes[i];
    line(fmt::format("{} {}", i, c.name), c.pixels, fmt::format(", in {} masks", c.masks));
  }
  line("ignored", census.ignored_pixels, "");
  return out;
}

std::string text_of(const Diagnosis& d, std::size_t most) {
  std::string out;
  for (const Finding& f : d.findings) {
    out += fmt::format("{}: {}\n", f.kind, f.message);
    if (f.groups.empty()) {
      out += listed(f.files, most);
    } else {
      for (std::size_t i = 0; i < f.groups.size() && i < most; ++i) {
        std::string group;
        for (const auto& file : f.groups[i]) group += (group.empty() ? "" : " ~ ") + file.string();
        out += fmt::format("    {}\n", group);
      }
      if (f.groups.size() > most) out += fmt::format("    and {} more\n", f.groups.size() - most);
    }
    out += fmt::format("  mend: {}\n", f.remedy);
  }
  out += text_of(d.census);
  return out + fmt::format("{} pictures, {} pairs: {}\n", d.images, d.pairs,
                           d.clean() ? std::string("nothing found")
                                     : fmt::format("{} of trouble",
                                                   d.findings.size() == 1
                                                       ? "one kind"
                                                       : fmt::format("{} kinds", d.findings.size())));
}

void run(const Arguments& a) {
  check_result_files({a.json});
  DoctorOptions options = a.options;
  if (!a.classes.empty()) options.classes = class_table_of(a.classes);
  std::optional<Progress> progress;
  std::size_t last = 0;
  options.progress = [&](std::size_t done, std::size_t total) {
    if (!progress) progress.emplace(total, "files");
    progress->advance(done - last);
    last = done;
  };
  const Diagnosis d = with_hints({"images", "image"}, {"masks", "mask"}, [&] { return diagnose(options); });
  if (progress) progress->finish();
  if (a.json == "-") {
    const std::string json = to_json(d);
    write_stdout(json.data(), json.size());
  } else {
    const std::string text = text_of(d, a.names);
    write_stdout(text.data(), text.size());
    if (!a.json.empty()) write_atomically(a.json, to_json(d));
  }
  if (!d.clean()) throw Failed{};
}

}  // namespace

void add_doctor(CLI::App& app) {
  auto* c = app.add_subcommand("doctor", "Find what would silently ruin a training or an evaluation");
  auto a = std::make_shared<Arguments>();
  c->add_option("--images", a->options.images, "folder of pictures, or a pattern ('Imgs/*.jpg')")->required();
  c->add_option("--masks", a->options.masks, "folder of their masks, or a pattern")->required();
  c->add_option("--test-images", a->options.test_images,
                "folder of test pictures, none of which may be among the others");
  c->add_option("--classes", a->classes, "masks hold ids of classes: a class file, or a number of classes")
      ->type_name("FILE|N");
  add_affix_options(*c, "image", a->options.image_affix);
  add_affix_options(*c, "mask", a->options.mask_affix);
  add_recursive_option(*c, a->options.recursive);
  c->add_option("--json", a->json, "write the findings to FILE (-: standard output)")->type_name("FILE");
  c->add_option("--show", a->names, "files named for each finding")->capture_default_str();
  c->add_option("-j,--threads", a->options.threads, "threads (0: all cores)")->check(CLI::Range(0, 1024));
  c->footer(
      "Looks for unpaired and unreadable files, formats that are not read, different sizes, masks of 0 and "
      "1, in\n"
      "colour, in alpha, of class numbers, with JPEG noise, empty or inverted ones, 16-bit and float "
      "pictures,\n"
      "EXIF-rotated ones, and pictures that are alike. Exit code 0: nothing found, 1: something found.\n"
      "Example: sam2unet doctor --images train/image --masks train/mask --test-images test/image");
  c->callback([a] { run(*a); });
}

}  // namespace sam2unet::cli
