#include "train/run_data.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/hash.h"
#include "sam2unet/errors.h"
#include "train/multi_scale.h"

namespace sam2unet::train {
namespace {

std::string fingerprint(const Data& data) {
  std::uint64_t names = kFnvOffset;
  for (const auto* part : {&data.train, &data.validation}) {
    for (const auto& p : *part) names = fnv1a(p.image.filename().string(), names);
  }
  return fmt::format("{} pictures to train on, {} to validate on, names {:016x}", data.train.size(),
                     data.validation.size(), names);
}

// All processes must have found the same names, or each would train on its own order.
void check_alike(const std::string& found, const Settings& s, Group& group) {
  const auto said = group.exchange("run", found + "\n" + s.to_toml());
  for (std::size_t r = 1; r < said.size(); ++r) {
    if (said[r] == said[0]) continue;
    const auto line = [](const std::string& t) { return t.substr(0, t.find('\n')); };
    const auto settings = [&](const std::string& t) {
      return Settings::from_toml(t.substr(t.find('\n') + 1));
    };
    const auto changed =
        Settings::differences(settings(said[0]), settings(said[r]), Settings::Scope::processes);
    if (line(said[r]) == line(said[0]) && changed.empty()) continue;
    throw UsageError(fmt::format("rank {} was started otherwise than rank 0: {}", r,
                                 changed.empty()
                                     ? fmt::format("{}; rank 0 finds {}", line(said[r]), line(said[0]))
                                     : fmt::format("{}", fmt::join(changed, ", "))));
  }
}

}  // namespace

RunData checked_data(const Settings& s, const model::Config& config, const Notes& note, Group& group,
                     const ClassTable* classes) {
  // Before thousands of pictures are read.
  config.check_input(s.size, s.size);
  for (const int size : training_sizes(s.size, s.multi_scale)) config.check_input(size, size);
  RunData out{find_data(s, note), {}};
  CheckOptions options;
  options.threads = s.workers;
  options.skip_bad = s.skip_bad;
  options.note = note;
  options.classes = classes;
  check_data(out.pairs, options);
  note_large_batch(s, out.pairs.train.size(), note);
  out.fingerprint = fingerprint(out.pairs);
  check_alike(out.fingerprint, s, group);
  if (out.pairs.train.size() < static_cast<std::size_t>(group.world()) || s.batch < group.world()) {
    throw UsageError(fmt::format("{} processes, but a batch of {} from {} pictures: each must get a picture",
                                 group.world(), s.batch, out.pairs.train.size()));
  }
  return out;
}

}  // namespace sam2unet::train
