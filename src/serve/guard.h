// Who may ask: the names a service answers to, the pages that may call it, and the token.
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http.h"
#include "serve/options.h"

namespace sam2unet::serve {

/// Compares without telling by its time how much was right.
bool equal_secrets(std::string_view a, std::string_view b);

/// "example.org:8080" -> "example.org", "[::1]:80" -> "::1"; empty if it is neither a name nor an address.
std::string host_name(std::string_view host);
/// An address written out, of either version.
bool is_address(std::string_view host);

class Guard {
 public:
  /// Reads the token's file. FileError, UsageError for a token too short to be one.
  explicit Guard(const Options& options);

  /// What the token's file holds now, for `use()`: the service goes over to it only with all else that is
  /// loaded again. FileError, UsageError as above; empty where there is no such file.
  std::string read() const;
  void use(std::string token);
  bool has_token() const { return !token_file_.empty(); }

  /// Refuses a Host that is neither an address, nor localhost, nor one of the names: a page elsewhere whose
  /// name was made to point here (DNS rebinding). Refuses the Origin of a page that is not the service's own
  /// or named by --cors. Refused 400, 403.
  void check_origin(const Headers& headers) const;
  /// Refused 401.
  void check_token(const Headers& headers) const;
  /// The origin that may read the answer; none where there is none or it is the service's own.
  std::optional<std::string> cross_origin(const Headers& headers) const;

 private:
  std::vector<std::string> cors_, hosts_;
  std::filesystem::path token_file_;
  mutable std::mutex mutex_;
  std::string token_;
};

}  // namespace sam2unet::serve
