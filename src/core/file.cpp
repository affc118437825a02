#include "core/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "sam2unet/errors.h"
#include "sam2unet/files.h"

namespace sam2unet {
namespace {

std::string reason(int error) {
  switch (error) {
    case ENOENT:
      return "no such file or folder";
    case EACCES:
    case EPERM:
      return "permission denied";
    case EISDIR:
      return "it is a folder, not a file";
    case ENOSPC:
    case EDQUOT:
      return "the disk is full; free some space or write elsewhere";
    case ENAMETOOLONG:
      return "the name is too long for this file system; give the picture a shorter name";
    case EROFS:
      return "the file system is read-only";
    default:
      return std::generic_category().message(error);
  }
}

bool concerns_the_name(int error) {
  switch (error) {
    case ENAMETOOLONG:
    case EINVAL:
    case EILSEQ:
    case EISDIR:
    case ENOTDIR:
    case EEXIST:
    case ELOOP:
      return true;
    default:
      return false;
  }
}

// Closes on every way out.
struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

int open_for_reading(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw FileError(fmt::format("cannot open {}: {}", path.string(), reason(errno)));
  return fd;
}

}  // namespace

NameError::~NameError() = default;

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const Descriptor file{open_for_reading(path)};
  struct stat st = {};
  if (::fstat(file.fd, &st) != 0)
    throw FileError(fmt::format("cannot read {}: {}", path.string(), reason(errno)));
  if (S_ISDIR(st.st_mode)) throw FileError(fmt::format("cannot read {}: {}", path.string(), reason(EISDIR)));
  if (!S_ISREG(st.st_mode)) {
    throw FileError(
        fmt::format("cannot map {}: it is not a regular file; copy it to one first", path.string()));
  }
  size_ = static_cast<std::size_t>(st.st_size);
  if (size_ == 0) return;  // nothing to map; an empty span
  void* p = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (p == MAP_FAILED) throw FileError(fmt::format("cannot map {}: {}", path.string(), reason(errno)));
  data_ = static_cast<const std::byte*>(p);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedFile::release(std::span<const std::byte> part) const {
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  // Only pages that lie wholly inside: the ones at the ends hold a neighbour's bytes.
  const std::size_t before = (page - reinterpret_cast<std::uintptr_t>(part.data()) % page) % page;
  if (part.size() < before + page) return;
  const std::size_t whole = (part.size() - before) / page * page;
  ::madvise(const_cast<std::byte*>(part.data()) + before, whole, MADV_DONTNEED);
}

AtomicFile::AtomicFile(const std::filesystem::path& path) : path_(path) {
  static std::atomic<unsigned> counter{0};
  // Not the name with something behind it, which could be longer than the file system allows.
  temporary_ = path_.parent_path() / fmt::format(".sam2unet.{}.{}.part", ::getpid(), counter.fetch_add(1));
  // A name that cannot be is told before hours of writing.
  struct stat st = {};
  if (::lstat(path_.c_str(), &st) != 0 && errno == ENAMETOOLONG) fail("write", errno);
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd_ < 0) fail("write", errno);
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::fail(const char* what, int error) const {
  const std::string message = fmt::format("cannot {} {}: {}", what, path_.string(), reason(error));
  if (concerns_the_name(error)) throw NameError(message);
  throw FileError(message);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      fail("write", errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void AtomicFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text)));
}

void AtomicFile::commit() {
  if (::fsync(fd_) != 0) fail("write", errno);
  // A delayed "disk full" may only show on close.
  if (::close(std::exchange(fd_, -1)) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    fail("write", error);
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    fail("write", error);
  }
}

void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  write_file(path, std::as_bytes(std::span(text)));
}

void write_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  write_file(path, bytes);
}

void write_atomically(const std::filesystem::path& path, std::string_view text) {
  write_file(path, text);
}

struct AtomicWriter::Impl {
  AtomicFile file;
};

AtomicWriter::AtomicWriter(const std::filesystem::path& path) : impl_(new Impl{AtomicFile(path)}) {}
AtomicWriter::~AtomicWriter() = default;
AtomicWriter::AtomicWriter(AtomicWriter&&) noexcept = default;
AtomicWriter& AtomicWriter::operator=(AtomicWriter&&) noexcept = default;

void AtomicWriter::write(std::span<const std::byte> bytes) {
  impl_->file.write(bytes);
}

void AtomicWriter::commit() {
  impl_->file.commit();
}

std::vector<std::byte> read_file(const std::filesystem::path& path) {
  std::vector<std::byte> out;
  read_file(path, out);
  return out;
}

void read_file(const std::filesystem::path& path, std::vector<std::byte>& out) {
  const Descriptor file{open_for_reading(path)};
  struct stat st = {};
  std::size_t step = 1 << 16, used = 0;
  // One byte more than there should be, so that the end shows without another round.
  if (::fstat(file.fd, &st) == 0 && S_ISREG(st.st_mode)) step = static_cast<std::size_t>(st.st_size) + 1;
  while (true) {
    out.resize(used + step);
    const ssize_t n = ::read(file.fd, out.data() + used, step);
    if (n < 0 && errno != EINTR) {
      throw FileError(fmt::format("cannot read {}: {}", path.string(), reason(errno)));
    }
    used += n > 0 ? static_cast<std::size_t>(n) : 0;
    if (n == 0) break;
    step = 1 << 16;
  }
  out.resize(used);
}

}  // namespace sam2unet
