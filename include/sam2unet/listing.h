// Which pictures a folder or a pattern names. All commands find their files here.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "sam2unet/errors.h"
#include "sam2unet/export.h"

namespace sam2unet {

/// What stands before and behind the part of a file's stem that it shares with its partner: "img_", "_mask".
struct NameAffix {
  std::string prefix, suffix;
  bool empty() const { return prefix.empty() && suffix.empty(); }
};

struct ListedPicture {
  std::filesystem::path file;
  /// The part of the path that is the picture's own: what lies below the folder, or matched the pattern's
  /// wildcards. "seq1/0001.png" of "data/seq1/GT/0001.png" for the pattern "data/*/GT".
  std::filesystem::path below;
};

struct PictureList {
  std::vector<ListedPicture> pictures;            ///< each file once, sorted by path
  std::vector<std::filesystem::path> not_read;    ///< pictures of formats that are not read: HEIC, AVIF, ...
  std::vector<std::filesystem::path> subfolders;  ///< with pictures, not looked into (Subfolders::skip)
};

/// What a folder's subfolders are to a list of its pictures.
enum class Subfolders {
  skip,    ///< only told, where they hold pictures
  search,  ///< looked into, to any depth; linked ones too, each once
};

/// Folders whose files do not pair as they are. Beside its text it says what would help, so that a program
/// can name its own option for it.
class SAM2UNET_API PairingError : public UsageError {
 public:
  enum class Remedy {
    none,
    recursive,  ///< look into subfolders
    patterns,   ///< name each side by a pattern ("Imgs/*.jpg", "Imgs/*.png"), or masks by their affix
    affixes,    ///< what first() and second() hold stands beside the shared part of each side's names
  };
  explicit PairingError(const std::string& what, Remedy remedy = Remedy::none, NameAffix first = {},
                        NameAffix second = {})
      : UsageError(what), remedy_(remedy), first_(std::move(first)), second_(std::move(second)) {}
  ~PairingError() override;
  Remedy remedy() const { return remedy_; }
  const NameAffix& first() const { return first_; }
  const NameAffix& second() const { return second_; }

 private:
  Remedy remedy_;
  NameAffix first_, second_;
};

/// Lists a folder, or what a pattern (*, ?, [...], {a,b}, ~) matches. Hidden files are passed over, "._NAME"
/// of macOS among them. Nothing is opened. FileError if there is no such folder, it cannot be listed, or
/// nothing matches.
SAM2UNET_API PictureList list_pictures(const std::filesystem::path& place,
                                       Subfolders subfolders = Subfolders::skip);

/// The files and folders that a pattern matches, sorted, without hidden files; empty if none.
SAM2UNET_API std::vector<std::filesystem::path> match_pattern(const std::string& pattern);
/// Whether `place` is to be taken as a pattern: it has wildcards, and no file or folder has that name.
SAM2UNET_API bool is_pattern(const std::filesystem::path& place);

/// "no pictures in DIR itself, but 2 subfolders hold some: a, b", or what else there is.
SAM2UNET_API std::string describe_empty(const std::filesystem::path& place, const PictureList& list);
/// "2 files of picture formats that are not read were left out: a.heic, b.avif; convert them to JPEG or PNG".
SAM2UNET_API std::string describe_not_read(const std::vector<std::filesystem::path>& files);

}  // namespace sam2unet
