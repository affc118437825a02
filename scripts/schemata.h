// Included first in every file that scripts/schemata.py plants faults in. S2U_FAULT chooses the fault that is
// on; S2U_HITS names a file in which every fault that is reached leaves a byte, in this process and those it
// starts.
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

namespace s2u_schemata {

constexpr int kMaxFaults = 1 << 16;

inline unsigned char* map_hits() {
  const char* path = getenv("S2U_HITS");
  const int file = path == nullptr ? -1 : open(path, O_RDWR | O_CREAT, 0666);
  if (file < 0) return nullptr;
  void* p = ftruncate(file, kMaxFaults) != 0
                ? MAP_FAILED
                : mmap(nullptr, kMaxFaults, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  return p == MAP_FAILED ? nullptr : static_cast<unsigned char*>(p);
}

inline const int chosen = getenv("S2U_FAULT") == nullptr ? 0 : atoi(getenv("S2U_FAULT"));
inline unsigned char* const hits = map_hits();

inline bool on(int fault) {
  if (hits != nullptr) __atomic_store_n(hits + fault, 1, __ATOMIC_RELAXED);
  return chosen == fault;
}

// Operators exchanged; of comparisons, whether equal counts.
template <class A, class B>
bool lt(int fault, const A& a, const B& b) {
  return on(fault) ? a <= b : a < b;
}
template <class A, class B>
bool le(int fault, const A& a, const B& b) {
  return on(fault) ? a < b : a <= b;
}
template <class A, class B>
bool gt(int fault, const A& a, const B& b) {
  return on(fault) ? a >= b : a > b;
}
template <class A, class B>
bool ge(int fault, const A& a, const B& b) {
  return on(fault) ? a > b : a >= b;
}
template <class A, class B>
bool eq(int fault, const A& a, const B& b) {
  return on(fault) ? a != b : a == b;
}
template <class A, class B>
bool ne(int fault, const A& a, const B& b) {
  return on(fault) ? a == b : a != b;
}
template <class A, class B>
auto add(int fault, A a, B b) -> decltype(a + b) {
  return on(fault) ? a - b : a + b;
}
template <class A, class B>
auto sub(int fault, A a, B b) -> decltype(a - b) {
  return on(fault) ? a + b : a - b;
}
template <class A, class B>
auto mul(int fault, A a, B b) -> decltype(a * b) {
  return on(fault) ? a + b : a * b;
}
template <class A, class B>
auto div(int fault, A a, B b) -> decltype(a / b) {
  return on(fault) ? a * b : a / b;
}

// Another number: 1 for 0, one more, or for fractions a quarter more; the other truth; the neighbouring
// character.
template <class T>
T literal(int fault, T v) {
  if (!on(fault)) return v;
  if (v == T(0)) return T(1);
  if constexpr (T(0.5) == T(0)) {
    return T(v + 1);
  } else {
    return T(v + v / T(4));
  }
}
inline bool literal(int fault, bool v) {
  return on(fault) ? !v : v;
}
inline char literal(int fault, char v) {
  return on(fault) ? static_cast<char>(v ^ 1) : v;
}

}  // namespace s2u_schemata
