// The loaded networks, which are replaced while requests run.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "serve/options.h"

namespace sam2unet::serve {

struct Model {
  std::string name;
  std::unique_ptr<const Network> network;
  int version = 1;  ///< counts reloads
};
using SharedModel = std::shared_ptr<const Model>;

class Models {
 public:
  /// UsageError for names that cannot be told apart in a URL. Nothing is loaded yet.
  Models(std::vector<ModelFile> files, OpenNetwork open);

  /// Reads all files; all are replaced or, where one throws, none. One at a time.
  void load();
  bool loaded() const;
  /// The default one for ""; nullptr if there is none of that name or nothing is loaded.
  SharedModel find(std::string_view name) const;
  std::vector<SharedModel> all() const;

 private:
  const std::vector<ModelFile> files_;
  const OpenNetwork open_;
  mutable std::mutex mutex_;
  std::vector<SharedModel> models_;
  int version_ = 0;
};

}  // namespace sam2unet::serve
