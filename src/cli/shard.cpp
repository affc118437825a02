#include "shard.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <system_error>

#include "sam2unet/errors.h"

namespace sam2unet::cli {
namespace {

constexpr std::size_t kMost = 1'000'000;

std::optional<std::size_t> number(std::string_view text) {
  std::size_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size() || out > kMost) return std::nullopt;
  return out;
}

// Nothing where it is not set.
std::optional<std::size_t> variable(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') return std::nullopt;
  const auto out = number(text);
  if (!out) throw UsageError(fmt::format("--shard auto: {}={} is not a number up to {}", name, text, kMost));
  return out;
}

Shard checked(std::size_t index, std::size_t count, const std::string& whence) {
  if (count == 0) throw UsageError(fmt::format("{}: 0 parts", whence));
  if (index >= count) {
    throw UsageError(fmt::format("{}: part {} of {}; parts count from 0, the last is {}", whence, index,
                                 count, count - 1));
  }
  return {index, count};
}

// An array's ids need not begin at 0, nor follow each other (--array=10-40:10).
Shard of_slurm(std::size_t id) {
  const auto count = variable("SLURM_ARRAY_TASK_COUNT");
  if (!count) {
    throw UsageError(
        "--shard auto: SLURM_ARRAY_TASK_ID is set, SLURM_ARRAY_TASK_COUNT is not; tell the number of parts: "
        "--shard auto/N");
  }
  const std::size_t first = variable("SLURM_ARRAY_TASK_MIN").value_or(0);
  const std::size_t step = variable("SLURM_ARRAY_TASK_STEP").value_or(1);
  const auto last = variable("SLURM_ARRAY_TASK_MAX");
  // --array=3,5,9, or some tasks of an array again: their place among all is not known.
  const bool is_regular = step > 0 && id >= first && (id - first) % step == 0 &&
                          (!last || (*last >= first && (*last - first) / step + 1 == *count));
  if (!is_regular) {
    throw UsageError(
        "--shard auto: the ids of this SLURM array do not follow each other; tell the number of parts, and "
        "ids are "
        "taken as they are, from 0 on: --shard auto/N");
  }
  return checked((id - first) / step, *count, "--shard auto: SLURM_ARRAY_TASK_ID");
}

Shard of_environment(std::optional<std::size_t> count) {
  const auto slurm = variable("SLURM_ARRAY_TASK_ID");
  const auto kubernetes = variable("JOB_COMPLETION_INDEX");
  if (slurm && kubernetes) {
    throw UsageError(
        "--shard auto: both SLURM_ARRAY_TASK_ID and JOB_COMPLETION_INDEX are set; say which: --shard I/N");
  }
  if (!slurm && !kubernetes) {
    throw UsageError(
        "--shard auto: neither SLURM_ARRAY_TASK_ID (a SLURM job array) nor JOB_COMPLETION_INDEX (an indexed "
        "job "
        "of Kubernetes) is set; say which part: --shard I/N");
  }
  if (!count) count = variable("SAM2UNET_SHARDS");
  if (!count && slurm) return of_slurm(*slurm);
  if (!count) {
    throw UsageError(
        "--shard auto: Kubernetes does not tell a job's completions; tell them: --shard auto/N, or "
        "SAM2UNET_SHARDS=N");
  }
  return slurm ? checked(*slurm, *count, "--shard auto: SLURM_ARRAY_TASK_ID")
               : checked(*kubernetes, *count, "--shard auto: JOB_COMPLETION_INDEX");
}

}  // namespace

Shard parse_shard(const std::string& text) {
  if (text == "auto") return of_environment(std::nullopt);
  const std::size_t slash = text.find('/');
  const auto count =
      slash == std::string::npos ? std::nullopt : number(std::string_view(text).substr(slash + 1));
  if (count && text.substr(0, slash) == "auto") return of_environment(count);
  const auto index = number(std::string_view(text).substr(0, slash));
  if (!count || !index)
    throw UsageError(fmt::format("--shard {}: write I/N (0/4 to 3/4 for four parts), auto or auto/N", text));
  return checked(*index, *count, "--shard " + text);
}

}  // namespace sam2unet::cli
