// Runs a program as a user would: arguments, bytes on standard input, and what came back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sam2unet::test {

struct Finished {
  int exit_code = -1;  // 128 + signal if one ended it
  std::string out;
  std::string err;
  std::int64_t peak_bytes = 0;  // the most memory that was resident
};

struct RunOptions {
  std::string input = {};                             // standard input = {}; empty is an empty one
  std::filesystem::path folder = {};                  // to run in
  std::filesystem::path out_to = {};                  // standard output goes there instead
  std::optional<std::uint64_t> file_size_limit = {};  // writing more to a file fails, as on a full disk
  bool terminal = false;                              // standard error is a terminal
  bool interrupt_after_output = false;                // a signal once something came on standard output
  int interrupt_by = 2;                               // which one; SIGINT
  std::vector<std::string> environment = {};          // "NAME=value", beside what there is
};

/// The built program of that name, in the build tree's bin/.
std::filesystem::path program(const std::string& name);

Finished run(const std::filesystem::path& program, const std::vector<std::string>& arguments,
             const RunOptions& options = {});

}  // namespace sam2unet::test
