// Everything a run is decided by, as command-line options and as the run folder's train.toml.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace sam2unet::train {

struct Settings {
  std::vector<std::string> images, masks, val_images, val_masks;
  double val_split = 0.0;
  std::string out = "run";
  std::string recipe = "official";
  std::string init = "scratch";
  std::string variant, network;
  std::string freeze = "trunk";
  int size = 352, batch = 12, epochs = 20, accumulate = 1;
  double lr = 1e-3, min_lr = 1e-7, weight_decay = 5e-4, warmup_epochs = 0.0, clip = 0.0, ema = 0.0;
  std::string bce = "effective", augment = "official", precision = "f32", device = "cpu";
  std::uint64_t seed = 1;
  int workers = 2, threads = 0, save_every = 0, early_stop = 0, dist_timeout = 600;
  std::string best_by = "mae";
  bool decay_all = true, skip_bad = false, pth = false, task_only = false;
  bool recompute = false, deterministic = false, sync_bn = false;

  /// Calls v(group, key, field, help) for every setting; groups come together, in this order.
  template <class S, class Visitor>
  static void visit(S& s, Visitor&& v) {
    const char* group = nullptr;
    group = "Data";
    v(group, "images", s.images, "Folder of training pictures; repeat for several data sets");
    v(group, "masks", s.masks, "Folder of their masks, one per --images");
    v(group, "val_images", s.val_images, "Folder of validation pictures");
    v(group, "val_masks", s.val_masks, "Folder of their masks");
    v(group, "val_split", s.val_split, "Part of the training pictures to validate on instead, 0 to 0.9");
    v(group, "size", s.size, "Side of the square the pictures are resized to");
    v(group, "augment", s.augment, "none, official (flips) or strong (crops, rotation, colour)");
    v(group, "skip_bad", s.skip_bad, "Leave out pictures that cannot be read, instead of refusing to start");
    group = "Start and recipe";
    v(group, "recipe", s.recipe, "official or scratch");
    v(group, "init", s.init, "SAM2 trunk, SAM2-UNet checkpoint, or scratch");
    v(group, "variant", s.variant, "t, s, b+ or l; told from --init where that is a file");
    v(group, "network", s.network, "Configuration of a custom network as JSON");
    v(group, "freeze", s.freeze, "trunk or none");
    v(group, "batch", s.batch, "Pictures per optimizer step, over all accumulated parts");
    v(group, "epochs", s.epochs, "Times every picture is seen");
    v(group, "lr", s.lr, "Learning rate of AdamW");
    v(group, "min_lr", s.min_lr, "Where the cosine schedule ends");
    v(group, "weight_decay", s.weight_decay, "Of AdamW");
    v(group, "decay_all", s.decay_all, "Weight decay on norms and biases too, as the official recipe");
    v(group, "warmup_epochs", s.warmup_epochs, "Epochs of linear warm-up");
    v(group, "clip", s.clip, "Largest norm of the gradients; 0 for none");
    v(group, "ema", s.ema, "Decay of the weights' moving average; 0 for none");
    v(group, "bce", s.bce, "effective (what the reference computes) or weighted (what the paper writes)");
    v(group, "seed", s.seed, "Decides weights, order and augmentation");
    group = "Computing";
    v(group, "device", s.device, "cpu or cuda");
    v(group, "precision", s.precision, "f32, f64 or bf16");
    v(group, "accumulate", s.accumulate, "Parts a batch is computed in, to save memory");
    v(group, "recompute", s.recompute,
      "Keep only the input of each block and compute the block again for its gradients: less memory, more "
      "time");
    v(group, "deterministic", s.deterministic,
      "Only algorithms that give the same bits every time; matters on a GPU");
    v(group, "threads", s.threads, "Threads that compute; 0 for all cores");
    v(group, "workers", s.workers, "Threads that read pictures");
    group = "The run and its files";
    v(group, "out", s.out, "Folder of the run");
    v(group, "save_every", s.save_every,
      "Steps between checkpoints inside an epoch; 0: only after each epoch");
    v(group, "best_by", s.best_by,
      "Which validation metric decides what is best: mae, s, wf, e, f, iou or dice");
    v(group, "early_stop", s.early_stop, "Epochs without a better validation after which to stop; 0: never");
    v(group, "pth", s.pth, "Also write checkpoints in the reference's format");
    v(group, "task_only", s.task_only, "Also write files without the frozen trunk");
    group = "Several processes (torchrun, srun, mpirun)";
    v(group, "sync_bn", s.sync_bn,
      "BatchNorm by the statistics of all processes' pictures, as if one process had them");
    v(group, "dist_timeout", s.dist_timeout, "Seconds to wait for another process before the run ends");
  }

  /// UsageError that names the option that cannot be meant.
  void validate() const;
  std::string to_toml() const;
  /// FormatError, or UsageError for an unknown key.
  static Settings from_toml(const std::string& text);
  /// Keys whose values differ, less those that do not change the result.
  static std::vector<std::string> differences(const Settings& a, const Settings& b);
};

/// Sets what the recipe decides.
void apply_recipe(Settings& settings, const std::string& recipe);

}  // namespace sam2unet::train
