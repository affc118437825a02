#include <fmt/format.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "class_choice.h"
#include "commands.h"
#include "device.h"
#include "passes.h"
#include "pipeline.h"
#include "progress.h"
#include "sam2unet/errors.h"
#include "sam2unet/files.h"
#include "size.h"

namespace sam2unet::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::vector<std::string> inputs;
  std::string output;
  std::vector<std::string> saves = {"map"};
  std::string size;
  std::string weights, classes;
  std::vector<std::string> class_names;
  int threads = 0;
  std::string device = "cpu";
  Precision precision = Precision::automatic;
  int pillow = 12;
  int batch = 0;
  std::string fit;  // empty: as the weights were trained
  PassArguments passes;
  bool recursive = false;
  bool verbose = false;
  ResultOptions results;
};

std::vector<Save> parse_saves(const std::vector<std::string>& names) {
  std::vector<Save> out;
  for (const Save save : results::kSaves) {
    if (std::find(names.begin(), names.end(), name_of(save)) != names.end()) out.push_back(save);
  }
  return out;
}

// Where the results go.
struct Target {
  fs::path folder;
  bool to_stdout = false;
  fs::path file;  // of the only result, if that is what -o names
};

// -o FILE.png, as of one picture: a name with a picture's extension that is no folder.
bool names_a_file(const std::string& output, const std::vector<Save>& saves) {
  const fs::path path = output;
  std::error_code ignored;
  if (!path.has_filename() || fs::is_directory(path, ignored)) return false;
  return has_image_extension(path) || (path.extension() == ".json" && saves == std::vector{Save::json});
}

Target file_target(const std::string& output, const std::vector<Save>& saves,
                   const std::vector<Input>& pictures) {
  const fs::path path = output;
  if (pictures.size() != 1) {
    throw UsageError(
        fmt::format("-o {} names one file, for {} pictures; give a folder: -o DIR", output, pictures.size()));
  }
  if (saves.size() != 1) {
    throw UsageError(
        fmt::format("-o {} names one file, for {} kinds of results; choose one with --save, or give a "
                    "folder: -o DIR",
                    output, saves.size()));
  }
  const char* extension = saves[0] == Save::json ? ".json" : ".png";
  if (path.extension() != extension && path.extension() != (saves[0] == Save::json ? ".JSON" : ".PNG")) {
    throw UsageError(fmt::format("-o {}: a {} is written as {}; name it so, or give a folder: -o DIR", output,
                                 name_of(saves[0]), extension));
  }
  std::error_code ignored;
  if (!pictures[0].from_stdin() && fs::equivalent(pictures[0].file, path, ignored))
    throw UsageError(fmt::format("-o {} is the picture itself; choose another name", output));
  return {path.has_parent_path() ? path.parent_path() : fs::path("."), false, path};
}

Target target_of(const Arguments& a, const std::vector<Input>& pictures) {
  const bool one_from_stdin = pictures.size() == 1 && pictures[0].from_stdin();
  if (a.output.empty() && !one_from_stdin) {
    throw UsageError("where should the results go? Give a folder: -o DIR");
  }
  const auto& saves = a.results.saves;
  if (!a.output.empty() && a.output != "-") {
    if (names_a_file(a.output, saves)) return file_target(a.output, saves, pictures);
    return {a.output, false, {}};
  }
  if (saves.size() != 1) {
    throw UsageError(
        "standard output takes one kind of result: choose one with --save, or give a folder: -o DIR");
  }
  if (saves[0] == Save::json) return {{}, true, {}};
  if (pictures.size() > 1) {
    throw UsageError(fmt::format("standard output takes one picture's {}, not {}; give a folder: -o DIR",
                                 name_of(saves[0]), pictures.size()));
  }
  if (::isatty(STDOUT_FILENO) == 1) {
    throw UsageError(
        "standard output is a terminal, which shows no PNG: redirect it, or give a folder: -o DIR");
  }
  return {{}, true, {}};
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error && !fs::is_directory(folder)) error = std::make_error_code(std::errc::not_a_directory);
  if (!error && ::access(folder.c_str(), W_OK | X_OK) != 0) error = {errno, std::generic_category()};
  if (error)
    throw FileError(fmt::format("cannot write into the folder {}: {}", folder.string(), error.message()));
}

std::atomic<Pipeline*> running = nullptr;

// The first Ctrl-C finishes the pictures underway, the second ends the program.
void on_interrupt(int signal) {
  std::signal(signal, SIG_DFL);
  if (Pipeline* p = running.load()) p->stop();
}

struct Interruptible {
  explicit Interruptible(Pipeline& p) {
    running = &p;
    std::signal(SIGINT, on_interrupt);
    std::signal(SIGTERM, on_interrupt);
    std::signal(SIGPIPE, SIG_IGN);  // `| head` ends the run by an error, which leaves no temporary file
  }
  ~Interruptible() {
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
    std::signal(SIGPIPE, SIG_DFL);
    running = nullptr;
  }
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;
};

class Prediction {
 public:
  explicit Prediction(Arguments& a) : args_(a) {
    args_.results.saves = parse_saves(a.saves);
    options_.size = parse_size(a.size);
    options_.official = a.results.official;
    if (!a.fit.empty()) options_.fit = parse_fit(a.fit);
    options_.pillow = a.pillow == 13 ? PillowVersion::v13 : PillowVersion::v12;
    apply(a.passes, options_);
  }

  void run() {
    Inputs inputs = collect_inputs(args_.inputs, args_.recursive);
    if (inputs.pictures.empty() && inputs.problems.size() == 1) throw FileError(inputs.problems[0]);
    for (const auto& problem : inputs.problems) complain(problem);
    if (inputs.pictures.empty()) throw FileError("there is nothing to segment");
    target_ = target_of(args_, inputs.pictures);
    if (!target_.to_stdout) prepare_folders(inputs.pictures);
    const Segmenter segmenter(args_.weights.empty() ? default_model_path() : fs::path(args_.weights),
                              {args_.threads, args_.device, args_.precision});
    for (const std::string& note : segmenter.notes()) fmt::print(stderr, "sam2unet: note: {}\n", note);
    if (args_.verbose) fmt::print(stderr, "sam2unet: computes {}\n", segmenter.info().arithmetic);
    settle_classes(segmenter);
    total_ = inputs.pictures.size();
    Progress progress(total_, "pictures");
    const int batch = args_.batch == 0 ? segmenter.info().batch : args_.batch;
    options_.batch = batch;
    Pipeline pipeline(
        std::move(inputs.pictures), stages(segmenter, progress),
        options_.tiles ? 1 : static_cast<std::size_t>(batch));  // a picture's tiles fill batches
    {
      const Interruptible guard(pipeline);
      pipeline.run();
    }
    progress.finish();
    conclude(progress, pipeline.stopped());
  }

 private:
  void settle_classes(const Segmenter& segmenter) {
    args_.results.table = table_for(segmenter, args_.classes);
    if (!args_.results.table) {
      if (args_.class_names.empty()) return;
      throw UsageError("--class: these weights have one foreground, not several classes");
    }
    args_.results.shown = shown_classes(*args_.results.table, args_.class_names);
    if (args_.results.official || args_.results.threshold != 0.5) {
      throw UsageError(
          "--official and --threshold are of one foreground; these weights have several classes");
    }
    options_.output = SegmentOutput::ids;
  }

  void prepare_folders(const std::vector<Input>& pictures) {
    make_folder(target_.folder);
    OutputNames names(target_.folder, args_.results.saves, pictures);
    for (const Input& input : pictures) stems_.push_back(names.take(input));
  }

  Stages stages(const Segmenter& segmenter, Progress& progress) {
    return {
        [this](Picture& picture) { decode(picture); },
        [this, &segmenter, &progress](std::span<Picture* const> pictures) {
          if (options_.tiles) {
            for (Picture* p : pictures) segment_tiles(segmenter, progress, *p);
          } else {
            segment(segmenter, pictures);
          }
        },
        [this](Picture& p, std::size_t index) {
          return target_.to_stdout ? encode(p) : write(p, stems_[index]);
        },
        [this, &progress](const Outcome& outcome) { report(outcome, progress); },
    };
  }

  void decode(Picture& picture) {
    const DecodeOptions options = results::decode_options(args_.results.saves, args_.results.official);
    ImageInfo info;
    const Input& input = picture.input;
    picture.pixels = input.from_stdin() ? decode_image(input.bytes, options, "standard input", &info)
                                        : read_image(input.file, options, &info);
    picture.color_profile = std::move(info.color_profile);
    if (!info.deep) return;
    const std::lock_guard lock(mutex_);
    deep_.push_back(input.name());
  }

  void segment(const Segmenter& segmenter, std::span<Picture* const> pictures) const {
    std::vector<ImageView> views;
    for (const Picture* p : pictures) views.push_back(p->pixels);
    auto results = segmenter.segment(views, options_);
    for (std::size_t i = 0; i < pictures.size(); ++i) pictures[i]->result = std::move(results[i]);
  }

  // Of a picture of any size: what is kept is a byte or two per pixel.
  void segment_tiles(const Segmenter& segmenter, Progress& progress, Picture& picture) const {
    SegmentOptions options = options_;
    options.tiles->progress = [&](std::size_t done, std::size_t total) {
      if (total > 1) progress.within(done, total, "tiles");
    };
    picture.canvas =
        results::segment_to_canvas(segmenter, picture.pixels, options,
                                   {args_.results.saves, args_.results.threshold, args_.results.instances,
                                    args_.results.table.get(), args_.results.shown});
    picture.result.width = picture.pixels.width;
    picture.result.height = picture.pixels.height;
    picture.result.channels = segmenter.info().channels;
    const auto& saves = args_.results.saves;
    const bool is_shown = std::any_of(saves.begin(), saves.end(),
                                      [](Save s) { return s == Save::overlay || s == Save::cutout; });
    if (!is_shown) picture.pixels = {};
#ifdef __GLIBC__
    ::malloc_trim(0);  // what the bands and tiles took goes back before results are encoded
#endif
  }

  Outcome encode(Picture& p) const {
    const auto bytes = encode_result(p, args_.results, args_.results.saves[0]);
    return {{}, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, note(p, {})};
  }

  Outcome write(Picture& p, const fs::path& stem) const {
    std::string files;
    try {
      if (!stem.parent_path().empty()) make_folder(stem.parent_path());
      for (const Save save : args_.results.saves) {
        const fs::path file = target_.file.empty() ? file_of(stem, save) : target_.file;
        write_atomically(file, encode_result(p, args_.results, save));
        files += file.string() + "\n";
      }
    } catch (const NameError& e) {  // what is wrong with the disk ends the run, this does not
      return {e.what(), {}, {}};
    }
    // On a terminal the list would only hide the bar; a pipe gets the names of the results.
    return {{}, ::isatty(STDOUT_FILENO) == 1 ? std::string() : files, note(p, files)};
  }

  static std::string note(const Picture& p, std::string files) {
    std::replace(files.begin(), files.end(), '\n', ' ');
    return fmt::format("{}: {} x {} pixels, {:.2f} s{}{}", p.input.name(), p.result.width, p.result.height,
                       p.seconds, files.empty() ? "" : " -> ",
                       files.substr(0, files.size() - (files.empty() ? 0 : 1)));
  }

  void complain(const std::string& problem) {
    any_problem_ = true;
    fmt::print(stderr, "sam2unet: {}\n", problem);
  }

  void report(const Outcome& outcome, Progress& progress) {
    ++reported_;
    if (!outcome.error.empty()) {
      ++failed_;
      progress.say("sam2unet: " + outcome.error);
    } else {
      if (args_.verbose) progress.say(outcome.note);
      if (!outcome.line.empty()) progress.print(outcome.line);
    }
    progress.advance();
  }

  void warn_of_deep() {
    if (deep_.empty()) return;
    std::sort(deep_.begin(), deep_.end());
    constexpr std::size_t kNamed = 5;
    std::string names;
    for (std::size_t i = 0; i < std::min(kNamed, deep_.size()); ++i) names += (i == 0 ? "" : ", ") + deep_[i];
    if (deep_.size() > kNamed) names += fmt::format(" and {} more", deep_.size() - kNamed);
    fmt::print(stderr,
               "sam2unet: warning: {} gray of 16 bits or floating point, whose levels above 255 are clipped "
               "as Pillow "
               "clips them: {}; scale to 8 bits first\n",
               deep_.size() == 1 ? "1 picture is" : fmt::format("{} pictures are", deep_.size()), names);
  }

  void conclude(const Progress& progress, bool interrupted) {
    warn_of_deep();
    if (interrupted) {
      throw FileError(fmt::format("interrupted after {} of {} pictures", reported_, total_));
    }
    if (progress.on_terminal() && !target_.to_stdout) {
      fmt::print(stderr, "{} of {} pictures in {:.1f} s, results in {}\n", reported_ - failed_, total_,
                 progress.seconds(), target_.folder.string());
    }
    if (failed_ > 0 || any_problem_) throw Failed{};
  }

  Arguments& args_;
  SegmentOptions options_;
  Target target_;
  std::vector<fs::path> stems_;  // of each picture's results
  std::size_t total_ = 0;
  std::size_t reported_ = 0;
  std::size_t failed_ = 0;
  bool any_problem_ = false;  // a name that led nowhere
  std::mutex mutex_;
  std::vector<std::string> deep_;  // pictures whose levels were clipped
};

// CLI::Range lets "nan" pass.
CLI::Validator probability() {
  return {[](std::string& text) {
            double value = -1.0;
            const bool ok = CLI::detail::lexical_cast(text, value) && value >= 0.0 && value <= 1.0;
            return ok ? std::string() : "'" + text + "' is not a number from 0 to 1";
          },
          ""};
}

}  // namespace

void add_predict(CLI::App& app) {
  auto* c = app.add_subcommand("predict", "Segment pictures");
  auto a = std::make_shared<Arguments>();
  c->add_option(
       "INPUT", a->inputs,
       "pictures, folders of pictures, globs; - is a list of paths, or one picture, on standard input")
      ->required();
  c->add_option("-o,--output", a->output,
                "folder for the results, made if missing; FILE.png for the only result; - is standard output")
      ->type_name("DIR|FILE.png");
  c->add_option("--save", a->saves,
                "what to write, separated by commas: map (probability, or of several classes their ids as "
                "indexed PNG: "
                "STEM.png), mask, overlay, cutout, json")
      ->delimiter(',')
      ->check(CLI::IsMember({"map", "mask", "overlay", "cutout", "json"}).description(""))
      ->type_name("KINDS")
      ->capture_default_str();
  c->add_option("--threshold", a->results.threshold, "probability from which on a pixel belongs to the mask")
      ->check(probability())
      ->type_name("P")
      ->capture_default_str();
  c->add_option(
       "--size", a->size,
       "what the picture is resized to for the network: N or HxW, multiples of 32; without it, what the "
       "weights were trained at, else 352")
      ->type_name("N|HxW");
  c->add_option("-w,--weights", a->weights, "checkpoint; without it, the model that comes with the program")
      ->type_name("FILE");
  c->add_option("--classes", a->classes,
                "names and colours in place of those in the weights: a class file, or a number of classes")
      ->type_name("FILE|N");
  c->add_option(
       "--class", a->class_names,
       "of several classes, those that mask, overlay, cutout and json are of, by name or id, separated by "
       "commas; without it all but the background")
      ->delimiter(',')
      ->type_name("NAMES");
  c->add_flag("--instances", a->results.instances, "json: also tell the connected parts, each by itself");
  c->add_option("-j,--threads", a->threads, "threads (0: all cores, or OMP_NUM_THREADS)")
      ->check(CLI::Range(0, 1024).description(""))
      ->type_name("N");
  add_device_options(*c, a->device, a->precision);
  add_batch_options(*c, a->batch, a->fit);
  add_pass_options(*c, a->passes);
  c->add_flag("--official", a->results.official,
              "as the reference's test.py: ignore EXIF, stretch each map from 0 to 1, truncate to 8 bits");
  c->add_option("--pillow", a->pillow, "resize as this version of Pillow")
      ->check(CLI::IsMember({12, 13}))
      ->capture_default_str();
  c->add_option("--simplify", a->results.simplify,
                "polygons may leave out corners this many pixels off the line")
      ->check(CLI::Range(0.0, 1e6).description(""))
      ->type_name("PIXELS")
      ->capture_default_str();
  c->add_flag(
      "--clean-edges,!--no-clean-edges", a->results.clean_edges,
      "cutout: estimate the foreground's colours at soft edges, and keep nothing of the background under "
      "alpha 0 (default); --no-clean-edges keeps the picture's colours, which anyone can make visible again");
  c->add_flag("-r,--recursive", a->recursive, "look into subfolders, and make the same ones for the results");
  c->add_flag("-v,--verbose", a->verbose, "tell of each picture how long it took and where its results are");
  c->footer(
      "Examples:\n"
      "  sam2unet predict photos/ -o out                         maps of all pictures of a folder\n"
      "  sam2unet predict a.jpg b.png -o out --save mask,overlay,cutout\n"
      "  find . -name '*.jpg' | sam2unet predict - -o out --save json\n"
      "  sam2unet predict a.jpg -o out --weights road.safetensors --class car,bus --save overlay,json "
      "--instances\n"
      "  sam2unet predict aerial.tif -o out --tile 1500 --tile-context 0.3\n"
      "  sam2unet predict a.jpg -o map.png                       one picture, one file\n"
      "  sam2unet predict - < a.jpg > map.png                    one picture through a pipe\n"
      "The names of the files written are listed on standard output where that is no terminal.\n"
      "Pictures that cannot be read are reported, the others are done, and the exit code is 1.");
  c->callback([a] { Prediction(*a).run(); });
}

}  // namespace sam2unet::cli
