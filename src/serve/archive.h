// Several files as one answer.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "serve/http.h"
#include "serve/work.h"

namespace sam2unet::serve {

enum class ArchiveKind { multipart, zip };

/// Gives names that do not occur twice, whatever the case of their letters.
class FreeNames {
 public:
  /// The stem of a picture's name, such that no `endings` behind it make a name that is taken: the stem
  /// itself, the whole name, or a numbered stem.
  std::string take_stem(const std::string& picture, const std::vector<std::string>& endings);

 private:
  std::unordered_set<std::string> taken_;
};

/// All outputs of the pieces, and for each piece with a problem a word on it: in multipart/mixed a part of
/// JSON, in a zip an entry of "errors.json".
Response archive(const std::vector<Piece>& pieces, ArchiveKind kind);

/// `inline; filename="a.png"; filename*=UTF-8''a.png`
std::string disposition(std::string_view kind, std::string_view file_name);

}  // namespace sam2unet::serve
