// For wheels alone (SAM2UNET_PORTABLE): GCC 12's libstdc++ gave this function a new version, GLIBCXX_3.4.30,
// which would be all that keeps a program from systems with GCC 11's. Defined here it is not asked of the
// system.
#include <pthread.h>

#include <condition_variable>
#include <mutex>

void std::condition_variable::wait(std::unique_lock<std::mutex>& lock) noexcept {
  pthread_cond_wait(native_handle(), lock.mutex()->native_handle());
}
