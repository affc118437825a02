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
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "batcher.h"
#include "class_choice.h"
#include "commands.h"
#include "device.h"
#include "manifest.h"
#include "passes.h"
#include "pipeline.h"
#include "progress.h"
#include "sam2unet/cores.h"
#include "sam2unet/errors.h"
#include "sam2unet/files.h"
#include "sam2unet/models.h"
#include "shard.h"
#include "size.h"
#include "tar/writer.h"
#include "target.h"
#include "weights.h"
#include "work_list.h"

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
  Precision precision = Precision::standard;
  std::string streams = "auto";
  int pillow = 12;
  int batch = 0;
  std::string fit;  // empty: as the weights were trained
  PassArguments passes;
  bool recursive = false;
  bool verbose = false;
  ResultOptions results;
  std::string shard, manifest;
  bool resume = false;
  std::optional<std::size_t> max_failures;

  Subfolders subfolders() const { return recursive ? Subfolders::search : Subfolders::skip; }
};

std::vector<Save> parse_saves(const std::vector<std::string>& names) {
  std::vector<Save> out;
  for (const Save save : results::kSaves) {
    if (std::find(names.begin(), names.end(), name_of(save)) != names.end()) out.push_back(save);
  }
  return out;
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
    if (!args_.shard.empty()) shard_ = parse_shard(args_.shard);
    Inputs inputs = collect_inputs(args_.inputs, args_.subfolders());
    if (inputs.pictures.empty() && inputs.problems.size() == 1) throw FileError(inputs.problems[0]);
    for (const auto& problem : inputs.problems) complain(problem);
    if (inputs.pictures.empty()) throw FileError("there is nothing to segment");
    target_ = target_of(args_.output, args_.results.saves, inputs.pictures);
    name_results(std::move(inputs.pictures));
    const fs::path weights = weights_file(args_.weights);
    const Segmenter segmenter(weights, {args_.threads, args_.device, args_.precision,
                                        streams_of(args_.streams, options_.tiles ? 1 : work_->size())});
    for (const std::string& note : segmenter.notes()) fmt::print(stderr, "sam2unet: note: {}\n", note);
    if (args_.verbose) fmt::print(stderr, "sam2unet: {}\n", words_of(segmenter.info()));
    settle_classes(segmenter);
    if (!args_.manifest.empty()) manifest_.emplace(args_.manifest, check_model({{}, weights}).sha256);
    if (args_.resume && !leave_out_done()) return;
    if (target_.is_tar) tar_.emplace(target_.folder);
    total_ = work_->size();
    Progress progress(total_, "pictures");
    options_.batch = args_.batch == 0 ? segmenter.info().batch : args_.batch;
    const int together = options_.tiles ? 1 : options_.batch;  // a picture's tiles fill batches
    Batcher batcher(segmenter, options_, static_cast<std::size_t>(together));
    Pipeline pipeline(work_->take_pictures(), stages(segmenter, batcher, progress),
                      batcher.waiting_for_full() + others_beside(segmenter));
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

  void name_results(std::vector<Input> pictures) {
    if (shard_ || args_.resume) check_apart(target_, pictures, args_.subfolders());
    if (args_.resume && target_.to_stdout)
      throw UsageError("--resume needs results in files; give a folder: -o DIR");
    if (!target_.to_stdout && !target_.is_tar) make_folder(target_.folder);
    check_result_files({args_.manifest});
    work_.emplace(target_, args_.results.saves, std::move(pictures), shard_);
  }

  // False if nothing is left to do.
  bool leave_out_done() {
    const std::size_t all = work_->size();
    const std::size_t done = work_->leave_out_done(manifest_ ? &*manifest_ : nullptr);
    if (done > 0) fmt::print(stderr, "sam2unet: note: {} of {} pictures are done already\n", done, all);
    if (done < all || done == 0) return true;
    if (any_problem_) throw Failed{};
    return false;
  }

  // How many threads work on pictures while others wait for the network. Where that runs on the processor it
  // needs the cores itself, and tiles are for pictures of which a few fill the memory.
  std::size_t others_beside(const Segmenter& segmenter) const {
    const int cores = available_cores();
    const SegmenterInfo& info = segmenter.info();
    const bool is_elsewhere = info.device != "cpu" && info.in_flight > 1 && !options_.tiles;
    return static_cast<std::size_t>(is_elsewhere ? cores : 2 * std::clamp(cores / 2, 1, 4));
  }

  Stages stages(const Segmenter& segmenter, Batcher& batcher, Progress& progress) {
    return {
        [this](Picture& picture) { decode(picture); },
        [this, &segmenter, &batcher, &progress](Picture& picture, std::size_t index) {
          if (comes_in_bands(picture)) {
            batcher.run([&] { segment_in_bands(segmenter, progress, picture, work_->slot(index)); },
                        &picture.seconds);
          } else {
            picture.result = batcher.segment(picture.pixels, &picture.seconds);
          }
        },
        [this](Picture& p, std::size_t index) { return deliver(p, work_->slot(index)); },
        [this, &progress](const Outcome& outcome) { report(outcome, progress); },
        [&batcher](int callers) { batcher.expect(callers); },
    };
  }

  void decode(Picture& picture) {
    const DecodeOptions options = results::decode_options(args_.results);
    ImageInfo info;
    const Input& input = picture.input;
    if (input.archive) {
      picture.pixels = decode_image(input.member, options, input.name(), &info);
      input.archive->tar.release(input.member);
    } else {
      picture.pixels = input.from_stdin() ? decode_image(input.bytes, options, "standard input", &info)
                                          : read_image(input.file, options, &info);
    }
    picture.color_profile = std::move(info.color_profile);
    if (!info.deep) return;
    const std::lock_guard lock(mutex_);
    deep_.push_back(input.name());
  }

  // A map of floats of a picture this large is more than a hundred megabytes.
  bool comes_in_bands(const Picture& picture) const {
    constexpr std::size_t kLargePixels = std::size_t{1} << 24;
    const auto width = static_cast<std::size_t>(picture.pixels.width);
    return options_.tiles || width * static_cast<std::size_t>(picture.pixels.height) >= kLargePixels;
  }

  // Results of a picture of any size leave as its bands come.
  void segment_in_bands(const Segmenter& segmenter, Progress& progress, Picture& picture,
                        const Slot& slot) const {
    SegmentOptions options = options_;
    if (options.tiles) {
      options.tiles->progress = [&](std::size_t done, std::size_t total) {
        if (total > 1) progress.within(done, total, "tiles");
      };
    }
    picture.result.width = picture.pixels.width;
    picture.result.height = picture.pixels.height;
    picture.banded = std::make_unique<BandedResults>();
    BandedResults& banded = *picture.banded;
    try {
      open_results(picture, slot);
      segmenter.segment_in_bands(picture.pixels, options,
                                 [&](const SegmentationBand& band) { banded.results->add(band); });
    } catch (const FileError&) {  // of writing: nothing else here opens files
      banded.failure = std::current_exception();
    }
    const auto& saves = args_.results.saves;
    if (std::find(saves.begin(), saves.end(), Save::cutout) == saves.end()) picture.pixels = {};
#ifdef __GLIBC__
    ::malloc_trim(0);  // what the bands and tiles took goes back before the last results are made
#endif
  }

  // Where the bands' results go: to their files, but for a tar and standard output, which take them in turn.
  void open_results(Picture& picture, const Slot& slot) const {
    BandedResults& banded = *picture.banded;
    const std::size_t kinds = args_.results.saves.size();
    banded.files.resize(kinds);
    banded.bytes.resize(kinds);
    if (!target_.to_stdout && !target_.is_tar) {
      if (!slot.stem.parent_path().empty()) make_folder(slot.stem.parent_path());
      for (std::size_t i = 0; i < kinds; ++i)
        banded.files[i].emplace(work_->file(slot, args_.results.saves[i]));
    }
    const bool has_alpha = picture.pixels.channels == 4;
    const auto parts = options_.tiles ? results::PartConfidence::of_8_bits : results::PartConfidence::exact;
    banded.results.emplace(
        results::BandedPicture{picture.input.name(), picture.pixels, has_alpha ? &picture.pixels : nullptr,
                               args_.results.table ? args_.results.table->size() : 1, parts},
        args_.results, [&](Save save) -> ByteSink {
          const auto& saves = args_.results.saves;
          const auto i =
              static_cast<std::size_t>(std::find(saves.begin(), saves.end(), save) - saves.begin());
          if (banded.files[i]) return [&file = *banded.files[i]](auto bytes) { file.write(bytes); };
          return [&out = banded.bytes[i]](auto bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); };
        });
  }

  // What is left to do for results in bands. Throws what writing them threw.
  static void finish_bands(Picture& p) {
    if (p.banded->failure) std::rethrow_exception(p.banded->failure);
    p.banded->results->finish(p.seconds, p.color_profile);
  }

  // Of the result of that number among those that are saved.
  std::vector<std::byte> encode_result(Picture& p, std::size_t i) const {
    if (p.banded) return std::move(p.banded->bytes[i]);
    return results::encode_result({p.input.name(), p.pixels, p.color_profile, p.result, p.seconds},
                                  args_.results, args_.results.saves[i]);
  }

  Outcome deliver(Picture& p, const Slot& slot) {
    Outcome out = target_.to_stdout ? encode(p) : target_.is_tar ? pack(p, slot) : write(p, slot);
    out.seconds = p.seconds;
    // Not in its turn: what is done is told at once. What goes into a tar is done when that is whole.
    if (manifest_ && out.error.empty() && !target_.is_tar)
      manifest_->add({slot.key, slot.input, {}, p.seconds * 1e3});
    return out;
  }

  // For the tar, which `report` writes in the order of the inputs.
  Outcome pack(Picture& p, const Slot& slot) const {
    Outcome out;
    if (p.banded) finish_bands(p);
    for (std::size_t i = 0; i < args_.results.saves.size(); ++i) {
      const Save save = args_.results.saves[i];
      out.files.push_back({file_of(slot.key, save).string(), encode_result(p, i)});
      out.line += file_of(slot.stem, save).string() + "\n";
    }
    out.note = note(p, out.line);
    if (::isatty(STDOUT_FILENO) == 1) out.line.clear();
    return out;
  }

  Outcome encode(Picture& p) const {
    if (p.banded) finish_bands(p);
    const auto bytes = encode_result(p, 0);
    return {{}, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, note(p, {})};
  }

  Outcome write(Picture& p, const Slot& slot) const {
    std::string files;
    try {
      if (!slot.stem.parent_path().empty()) make_folder(slot.stem.parent_path());
      if (p.banded) finish_bands(p);
      for (std::size_t i = 0; i < args_.results.saves.size(); ++i) {
        const fs::path file = work_->file(slot, args_.results.saves[i]);
        if (p.banded)
          p.banded->files[i]->commit();
        else
          write_atomically(file, encode_result(p, i));
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
    const Slot& slot = work_->slot(reported_++);
    const ManifestEntry entry{slot.key, slot.input, outcome.error, outcome.seconds * 1e3};
    if (!outcome.error.empty()) {
      ++failed_;
      progress.say("sam2unet: " + outcome.error);
      if (manifest_) manifest_->add(entry);
      if (Pipeline* p = running.load(); p != nullptr && has_too_many_failures()) p->stop();
    } else {
      for (const ResultBytes& file : outcome.files) tar_->add(file.name, file.bytes);
      if (tar_ && manifest_) packed_.push_back(entry);
      if (args_.verbose) progress.say(outcome.note);
      if (!outcome.line.empty()) progress.print(outcome.line);
    }
    progress.advance();
  }

  bool has_too_many_failures() const {
    return args_.max_failures && failed_ > *args_.max_failures;
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
    if (has_too_many_failures()) {
      throw FileError(fmt::format("given up after {} of {} pictures: {} failed, more than --max-failures {}",
                                  reported_, total_, failed_, *args_.max_failures));
    }
    if (interrupted) {
      throw FileError(fmt::format("interrupted after {} of {} pictures", reported_, total_));
    }
    if (tar_) {
      tar_->commit();
      for (const ManifestEntry& entry : packed_) manifest_->add(entry);
    }
    if (progress.on_terminal() && !target_.to_stdout) {
      fmt::print(stderr, "{} of {} pictures in {:.1f} s, results in {}\n", reported_ - failed_, total_,
                 progress.seconds(), target_.folder.string());
    }
    if ((failed_ > 0 && !args_.max_failures) || any_problem_) throw Failed{};
  }

  Arguments& args_;
  SegmentOptions options_;
  Target target_;
  std::optional<Shard> shard_;
  std::optional<WorkList> work_;
  std::optional<Manifest> manifest_;
  std::optional<tar::TarWriter> tar_;
  std::vector<ManifestEntry> packed_;  // in the tar that is not there yet
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

void add_result_options(CLI::App& c, Arguments& a) {
  c.add_flag("--official", a.results.official,
             "as the reference's test.py: ignore EXIF, stretch each map from 0 to 1, truncate to 8 bits");
  c.add_option("--pillow", a.pillow, "resize as this version of Pillow")
      ->check(CLI::IsMember({12, 13}))
      ->capture_default_str();
  c.add_option("--simplify", a.results.simplify,
               "polygons may leave out corners this many pixels off the line")
      ->check(CLI::Range(0.0, 1e6).description(""))
      ->type_name("PIXELS")
      ->capture_default_str();
  c.add_flag(
      "--clean-edges,!--no-clean-edges", a.results.clean_edges,
      "cutout: estimate the foreground's colours at soft edges, and keep nothing of the background under "
      "alpha 0 (default); --no-clean-edges keeps the picture's colours, which anyone can make visible again");
}

void add_cluster_options(CLI::App& c, Arguments& a) {
  c.add_option("--shard", a.shard,
               "do part I of N (0/4 to 3/4) of the pictures, sorted by name; auto: I and N from a SLURM job "
               "array, or I of "
               "an indexed Kubernetes job, whose N is told by auto/N or SAM2UNET_SHARDS")
      ->type_name("I/N|auto[/N]");
  c.add_flag("--resume", a.resume,
             "leave out pictures whose results are there; with --manifest, those that it also tells to have "
             "gone well "
             "with the same weights");
  c.add_option("--manifest", a.manifest,
               "append a line of JSON for each picture: key, input, status, error, milliseconds, SHA-256 of "
               "the weights, "
               "version")
      ->type_name("FILE");
  c.add_option("--max-failures", a.max_failures,
               "up to N pictures may fail, and the exit code is 0; more end the run")
      ->check(CLI::Range(0, 1'000'000'000).description(""))
      ->type_name("N");
}

}  // namespace

void add_predict(CLI::App& app) {
  auto* c = app.add_subcommand("predict", "Segment pictures");
  auto a = std::make_shared<Arguments>();
  c->add_option("INPUT", a->inputs,
                "pictures, folders of pictures, globs, tar files of pictures (WebDataset); - is a list of "
                "paths, or one picture, "
                "on standard input")
      ->required();
  c->add_option(
       "-o,--output", a->output,
       "folder for the results, made if missing; FILE.png for the only result; FILE.tar for all in one; - is "
       "standard output")
      ->type_name("DIR|FILE.png|FILE.tar");
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
  c->add_option(
       "-w,--weights", a->weights,
       "checkpoint, or the name of a model (`sam2unet models list`); without it, the model that comes with "
       "the program")
      ->type_name("FILE|NAME");
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
  add_streams_option(*c, a->streams);
  add_batch_options(*c, a->batch, a->fit);
  add_pass_options(*c, a->passes);
  add_result_options(*c, *a);
  c->add_flag("-r,--recursive", a->recursive, "look into subfolders, and make the same ones for the results");
  add_cluster_options(*c, *a);
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
      "  sam2unet predict photos/ -o out --shard auto --resume --manifest part-$SLURM_ARRAY_TASK_ID.jsonl\n"
      "  sam2unet predict shard-000.tar -o out-000.tar --save map,json --max-failures 10\n"
      "The names of the files written are listed on standard output where that is no terminal.\n"
      "Pictures that cannot be read are reported, the others are done, and the exit code is 1.\n"
      "docs/clusters.md tells of SLURM, Kubernetes, Ray and Dask.");
  c->callback([a] { Prediction(*a).run(); });
}

}  // namespace sam2unet::cli
