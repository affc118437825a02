// A machine for Python's pickle opcodes that can only build plain data. Whatever a pickle names or calls is
// handed to a host, which knows a fixed list of names and refuses all others; nothing is ever imported or
// executed.
//
// Memory and time are linear in the size of the pickle: containers are nodes of an arena, which values refer
// to by number, so that a container may hold itself and none is destroyed or walked recursively.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace sam2unet::formats {

enum class ValueKind : std::uint8_t {
  none,
  boolean,      // integer: 0 or 1
  integer,      // integer
  big_integer,  // text: two's complement, little-endian, more than eight bytes
  real,         // real
  text,         // text: as stored, not checked to be UTF-8
  bytes,        // text
  tuple,        // items
  list,         // items
  dict,         // items: key, value, key, value, ...; a key may come twice, the later one counts
  global,       // id: the host's number of a name on its list
  storage,      // id: the host's
  tensor,       // id: the host's
  object,       // something allowed but of no interest here
};

std::string_view name_of(ValueKind kind);

struct Value {
  ValueKind kind = ValueKind::none;
  std::uint32_t id = 0;  // node of a container, or the host's number
  std::int64_t integer = 0;
  double real = 0;
  std::string_view text = {};  // points into the pickle; of globals and objects the name the host knows

  bool is(ValueKind k) const { return kind == k; }
  bool is_text(std::string_view s) const { return kind == ValueKind::text && text == s; }
};

class PickleMachine;

/// What names, calls and persistent ids of a pickle mean. Every function throws FormatError for what it does
/// not allow.
class PickleHost {
 public:
  virtual ~PickleHost();
  virtual Value global(std::string_view module, std::string_view name) = 0;
  /// `callable(*args)`, and `cls.__new__(cls, *args)`.
  virtual Value call(PickleMachine& machine, const Value& callable, const Value& args) = 0;
  virtual Value persistent(PickleMachine& machine, const Value& id) = 0;
};

class PickleMachine {
 public:
  explicit PickleMachine(PickleHost& host) : host_(host) {}

  struct Result {
    Value value;
    std::size_t size = 0;  // bytes of the pickle, its STOP included
  };
  /// Runs the pickle at the start of `bytes`. Values stay valid as long as the machine and the bytes; several
  /// pickles may be run one after the other. FormatError with the byte where it happened.
  Result run(std::span<const std::byte> bytes);

  /// Elements of a tuple, list or dict; valid until the machine is used again.
  std::span<const Value> items(const Value& container) const;
  Value make(ValueKind kind, std::span<const Value> items);

 private:
  class Run;
  Value make_node(ValueKind kind, std::vector<Value>&& items);
  void charge(std::size_t elements);

  PickleHost& host_;
  std::vector<std::vector<Value>> nodes_;
  std::size_t elements_ = 0;
};

}  // namespace sam2unet::formats
