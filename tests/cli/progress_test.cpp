// What a person at a terminal sees while many things are worked on, to the byte.
#include "cli/progress.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <regex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace sam2unet::cli {
namespace {

const std::string kErased = "\r\x1b[K";

// Standard error is a terminal of so many columns until what was shown is taken.
class Terminal {
 public:
  explicit Terminal(int columns = 80) {
    winsize size{};
    size.ws_row = 24;
    size.ws_col = static_cast<unsigned short>(columns);
    int end = -1;
    if (::openpty(&shown_, &end, nullptr, nullptr, &size) != 0) throw std::runtime_error("openpty");
    termios raw{};
    ::tcgetattr(end, &raw);
    ::cfmakeraw(&raw);  // a line's end stays as it is
    ::tcsetattr(end, TCSANOW, &raw);
    std::fflush(stderr);
    before_ = ::dup(STDERR_FILENO);
    ::dup2(end, STDERR_FILENO);
    ::close(end);
  }
  ~Terminal() {
    restore();
    ::close(shown_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  std::string take() {
    restore();
    std::string out;
    std::array<char, 4096> buffer{};
    for (ssize_t n = 0; (n = ::read(shown_, buffer.data(), buffer.size())) > 0;)
      out.append(buffer.data(), static_cast<std::size_t>(n));
    return out;
  }

 private:
  void restore() {
    if (before_ < 0) return;
    std::fflush(stderr);
    ::dup2(before_, STDERR_FILENO);
    ::close(std::exchange(before_, -1));
  }
  int shown_ = -1, before_ = -1;
};

// A bar of so many characters, so many of them full.
std::string bar(int full, int length) {
  return kErased + "[" + std::string(static_cast<std::size_t>(full), '#') +
         std::string(static_cast<std::size_t>(length - full), '.') + "]";
}

// 40 characters at most, and with what is told beside it at least two columns short of the terminal, so that
// it stays on one line, which can be erased.
TEST(ProgressTest, TheBarFitsTheTerminal) {
  for (const auto& [columns, length] : {std::pair(5, 0),
                                        {18, 0},
                                        {19, 0},
                                        {20, 1},
                                        {30, 11},
                                        {58, 39},
                                        {59, 40},
                                        {60, 40},
                                        {200, 40},
                                        {0, 40}}) {  // a terminal that does not say is taken for 80
    Terminal t(columns);
    { const Progress p(100, "pictures"); }
    EXPECT_EQ(t.take(), bar(0, length) + " 0/100 pictures" + kErased) << columns;
  }
}

TEST(ProgressTest, LinesGoWhereTheBarWas) {
  const std::string start = bar(0, 40) + " 0/2 pictures";
  Terminal t;
  Progress p(2, "pictures");
  EXPECT_TRUE(p.on_terminal());
  p.say("one");
  p.print("");  // what goes to standard output
  p.finish();
  p.say("two");
  p.advance(2);
  EXPECT_EQ(t.take(), start + kErased + "one\n" + start + kErased + start + kErased + "two\n");
}

// Of one thing there is a bar where it has parts.
TEST(ProgressTest, OneThingHasABarOfItsParts) {
  for (const std::size_t total : {std::size_t{0}, std::size_t{1}}) {
    Terminal t;
    {
      Progress p(total, "pictures");
      p.within(0, 1, "tiles");
      p.advance();
    }
    EXPECT_EQ(t.take(), "");
  }
  Terminal t;
  {
    Progress p(1, "pictures");
    p.within(1, 4, "tiles");
  }
  const std::string shown = t.take();
  EXPECT_TRUE(shown.starts_with(bar(10, 40) + " 1/4 tiles  ")) << shown;
  EXPECT_TRUE(shown.ends_with(" left" + kErased)) << shown;
  EXPECT_EQ(shown.find("/s"), std::string::npos) << shown;
}

// The last one is shown at once. A thousandth of a second is the least that things are taken to have needed.
TEST(ProgressTest, TheEndIsFull) {
  Terminal t(200);
  {
    Progress p(10'000, "pixels");
    p.advance(10'000);
  }
  const std::string shown = t.take();
  EXPECT_TRUE(
      std::regex_search(shown, std::regex(R"(\[#{40}\] 10000/10000 pixels  [1-9][0-9]+/s  0:00 left\r)")))
      << shown;
}

// The rate has decimals below ten a second, and what is left is the rest at that rate, rounded up.
TEST(ProgressTest, TellsTheRateAndTheTimeLeft) {
  const auto wait = [] { std::this_thread::sleep_for(std::chrono::milliseconds(105)); };  // drawn anew
  Terminal t;
  {
    Progress p(4, "pictures");
    wait();
    p.within(1, 4, "tiles");
    wait();
    p.advance();
  }
  const std::string shown = t.take(), last = shown.substr(shown.rfind('[', shown.rfind(']')));
  const std::string parts = bar(2, 40) + " 0/4 pictures, 1/4 tiles  ";
  const auto at = shown.find(parts);
  ASSERT_NE(at, std::string::npos) << shown;
  EXPECT_TRUE(std::regex_search(shown.substr(at + parts.size()), std::regex("^[0-9]+:[0-9]{2} left\r")))
      << shown;
  std::smatch m;
  ASSERT_TRUE(std::regex_search(
      last, m, std::regex(R"(^\[#{10}\.{30}\] 1/4 pictures  ([0-9]\.[0-9]{2})/s  ([0-9]+):([0-9]{2}) left)")))
      << shown;
  const double rate = std::stod(m[1]), left = std::stod(m[2]) * 60 + std::stod(m[3]);
  EXPECT_GE(left, 3 / (rate + 0.005));
  EXPECT_LT(left - 1, 3 / (rate - 0.005));
}

}  // namespace
}  // namespace sam2unet::cli
