// Everything a run is decided by, as command-line options and as the run folder's train.toml.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "sam2unet/segmenter.h"
#include "train/choices.h"

namespace sam2unet::train {

/// Part `index` of `count` (from 1) is what a run is validated on; count 0: no folds.
struct Fold {
  int index = 0, count = 0;
  bool operator==(const Fold&) const = default;
};

/// `init` of a network of random numbers, and of the model that comes with the program.
inline constexpr const char *kInitScratch = "scratch", *kInitDefault = "default";

[[noreturn]] void throw_unknown_choice(const std::string& key, const std::string& text,
                                       const std::string& all);

struct Settings {
  std::vector<std::string> images, masks, val_images, val_masks;
  std::string image_suffix, image_prefix, mask_suffix, mask_prefix;
  bool recursive = false;
  std::string classes;  ///< a class file or a number of classes; empty: one foreground
  double val_split = 0.0;
  Fold fold;
  std::string out = "run";
  Recipe recipe = Recipe::official;
  std::string init = kInitScratch;
  std::string variant, network;
  Freeze freeze = Freeze::trunk;
  AdapterInit adapters = AdapterInit::standard;
  int adapter_width = 0, decoder_width = 0;  ///< 0: as the start, the reference's where that is a trunk
  NeckChoice neck = NeckChoice::as_start;
  FitChoice fit = FitChoice::squash;
  std::vector<double> multi_scale;
  int size = 352, batch = 12, epochs = 20, accumulate = 1;
  double lr = 1e-3, min_lr = 1e-7, weight_decay = 5e-4, warmup_epochs = 0.0, clip = 0.0, ema = 0.0;
  LossKind loss = LossKind::structure;
  Bce bce = Bce::effective;
  Augment augment = Augment::official;
  ComputeType precision = ComputeType::f32;
  DeviceKind device = DeviceKind::cpu;
  std::uint64_t seed = 1;
  int workers = 2, threads = 0, save_every = 0, early_stop = 0, dist_timeout = 600;
  BestBy best_by = BestBy::dice;
  bool decay_all = true, skip_bad = false, pth = false, task_only = false;
  bool recompute = false, deterministic = false, sync_bn = false, frozen_scratch = false;

  /// Calls v(group, key, field, help) for every setting; groups come together, in this order.
  template <class S, class Visitor>
  static void visit(S& s, Visitor&& v) {
    visit_data(s, v);
    visit_recipe(s, v);
    visit_computing(s, v);
    visit_files(s, v);
    visit_processes(s, v);
  }

  /// UsageError that names the option that cannot be meant.
  void validate() const;
  /// Makes the paths of data, weights and the run absolute; relative ones are meant from `base`, empty ones
  /// stay so.
  void resolve_paths(const std::filesystem::path& base);
  std::string to_toml() const;
  /// Keys that are not there are the recipe's, which is official where none is named; relative paths are
  /// meant from `base`. FormatError, or UsageError for an unknown key.
  static Settings from_toml(const std::string& text, const std::filesystem::path& base = {});
  /// The command that starts such a run, quoted for a shell: what differs from the recipe's own values.
  std::string to_command() const;
  enum class Scope {
    processes,  ///< of one run
    resumed,    ///< before a run was stopped and now: it may be longer, and its files may have moved
  };
  /// Keys whose values differ, less those that do not change the result.
  static std::vector<std::string> differences(const Settings& a, const Settings& b, Scope scope);

 private:
  template <class S, class Visitor>
  static void visit_data(S& s, Visitor& v) {
    const char* group = "Data";
    v(group, "images", s.images,
      "Folder of training pictures, or a pattern ('Imgs/*.jpg'); repeat for several data sets");
    v(group, "masks", s.masks, "Folder of their masks, one per --images");
    v(group, "val_images", s.val_images, "Folder of validation pictures");
    v(group, "val_masks", s.val_masks, "Folder of their masks");
    v(group, "recursive", s.recursive,
      "Look into subfolders too; files then pair by their path below the folder");
    v(group, "image_suffix", s.image_suffix,
      "What the pictures' names have behind the part shared with the masks'");
    v(group, "image_prefix", s.image_prefix, "What they have before it");
    v(group, "mask_suffix", s.mask_suffix,
      "What the masks' names have behind the shared part, such as _mask");
    v(group, "mask_prefix", s.mask_prefix, "What they have before it");
    v(group, "classes", s.classes,
      "Masks hold ids of classes: a class file (TOML) or a number of classes, background included");
    v(group, "val_split", s.val_split, "Part of the training pictures to validate on instead, 0 to 0.9");
    v(group, "fold", s.fold,
      "I/K: validate on part I of K and train on the rest; parts are the same for every seed");
    v(group, "size", s.size, "Side of the square the pictures are resized to");
    v(group, "fit", s.fit,
      "How pictures become that square: squash (as the reference) or letterbox (their shape is kept; the "
      "weights say so, and predict does the same)");
    v(group, "multi_scale", s.multi_scale,
      "Train on each batch at these multiples of --size too, such as 0.75,1,1.25");
    v(group, "augment", s.augment, "none, official (flips) or strong (crops, rotation, colour)");
    v(group, "skip_bad", s.skip_bad, "Leave out pictures that cannot be read, instead of refusing to start");
  }

  template <class S, class Visitor>
  static void visit_recipe(S& s, Visitor& v) {
    const char* group = "Start and recipe";
    v(group, "recipe", s.recipe,
      "official (the reference's), finetune (on few pictures of one's own, from the default model or any "
      "SAM2-UNet) or scratch (everything learns)");
    v(group, "init", s.init,
      "Where the weights come from: a SAM2 trunk or a SAM2-UNet by its file or name (sam2-t; `sam2unet "
      "models "
      "list`), default (the model that comes with the program) or scratch (random numbers)");
    v(group, "variant", s.variant, "t, s, b+ or l; told from --init where that is a file");
    v(group, "network", s.network, "Configuration of a custom network as JSON");
    v(group, "freeze", s.freeze, "trunk or none");
    v(group, "frozen_scratch", s.frozen_scratch, "Freeze the trunk although it holds random numbers");
    v(group, "adapters", s.adapters,
      "What fresh adapters begin with: standard (as the reference) or near-identity, where the loss turns "
      "NaN");
    v(group, "adapter_width", s.adapter_width,
      "Channels inside the adapters, which starts from a SAM2 trunk or from scratch may choose; 0: as --init "
      "has them, else 32");
    v(group, "decoder_width", s.decoder_width, "Channels of the decoder, likewise; else 64");
    v(group, "neck", s.neck,
      "What joins encoder and decoder, likewise: rfb (the reference's), 1x1 (a convolution) or as-start");
    v(group, "batch", s.batch, "Pictures per optimizer step, over all accumulated parts");
    v(group, "epochs", s.epochs, "Times every picture is seen");
    v(group, "lr", s.lr, "Learning rate of AdamW");
    v(group, "min_lr", s.min_lr, "Where the cosine schedule ends");
    v(group, "weight_decay", s.weight_decay, "Of AdamW");
    v(group, "decay_all", s.decay_all, "Weight decay on norms and biases too, as the official recipe");
    v(group, "warmup_epochs", s.warmup_epochs, "Epochs of linear warm-up");
    v(group, "clip", s.clip, "Largest norm of the gradients; 0 for none");
    v(group, "ema", s.ema, "Decay of the weights' moving average; 0 for none");
    v(group, "loss", s.loss,
      "structure (the reference's), structure-empty (for data with empty masks), dice-bce or focal; with "
      "--classes ce-dice");
    v(group, "bce", s.bce,
      "Of the structure losses: effective (what the reference computes) or weighted (what the paper writes)");
    v(group, "seed", s.seed, "Decides weights, order and augmentation");
  }

  template <class S, class Visitor>
  static void visit_computing(S& s, Visitor& v) {
    const char* group = "Computing";
    v(group, "device", s.device, "cpu or cuda");
    v(group, "precision", s.precision,
      "f32, f64, bf16 or tf32 (float32 whose products and convolutions a GPU computes in TF32)");
    v(group, "accumulate", s.accumulate, "Parts a batch is computed in, to save memory");
    v(group, "recompute", s.recompute,
      "Keep only the input of each block and compute the block again for its gradients: less memory, more "
      "time");
    v(group, "deterministic", s.deterministic,
      "Only algorithms that give the same bits every time; matters on a GPU");
    v(group, "threads", s.threads, "Threads that compute; 0 for all cores");
    v(group, "workers", s.workers, "Threads that read pictures");
  }

  template <class S, class Visitor>
  static void visit_files(S& s, Visitor& v) {
    const char* group = "The run and its files";
    v(group, "out", s.out, "Folder of the run");
    v(group, "save_every", s.save_every,
      "Steps between checkpoints inside an epoch; 0: only after each epoch");
    v(group, "best_by", s.best_by,
      "Which validation metric decides what is best: dice, iou, f and e (means over thresholds), wf, s, mae; "
      "with "
      "--classes miou");
    v(group, "early_stop", s.early_stop, "Epochs without a better validation after which to stop; 0: never");
    v(group, "pth", s.pth, "Also write checkpoints in the reference's format");
    v(group, "task_only", s.task_only, "Also write files without the frozen trunk");
  }

  template <class S, class Visitor>
  static void visit_processes(S& s, Visitor& v) {
    const char* group = "Several processes (torchrun, srun, mpirun)";
    v(group, "sync_bn", s.sync_bn,
      "BatchNorm by the statistics of all processes' pictures, as if one process had them");
    v(group, "dist_timeout", s.dist_timeout, "Seconds to wait for another process before the run ends");
  }
};

/// What is asked for behind the trunk.
AskedParts parts_of(const Settings& settings);
/// How pictures become the network's input.
Fit fit_of(const Settings& settings);
/// Sets what follows from several classes: their loss, and by what the best epoch is told.
void apply_classes(Settings& settings);
/// Sets what the recipe decides.
void apply_recipe(Settings& settings, Recipe recipe);

/// "I/K", or nothing for no folds. UsageError.
void parse_setting(const std::string& key, const std::string& text, Fold& field);
/// The choice of that name; UsageError that names the option and what there is.
template <Choice E>
void parse_setting(const std::string& key, const std::string& text, E& field) {
  const auto choice = choice_of<E>(text);
  if (!choice) throw_unknown_choice(key, text, choices<E>());
  field = *choice;
}

}  // namespace sam2unet::train
