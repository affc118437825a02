#include "shared_cells.h"

#include <fmt/format.h>

namespace sam2unet::ops::cuda::device {
namespace {
constexpr std::size_t cell_bytes = 2;
}

void SharedCells::reset(std::size_t bytes) {
  cells_.assign((bytes + cell_bytes - 1) / cell_bytes, Cell{});
}

/// Whether no barrier stands between the two, and they are not of one thread.
bool SharedCells::unordered(const Access& before, const Moment& now) {
  if (before.thread == nobody || before.block_barriers != now.block_barriers) return false;
  if (before.thread == now.thread && !now.whole_warp) return false;
  if (before.thread == several_warps || before.warp != now.warp()) return true;
  return before.warp_barriers == now.warp_barriers;
}

void SharedCells::remember_read(Access& reader, const Moment& now) {
  const bool same_time = reader.thread != nobody && reader.block_barriers == now.block_barriers;
  if (same_time && (reader.thread == several_warps || reader.warp != now.warp())) {
    reader.thread = several_warps;
  } else if (same_time && reader.warp_barriers == now.warp_barriers && reader.thread != now.thread) {
    reader.thread = several_lanes;
  } else {
    reader = {now.thread, now.warp(), now.block_barriers, now.warp_barriers, now.cluster_barriers};
  }
}

std::string SharedCells::check_read(std::size_t offset, std::size_t bytes, const Moment& now) const {
  for (std::size_t i = offset / cell_bytes; i * cell_bytes < offset + bytes; i++) {
    const Cell& cell = cells_[i];
    if (cell.copying != nobody) {
      return fmt::format("shared byte {} is read while thread {}'s cp.async to it is under way",
                         i * cell_bytes, cell.copying);
    }
    if (unordered(cell.writer, now)) {
      return fmt::format("shared byte {} is read without a barrier after thread {} wrote it", i * cell_bytes,
                         cell.writer.thread);
    }
  }
  return {};
}

std::string SharedCells::read(std::size_t offset, std::size_t bytes, const Moment& now) {
  std::string wrong = check_read(offset, bytes, now);
  for (std::size_t i = offset / cell_bytes; i * cell_bytes < offset + bytes; i++) {
    remember_read(cells_[i].reader, now);
  }
  return wrong;
}

std::string SharedCells::read_by_warp(std::size_t offset, std::size_t bytes, const Moment& now) {
  Moment before = now;
  before.whole_warp = true;
  std::string wrong = check_read(offset, bytes, before);
  before.warp_barriers--;
  for (std::size_t i = offset / cell_bytes; i * cell_bytes < offset + bytes; i++) {
    // A lane's own read since the warp's last barrier says more than this one does.
    const Access& reader = cells_[i].reader;
    const bool newer = reader.thread != nobody && reader.block_barriers == now.block_barriers &&
                       reader.warp == now.warp() && reader.warp_barriers == now.warp_barriers;
    if (!newer) remember_read(cells_[i].reader, before);
  }
  return wrong;
}

std::string SharedCells::read_from_outside(std::size_t offset, std::size_t bytes,
                                           std::uint32_t cluster_barriers) {
  for (std::size_t i = offset / cell_bytes; i * cell_bytes < offset + bytes; i++) {
    Cell& cell = cells_[i];
    if (cell.copying != nobody) {
      return fmt::format("shared byte {} of another block is read while a cp.async to it is under way",
                         i * cell_bytes);
    }
    if (cell.writer.thread != nobody && cell.writer.cluster_barriers == cluster_barriers) {
      return fmt::format(
          "shared byte {} of another block is read without sync_cluster after its thread {} wrote it",
          i * cell_bytes, cell.writer.thread);
    }
    cell.outside = cluster_barriers + 1;
  }
  return {};
}

std::string SharedCells::write(std::size_t offset, std::size_t bytes, const Moment& now) {
  for (std::size_t i = offset / cell_bytes; i * cell_bytes < offset + bytes; i++) {
    Cell& cell = cells_[i];
    if (cell.copying != nobody) {
      return fmt::format("shared byte {} is written while thread {}'s cp.async to it is under way",
                         i * cell_bytes, cell.copying);
    }
    if (unordered(cell.writer, now)) {
      return fmt::format("shared byte {} is written without a barrier after thread {} wrote it",
                         i * cell_bytes, cell.writer.thread);
    }
    if (cell.outside == now.cluster_barriers + 1) {
      return fmt::format("shared byte {} is written without sync_cluster after another block read it",
                         i * cell_bytes);
    }
    if (unordered(cell.reader, now)) {
      return fmt::format("shared byte {} is written without a barrier after {} read it", i * cell_bytes,
                         cell.reader.thread >= 0               ? fmt::format("thread {}", cell.reader.thread)
                         : cell.reader.thread == several_lanes ? fmt::format("warp {}", cell.reader.warp)
                                                               : std::string("several warps"));
    }
    cell.writer = {now.thread, now.warp(), now.block_barriers, now.warp_barriers, now.cluster_barriers};
  }
  return {};
}

std::string SharedCells::begin_copy(std::size_t offset, std::size_t bytes, const Moment& now) {
  std::string wrong = write(offset, bytes, now);
  if (wrong.empty()) {
    for (std::size_t i = offset / cell_bytes; i * cell_bytes < offset + bytes; i++) {
      cells_[i].copying = now.thread;
    }
  }
  return wrong;
}

void SharedCells::arrive(std::size_t offset, std::size_t bytes, const Moment& now) {
  for (std::size_t i = offset / cell_bytes; i * cell_bytes < offset + bytes; i++) {
    cells_[i].copying = nobody;
    cells_[i].writer = {now.thread, now.warp(), now.block_barriers, now.warp_barriers, now.cluster_barriers};
  }
}

}  // namespace sam2unet::ops::cuda::device
