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
  int workers = 2, threads = 0, save_every = 0, early_stop = 0;
  bool decay_all = true, skip_bad = false, pth = false, task_only = false;

  /// Calls v(key, field, help) for every setting.
  template <class S, class Visitor>
  static void visit(S& s, Visitor&& v) {
    v("images", s.images, "Folder of training pictures; repeat for several data sets");
    v("masks", s.masks, "Folder of their masks, one per --images");
    v("val_images", s.val_images, "Folder of validation pictures");
    v("val_masks", s.val_masks, "Folder of their masks");
    v("val_split", s.val_split, "Part of the training pictures to validate on instead, 0 to 0.9");
    v("out", s.out, "Folder of the run");
    v("recipe", s.recipe, "official or scratch");
    v("init", s.init, "SAM2 trunk, SAM2-UNet checkpoint, or scratch");
    v("variant", s.variant, "t, s, b+ or l; told from --init where that is a file");
    v("network", s.network, "Configuration of a custom network as JSON");
    v("freeze", s.freeze, "trunk or none");
    v("size", s.size, "Side of the square the pictures are resized to");
    v("batch", s.batch, "Pictures per optimizer step, over all accumulated parts");
    v("epochs", s.epochs, "Times every picture is seen");
    v("accumulate", s.accumulate, "Parts a batch is computed in, to save memory");
    v("lr", s.lr, "Learning rate of AdamW");
    v("min_lr", s.min_lr, "Where the cosine schedule ends");
    v("weight_decay", s.weight_decay, "Of AdamW");
    v("warmup_epochs", s.warmup_epochs, "Epochs of linear warm-up");
    v("clip", s.clip, "Largest norm of the gradients; 0 for none");
    v("ema", s.ema, "Decay of the weights' moving average; 0 for none");
    v("bce", s.bce, "effective (what the reference computes) or weighted (what the paper writes)");
    v("augment", s.augment, "none, official (flips) or strong (crops, rotation, colour)");
    v("precision", s.precision, "f32, f64 or bf16");
    v("device", s.device, "cpu or cuda");
    v("seed", s.seed, "Decides weights, order and augmentation");
    v("workers", s.workers, "Threads that read pictures");
    v("threads", s.threads, "Threads that compute; 0 for all cores");
    v("save_every", s.save_every, "Steps between checkpoints inside an epoch; 0: only after each epoch");
    v("early_stop", s.early_stop, "Epochs without a better validation after which to stop; 0: never");
    v("decay_all", s.decay_all, "Weight decay on norms and biases too, as the official recipe");
    v("skip_bad", s.skip_bad, "Leave out pictures that cannot be read, instead of refusing to start");
    v("pth", s.pth, "Also write checkpoints in the reference's format");
    v("task_only", s.task_only, "Also write files without the frozen trunk");
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
