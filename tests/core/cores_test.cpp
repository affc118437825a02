// Control groups as containers and services have them, laid out in a folder of our own.
#include "core/cores.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <fstream>
#include <string>

#include "sam2unet/cores.h"
#include "support/temp_dir.h"

namespace sam2unet {
namespace {

class Quota : public ::testing::Test {
 protected:
  void write(const std::string& file, const std::string& text) {
    std::filesystem::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  std::optional<double> quota() { return processor_quota(root_.path()); }

 private:
  test::TempDir root_;
};

constexpr const char* kUnified =
    "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

TEST_F(Quota, NoneWithoutControlGroups) {
  EXPECT_EQ(quota(), std::nullopt);
}

TEST_F(Quota, VersionTwoInAContainer) {
  write("proc/self/cgroup", "0::/\n");
  write("proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + std::string(kUnified));
  EXPECT_EQ(quota(), std::nullopt);
  write("sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), std::nullopt);
  write("sys/fs/cgroup/cpu.max", "250000 100000\n");
  EXPECT_EQ(quota(), 2.5);
}

TEST_F(Quota, TheLeastOfTheGroupsAboveCounts) {
  write("proc/self/cgroup", "0::/pods/one/work\n");
  write("proc/self/mountinfo", kUnified);
  write("sys/fs/cgroup/pods/one/work/cpu.max", "400000 100000\n");
  write("sys/fs/cgroup/pods/cpu.max", "150000 50000\n");
  EXPECT_EQ(quota(), 3.0);
  write("sys/fs/cgroup/pods/one/work/cpu.max", "50000 100000\n");
  EXPECT_EQ(quota(), 0.5);
}

TEST_F(Quota, VersionOneBesideVersionTwo) {
  write("proc/self/cgroup", "5:memory:/a\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n0::/\n");
  write("proc/self/mountinfo",
        "33 31 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
        "32 31 0:29 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro master:11 - cgroup cgroup rw,cpu,cpuacct\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), std::nullopt);
  write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n");
  EXPECT_EQ(quota(), 2.0);
}

// A group below the one that a container sees mounted as if it were the root.
TEST_F(Quota, GroupsLieBelowWhatIsMounted) {
  write("proc/self/cgroup", "0::/docker/abc/work\n");
  write("proc/self/mountinfo", "31 23 0:28 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  write("sys/fs/cgroup/work/cpu.max", "150000 100000\n");
  EXPECT_EQ(quota(), 1.5);
  write("sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_EQ(quota(), 0.5);
  // One that lies elsewhere keeps its own name.
  write("proc/self/cgroup", "0::/elsewhere/work\n");
  write("sys/fs/cgroup/elsewhere/work/cpu.max", "20000 100000\n");
  EXPECT_EQ(quota(), 0.2);
}

// "cpuset" and "name=cpu" are other controllers than "cpu".
TEST_F(Quota, OfTheControllerItselfAlone) {
  write("proc/self/cgroup", "6:cpuset:/wrong\n5:name=cpu:/wrong\n4:cpuacct,cpu:/right\n");
  write("proc/self/mountinfo",
        "33 31 0:30 / /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpuacct,cpu\n");
  write("sys/fs/cgroup/cpuset/right/cpu.cfs_quota_us", "100000\n");
  write("sys/fs/cgroup/cpuset/right/cpu.cfs_period_us", "100000\n");
  write("sys/fs/cgroup/cpu/wrong/cpu.cfs_quota_us", "100000\n");
  write("sys/fs/cgroup/cpu/wrong/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), std::nullopt);
  // Nor is every file system with an option of that name one of control groups.
  write("odd/right/cpu.cfs_quota_us", "10000\n");
  write("odd/right/cpu.cfs_period_us", "100000\n");
  write("proc/self/mountinfo",
        "30 31 0:27 / /odd rw - fuse.odd odd rw,cpu\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpuacct,cpu\n");
  EXPECT_EQ(quota(), std::nullopt);
  write("sys/fs/cgroup/cpu/right/cpu.cfs_quota_us", "75000\n");
  write("sys/fs/cgroup/cpu/right/cpu.cfs_period_us", "50000\n");
  EXPECT_EQ(quota(), 1.5);
  // Of both versions the least counts.
  write("proc/self/cgroup", "4:cpu:/right\n0::/two\n");
  write("proc/self/mountinfo",
        "32 31 0:29 / /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n" + std::string(kUnified));
  write("sys/fs/cgroup/two/cpu.max", "50000 100000\n");
  EXPECT_EQ(quota(), 0.5);
  write("sys/fs/cgroup/two/cpu.max", "900000 100000\n");
  EXPECT_EQ(quota(), 1.5);
}

TEST_F(Quota, NonsenseIsNoLimit) {
  write("proc/self/cgroup", "0::/\nno colons\n:\n");
  write("proc/self/mountinfo", "short\n1 2 - \n - \n" + std::string(kUnified));
  for (const char* text : {"", "100000", "a b", "0 100000", "-5 100000", "100000 0", " "}) {
    write("sys/fs/cgroup/cpu.max", text);
    EXPECT_EQ(quota(), std::nullopt) << text;
  }
}

TEST(Cores, FollowTheAffinityMask) {
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  EXPECT_GE(available_cores(), 1);
  EXPECT_LE(available_cores(), CPU_COUNT(&before));
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i)
    if (CPU_ISSET(i, &before)) CPU_SET(i, &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(available_cores(), 1);
  ASSERT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);
}

}  // namespace
}  // namespace sam2unet
