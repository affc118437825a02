#include "fiber.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#define S2U_FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define S2U_FIBER_ASAN 1
#endif
#endif
#if defined(S2U_FIBER_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

// swapcontext asks the system for the signal mask each time, which is most of what a switch costs, and a
// block makes thousands of them. The registers that a call keeps are enough.
#if defined(__x86_64__)
extern "C" void s2u_fiber_switch(void** left, void* entered);
asm(R"(
.text
.p2align 4
.globl s2u_fiber_switch
.hidden s2u_fiber_switch
.type s2u_fiber_switch,@function
s2u_fiber_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size s2u_fiber_switch,.-s2u_fiber_switch
)");
#endif

namespace sam2unet::ops::cuda::device {
namespace {
constexpr std::uint64_t mark = 0x5a3c96e1f00dcafeULL;
constexpr int marks = 8;
thread_local Fiber* entering = nullptr;
}  // namespace

struct Fiber::Context {
#if defined(__x86_64__)
  void* own = nullptr;
  void* scheduler = nullptr;
#else
  ucontext_t own{}, scheduler{};
#endif
  // What AddressSanitizer must know of the two stacks.
  void* own_fake = nullptr;
  void* scheduler_fake = nullptr;
  const void* scheduler_stack = nullptr;
  std::size_t scheduler_bytes = 0;
};

Fiber::Fiber(std::byte* stack, std::size_t bytes)
    : stack_(stack), bytes_(bytes), context_(std::make_unique<Context>()) {}
Fiber::~Fiber() = default;
Fiber::Fiber(Fiber&&) noexcept = default;

void Fiber::start(void (*body)(void*), void* argument) {
  body_ = body;
  argument_ = argument;
  for (int i = 0; i < marks; i++) std::memcpy(stack_ + 8 * i, &mark, sizeof mark);
#if defined(__x86_64__)
  // From the top: a slot that keeps the alignment of a called function, the address `ret` goes to, and six
  // registers.
  auto top = reinterpret_cast<std::uintptr_t>(stack_ + bytes_) & ~std::uintptr_t{15};
  auto* slots = reinterpret_cast<std::uintptr_t*>(top) - 8;
  std::fill(slots, slots + 8, std::uintptr_t{0});
  slots[6] = reinterpret_cast<std::uintptr_t>(&Fiber::enter);
  context_->own = slots;
#else
  getcontext(&context_->own);
  context_->own.uc_stack.ss_sp = stack_;
  context_->own.uc_stack.ss_size = bytes_;
  context_->own.uc_link = nullptr;
  makecontext(&context_->own, &Fiber::enter, 0);
#endif
}

void Fiber::enter() {
  Fiber* self = entering;
#if defined(S2U_FIBER_ASAN)
  Context& c = *self->context_;
  __sanitizer_finish_switch_fiber(nullptr, &c.scheduler_stack, &c.scheduler_bytes);
#endif
  self->body_(self->argument_);
  __builtin_trap();  // the body ends in leave()
}

void Fiber::resume() {
  Context& c = *context_;
  entering = this;
#if defined(S2U_FIBER_ASAN)
  __sanitizer_start_switch_fiber(&c.scheduler_fake, stack_, bytes_);
#endif
#if defined(__x86_64__)
  s2u_fiber_switch(&c.scheduler, c.own);
#else
  swapcontext(&c.scheduler, &c.own);
#endif
#if defined(S2U_FIBER_ASAN)
  __sanitizer_finish_switch_fiber(c.scheduler_fake, nullptr, nullptr);
#endif
}

void Fiber::leave_for_scheduler([[maybe_unused]] bool for_good) {
  Context& c = *context_;
#if defined(S2U_FIBER_ASAN)
  __sanitizer_start_switch_fiber(for_good ? nullptr : &c.own_fake, c.scheduler_stack, c.scheduler_bytes);
#endif
#if defined(__x86_64__)
  s2u_fiber_switch(&c.own, c.scheduler);
#else
  swapcontext(&c.own, &c.scheduler);
#endif
#if defined(S2U_FIBER_ASAN)
  __sanitizer_finish_switch_fiber(c.own_fake, &c.scheduler_stack, &c.scheduler_bytes);
#endif
}

bool Fiber::stack_is_whole() const {
  for (int i = 0; i < marks; i++) {
    if (std::memcmp(stack_ + 8 * i, &mark, sizeof mark) != 0) return false;
  }
  return true;
}

}  // namespace sam2unet::ops::cuda::device
