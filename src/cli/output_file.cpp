#include "output_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "sam2unet/errors.h"

namespace sam2unet::cli {

void write_output(const std::filesystem::path& path, const std::string& text) {
  if (path == "-") {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
      throw FileError("stdout: cannot write: " + std::string(std::strerror(errno)));
    }
    return;
  }
  std::filesystem::path temporary = path;
  temporary += ".part" + std::to_string(::getpid());
  struct Close {
    void operator()(std::FILE* f) const { std::fclose(f); }
  };
  const auto fail = [&](int error) {
    std::remove(temporary.c_str());
    throw FileError(path.string() + ": cannot write: " + std::strerror(error) + "; choose another place");
  };
  std::unique_ptr<std::FILE, Close> file(std::fopen(temporary.c_str(), "wb"));
  if (!file) fail(errno);
  if (std::fwrite(text.data(), 1, text.size(), file.get()) != text.size() || std::fflush(file.get()) != 0 ||
      ::fsync(::fileno(file.get())) != 0) {
    fail(errno);
  }
  file.reset();
  if (std::rename(temporary.c_str(), path.c_str()) != 0) fail(errno);
}

}  // namespace sam2unet::cli
