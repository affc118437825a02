// Published weights by name: what they are, where they lie on this machine, and how to get them. Nothing is
// downloaded unless `fetch_model` is called.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sam2unet/export.h"

namespace sam2unet {

/// Weights that this version knows.
struct KnownModel {
  std::string name;  ///< "sam2unet-t-duts", "sam2-l", "sam2unet-cod"
  std::string what;  ///< one line
  std::string file;  ///< the name it is published under
  std::string url;   ///< empty where it can only be got by hand
  std::string page;  ///< where a person finds it
  std::string code_licence, weights_licence, data_licence;
  std::string sha256;       ///< 64 hexadecimal digits; empty where none is known
  std::uint64_t bytes = 0;  ///< exact where `sha256` is known, else about
};
SAM2UNET_API const std::vector<KnownModel>& known_models();
/// nullptr if there is none of that name.
SAM2UNET_API const KnownModel* find_known_model(const std::string& name);

/// Where models are looked for: SAM2UNET_MODELS (one folder, or several separated by ':'), without it
/// $XDG_DATA_HOME/sam2unet/models or ~/.local/share/sam2unet/models. New ones go into the first. FileError
/// where none of the variables and no HOME is set.
SAM2UNET_API std::vector<std::filesystem::path> model_folders();

/// A model on this machine.
struct InstalledModel {
  std::string name;  ///< a known model's, or the file's own without its extension
  std::filesystem::path path;
  std::uint64_t bytes = 0;
};
/// All weight files in the folders. A file placed by hand is known by its SHA-256, whatever its name, or
/// where none is published by its published name.
SAM2UNET_API std::vector<InstalledModel> installed_models();
/// The file of a model, known or not, by the model's name or the file's. FileError that says which folders
/// were looked in, and of a known one the file's name, its SHA-256 and how to get it, else the known names.
SAM2UNET_API std::filesystem::path model_path(const std::string& name);
/// The file that is meant where weights are asked for, as everything in this library does that takes a weight
/// file: a path that exists, or has a folder in it, is taken as it is; any other is the name of a model.
/// FileError as model_path's.
SAM2UNET_API std::filesystem::path find_weights(const std::filesystem::path& named);

enum class ModelState {
  sound,    ///< its SHA-256 is the published one, or the one it was added with
  unknown,  ///< readable, but there is no SHA-256 to compare with
  damaged,  ///< another SHA-256, or no weight file at all
};
struct ModelCheck {
  ModelState state = ModelState::unknown;
  std::string sha256;
  std::string why;  ///< of a damaged one
};
/// Reads the whole file.
SAM2UNET_API ModelCheck check_model(const InstalledModel& model);

/// Copies a weight file into the first folder, with its SHA-256 beside it (FILE.sha256, as `sha256sum -c`
/// reads it). A file that is there is replaced only by the same. FileError, FormatError, UsageError.
SAM2UNET_API InstalledModel add_model(const std::filesystem::path& file);

struct FetchOptions {
  /// For an address that is no known model: what the file must have.
  std::string sha256;
  /// Told of bytes so far and in all (0: not known).
  std::function<void(std::uint64_t done, std::uint64_t all)> progress;
};
/// Downloads a known model, or what an http, https or file address names, into the first folder: to
/// FILE.part, which a later call continues, checked (its SHA-256 where one is known; that it is a weight
/// file), then renamed. Uses libcurl, which is opened for that. UnavailableError where SAM2UNET_OFFLINE is
/// set (and not "0"), libcurl is not installed, or the model can only be got by hand; FileError where the
/// transfer fails; FormatError where the file is not what it should be, which is then removed.
SAM2UNET_API InstalledModel fetch_model(const std::string& name_or_address, const FetchOptions& options = {});

}  // namespace sam2unet
