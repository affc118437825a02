#include "core/cores.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "sam2unet/cores.h"

namespace sam2unet {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> lines_of(const fs::path& file) {
  std::ifstream in(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool contains(std::string_view list, std::string_view item) {  // "cpu,cpuacct" contains "cpu"
  return ("," + std::string(list) + ",").find("," + std::string(item) + ",") != std::string::npos;
}

// Where a hierarchy is mounted, and the group that is its root there.
struct Mount {
  std::string group, folder;
};

// proc(5): "36 35 98:0 ROOT FOLDER options [fields] - TYPE source SUPER-OPTIONS".
std::optional<Mount> find_mount(const std::vector<std::string>& mountinfo, int version) {
  for (const std::string& line : mountinfo) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream before(line.substr(0, dash)), after(line.substr(dash + 3));
    std::string skip, type, options;
    Mount mount;
    before >> skip >> skip >> skip >> mount.group >> mount.folder;
    after >> type >> skip >> options;
    if (version == 2 ? type == "cgroup2" : type == "cgroup" && contains(options, "cpu")) return mount;
  }
  return std::nullopt;
}

// The process's group in the hierarchy; lines are "ID:CONTROLLERS:GROUP", version 2's has no controllers.
std::optional<std::string> find_group(const std::vector<std::string>& cgroup, int version) {
  for (const std::string& line : cgroup) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (version == 2 ? line.starts_with("0::") : contains(controllers, "cpu")) return line.substr(second + 1);
  }
  return std::nullopt;
}

// Quota over period, both in microseconds; "max" and -1 are none.
std::optional<double> ratio(const std::string& quota, const std::string& period) {
  std::istringstream q(quota), p(period);
  double used = 0, of = 0;
  if (!(q >> used) || !(p >> of) || used <= 0 || of <= 0) return std::nullopt;
  return used / of;
}

std::optional<double> quota_of(const fs::path& group, int version) {
  const auto first_line = [&](const char* name) {
    const auto lines = lines_of(group / name);
    return lines.empty() ? std::string() : lines[0];
  };
  if (version == 1) return ratio(first_line("cpu.cfs_quota_us"), first_line("cpu.cfs_period_us"));
  const std::string both = first_line("cpu.max");
  const std::size_t space = both.find(' ');
  return space == std::string::npos ? std::nullopt : ratio(both.substr(0, space), both.substr(space + 1));
}

}  // namespace

std::optional<double> processor_quota(const fs::path& root) {
  const auto cgroup = lines_of(root / "proc/self/cgroup"), mountinfo = lines_of(root / "proc/self/mountinfo");
  std::optional<double> least;
  for (const int version : {1, 2}) {
    const auto mount = find_mount(mountinfo, version);
    auto group = find_group(cgroup, version);
    if (!mount || !group) continue;
    // A container may see its own group mounted as if it were the root.
    if (mount->group != "/" && group->starts_with(mount->group)) group->erase(0, mount->group.size());
    const fs::path top = root / fs::path(mount->folder).relative_path();
    for (fs::path at = fs::path(*group).relative_path();; at = at.parent_path()) {
      const auto quota = quota_of(top / at, version);
      if (quota && (!least || *quota < *least)) least = quota;
      if (at.empty()) break;
    }
  }
  return least;
}

int available_cores() {
  int cores = 0;
  cpu_set_t mask;
  if (::sched_getaffinity(0, sizeof mask, &mask) == 0) cores = CPU_COUNT(&mask);
  if (cores <= 0) cores = static_cast<int>(std::thread::hardware_concurrency());  // over 1024 processors
  if (const auto quota = processor_quota()) cores = std::min(cores, static_cast<int>(std::ceil(*quota)));
  return std::max(cores, 1);
}

}  // namespace sam2unet
