// A function with a stack of its own that can be left in its middle and resumed: one lane of the emulator.
#pragma once

#include <cstddef>
#include <memory>

namespace sam2unet::ops::cuda::device {

/// Resumed and left on one thread of the operating system only.
class Fiber {
 public:
  Fiber(std::byte* stack, std::size_t bytes);
  ~Fiber();
  Fiber(Fiber&&) noexcept;
  Fiber& operator=(Fiber&&) = delete;

  /// What the next resume() begins: `body(argument)`, which must end in leave(). What ran before is
  /// forgotten, its stack not unwound.
  void start(void (*body)(void*), void* argument);
  void resume();
  /// From within the body: resume() returns. A left fiber is not resumed but started again.
  void yield() { leave_for_scheduler(false); }
  void leave() { leave_for_scheduler(true); }

  /// Whether the end of the stack still bears the mark that start() put there.
  bool stack_is_whole() const;

 private:
  struct Context;
  static void enter();
  void leave_for_scheduler(bool for_good);

  std::byte* stack_;
  std::size_t bytes_;
  void (*body_)(void*) = nullptr;
  void* argument_ = nullptr;
  std::unique_ptr<Context> context_;
};

}  // namespace sam2unet::ops::cuda::device
