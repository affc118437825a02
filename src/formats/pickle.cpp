// Opcodes and their meaning after CPython's Lib/pickletools.py.
#include "formats/pickle.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "formats/byte_reader.h"
#include "formats/text.h"
#include "sam2unet/errors.h"

namespace sam2unet::formats {
namespace {

// A checkpoint of L with its optimizer's state has about 1 MB of pickle, 20,000 containers and as many memo
// entries.
constexpr std::size_t kMaxPickleSize = std::size_t{64} << 20;
constexpr std::size_t kMaxContainers = std::size_t{1} << 20;
constexpr std::size_t kMaxElements = std::size_t{1} << 22;
constexpr std::size_t kMaxStack = std::size_t{1} << 22;
constexpr std::uint64_t kMaxMemo = std::uint64_t{1} << 21;
constexpr int kMaxProtocol = 5;

enum Op : std::uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kEmptyDict = '}',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kEmptyList = ']',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kBinFloat = 'G',
  kProto = 0x80,
  kNewObj = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kNewObjEx = 0x92,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
  kByteArray8 = 0x96,
};

Value simple(ValueKind kind, std::int64_t integer = 0) {
  return {.kind = kind, .integer = integer};
}
Value text_value(ValueKind kind, std::string_view text) {
  return {.kind = kind, .text = text};
}

// LONG1, LONG4: two's complement, little-endian, of any length.
Value long_value(std::string_view digits) {
  if (digits.size() > sizeof(std::int64_t)) return text_value(ValueKind::big_integer, digits);
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < digits.size(); ++i)
    v |= std::uint64_t{static_cast<std::uint8_t>(digits[i])} << (8 * i);
  if (!digits.empty() && digits.size() < 8 && (digits.back() & 0x80) != 0)
    v |= ~std::uint64_t{0} << (8 * digits.size());
  return simple(ValueKind::integer, static_cast<std::int64_t>(v));
}

// BINFLOAT is big-endian, alone among them all.
Value float_value(std::uint64_t big_endian) {
  return {.kind = ValueKind::real, .real = std::bit_cast<double>(__builtin_bswap64(big_endian))};
}

}  // namespace

std::string_view name_of(ValueKind kind) {
  switch (kind) {
    case ValueKind::none:
      return "None";
    case ValueKind::boolean:
      return "a bool";
    case ValueKind::integer:
    case ValueKind::big_integer:
      return "an int";
    case ValueKind::real:
      return "a float";
    case ValueKind::text:
      return "a string";
    case ValueKind::bytes:
      return "bytes";
    case ValueKind::tuple:
      return "a tuple";
    case ValueKind::list:
      return "a list";
    case ValueKind::dict:
      return "a dict";
    case ValueKind::global:
      return "a class or function";
    case ValueKind::storage:
      return "a storage";
    case ValueKind::tensor:
      return "a tensor";
    case ValueKind::object:
      return "an object";
  }
  return "?";
}

PickleHost::~PickleHost() = default;

// One pickle being run: its stack, its marks and its memo.
class PickleMachine::Run {
 public:
  Run(PickleMachine& machine, std::span<const std::byte> bytes)
      : machine_(machine), in_(bytes.first(std::min(bytes.size(), kMaxPickleSize)), "pickle") {}

  Result operator()() {
    std::size_t at = 0;
    try {
      while (true) {
        at = in_.position();
        const std::uint8_t op = in_.u8();
        if (op == kStop) return {pop(), in_.position()};
        if (!push_scalar(op) && !handle_memo(op) && !handle_container(op) && !handle_object(op)) {
          throw FormatError(
              fmt::format("opcode 0x{:02x} is not one that PyTorch writes; save again with torch.save's "
                          "default protocol",
                          op));
        }
      }
    } catch (const FormatError& e) {
      throw FormatError(fmt::format("pickle, byte {}: {}", at, e.what()));
    }
  }

 private:
  // Numbers, strings and constants.
  bool push_scalar(std::uint8_t op) {
    switch (op) {
      case kNone:
        push({});
        return true;
      case kNewTrue:
        push(simple(ValueKind::boolean, 1));
        return true;
      case kNewFalse:
        push(simple(ValueKind::boolean, 0));
        return true;
      case kBinInt:
        push(simple(ValueKind::integer, static_cast<std::int32_t>(in_.u32())));
        return true;
      case kBinInt1:
        push(simple(ValueKind::integer, in_.u8()));
        return true;
      case kBinInt2:
        push(simple(ValueKind::integer, in_.u16()));
        return true;
      case kLong1:
        push(long_value(in_.text(in_.u8())));
        return true;
      case kLong4:
        push(long_value(in_.text(in_.u32())));
        return true;  // "negative" lengths do not fit either
      case kBinFloat:
        push(float_value(in_.u64()));
        return true;
      case kBinString:
      case kBinUnicode:
        push(text_value(ValueKind::text, in_.text(in_.u32())));
        return true;
      case kShortBinString:
      case kShortBinUnicode:
        push(text_value(ValueKind::text, in_.text(in_.u8())));
        return true;
      case kBinUnicode8:
        push(text_value(ValueKind::text, in_.text(in_.u64())));
        return true;
      case kBinBytes:
        push(text_value(ValueKind::bytes, in_.text(in_.u32())));
        return true;
      case kShortBinBytes:
        push(text_value(ValueKind::bytes, in_.text(in_.u8())));
        return true;
      case kBinBytes8:
      case kByteArray8:
        push(text_value(ValueKind::bytes, in_.text(in_.u64())));
        return true;
      default:
        return false;
    }
  }

  // The memo, and what else moves values without making any.
  bool handle_memo(std::uint8_t op) {
    switch (op) {
      case kProto:
        if (const int protocol = in_.u8(); protocol > kMaxProtocol) {
          throw FormatError(
              fmt::format("protocol {} is unknown; at most {} is read", protocol, kMaxProtocol));
        }
        return true;
      case kFrame:
        in_.u64();
        return true;  // a hint for buffered readers only
      case kBinPut:
        memo_put(in_.u8());
        return true;
      case kLongBinPut:
        memo_put(in_.u32());
        return true;
      case kMemoize:
        memo_put(memoized_);
        return true;
      case kBinGet:
        memo_get(in_.u8());
        return true;
      case kLongBinGet:
        memo_get(in_.u32());
        return true;
      case kMark:
        check_stack();
        marks_.push_back(stack_.size());
        return true;
      case kPop:
        if (!marks_.empty() && marks_.back() == stack_.size()) {
          marks_.pop_back();
        } else {
          pop();
        }
        return true;
      case kPopMark:
        pop_to_mark();
        return true;
      case kDup:
        push(top());
        return true;
      default:
        return false;
    }
  }

  bool handle_container(std::uint8_t op) {
    switch (op) {
      case kEmptyTuple:
        push(machine_.make_node(ValueKind::tuple, {}));
        return true;
      case kEmptyList:
        push(machine_.make_node(ValueKind::list, {}));
        return true;
      case kEmptyDict:
        push(machine_.make_node(ValueKind::dict, {}));
        return true;
      case kEmptySet:
        push(simple(ValueKind::object));
        return true;
      case kTuple:
        push(machine_.make_node(ValueKind::tuple, pop_to_mark()));
        return true;
      case kTuple1:
        push(machine_.make_node(ValueKind::tuple, pop_last(1)));
        return true;
      case kTuple2:
        push(machine_.make_node(ValueKind::tuple, pop_last(2)));
        return true;
      case kTuple3:
        push(machine_.make_node(ValueKind::tuple, pop_last(3)));
        return true;
      case kFrozenSet:
        pop_to_mark();
        push(simple(ValueKind::object));
        return true;
      case kAppend:
        extend(ValueKind::list, 1);
        return true;
      case kAppends:
        extend(ValueKind::list, take_mark());
        return true;
      case kSetItem:
        extend(ValueKind::dict, 2);
        return true;
      case kSetItems:
        extend(ValueKind::dict, take_mark());
        return true;
      case kAddItems:
        extend(ValueKind::object, take_mark());
        return true;
      default:
        return false;
    }
  }

  // Names and calls: the host decides.
  bool handle_object(std::uint8_t op) {
    switch (op) {
      case kGlobal: {
        const std::string_view module = in_.line();
        push(machine_.host_.global(module, in_.line()));
        return true;
      }
      case kStackGlobal: {
        const auto names = pop_last(2);
        if (!names[0].is(ValueKind::text) || !names[1].is(ValueKind::text)) {
          throw FormatError("a global whose name is no string");
        }
        push(machine_.host_.global(names[0].text, names[1].text));
        return true;
      }
      case kReduce:
      case kNewObj: {
        const auto call = pop_last(2);
        push(machine_.host_.call(machine_, call[0], call[1]));
        return true;
      }
      case kNewObjEx: {
        const auto call = pop_last(3);  // class, arguments, keyword arguments
        push(machine_.host_.call(machine_, call[0], call[1]));
        return true;
      }
      case kBinPersId: {
        const Value id = pop();
        push(machine_.host_.persistent(machine_, id));
        return true;
      }
      case kBuild: {
        // Attributes set on an object: the _metadata of a state_dict, the fields of a Namespace. None is of
        // interest.
        pop();
        const ValueKind kind = top().kind;
        if (kind != ValueKind::dict && kind != ValueKind::object && kind != ValueKind::tensor) {
          throw FormatError(fmt::format("attributes are set on {}", name_of(kind)));
        }
        return true;
      }
      default:
        return false;
    }
  }

  void check_stack() const {
    if (stack_.size() + marks_.size() >= kMaxStack) {
      throw FormatError(
          fmt::format("more than {} values on the stack; no checkpoint needs as many", kMaxStack));
    }
  }
  void push(const Value& value) {
    check_stack();
    stack_.push_back(value);
  }
  // Lowest position that may be popped: values below the last mark belong to a container not finished yet.
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  const Value& top() const {
    if (stack_.size() <= floor())
      throw FormatError("a value is used that is not there; the pickle is damaged");
    return stack_.back();
  }
  Value pop() {
    const Value value = top();
    stack_.pop_back();
    return value;
  }
  std::vector<Value> pop_last(std::size_t n) {
    if (stack_.size() - floor() < n)
      throw FormatError("a value is used that is not there; the pickle is damaged");
    std::vector<Value> out(stack_.end() - static_cast<std::ptrdiff_t>(n), stack_.end());
    stack_.resize(stack_.size() - n);
    return out;
  }
  // Removes the last mark; how many values lie above it.
  std::size_t take_mark() {
    if (marks_.empty()) throw FormatError("a mark is used that is not there; the pickle is damaged");
    const std::size_t n = stack_.size() - marks_.back();
    marks_.pop_back();
    return n;
  }
  std::vector<Value> pop_to_mark() { return pop_last(take_mark()); }

  void memo_put(std::uint64_t index) {
    if (index >= kMaxMemo) {
      throw FormatError(fmt::format("memo index {}; no checkpoint needs more than {}", index, kMaxMemo));
    }
    const Value value = top();
    if (index >= memo_.size()) memo_.resize(index + 1);
    if (!memo_[index]) ++memoized_;  // MEMOIZE takes the number of entries as its index
    memo_[index] = value;
  }
  void memo_get(std::uint64_t index) {
    if (index >= memo_.size() || !memo_[index])
      throw FormatError(fmt::format("memo entry {} was never stored", index));
    push(*memo_[index]);
  }

  // Moves the last n values into the container below them.
  void extend(ValueKind kind, std::size_t n) {
    if (stack_.size() - floor() <= n)
      throw FormatError("a container is used that is not there; the pickle is damaged");
    const auto first = stack_.end() - static_cast<std::ptrdiff_t>(n);
    const Value container = *(first - 1);
    if (!container.is(ValueKind::object)) {  // else a set, a deque: of no interest
      if (container.kind != kind) {
        throw FormatError(fmt::format("elements are added to {}", name_of(container.kind)));
      }
      if (kind == ValueKind::dict && n % 2 != 0) throw FormatError("a dict with a key that has no value");
      machine_.charge(n);
      auto& node = machine_.nodes_[container.id];
      node.insert(node.end(), first, stack_.end());
    }
    stack_.erase(first, stack_.end());
  }

  PickleMachine& machine_;
  ByteReader in_;
  std::vector<Value> stack_;
  std::vector<std::size_t> marks_;
  std::vector<std::optional<Value>> memo_;
  std::uint64_t memoized_ = 0;
};

PickleMachine::Result PickleMachine::run(std::span<const std::byte> bytes) {
  return Run(*this, bytes)();
}

std::span<const Value> PickleMachine::items(const Value& container) const {
  if (!container.is(ValueKind::tuple) && !container.is(ValueKind::list) && !container.is(ValueKind::dict)) {
    throw FormatError(fmt::format("{} where a tuple, list or dict belongs", name_of(container.kind)));
  }
  return nodes_[container.id];
}

Value PickleMachine::make(ValueKind kind, std::span<const Value> items) {
  return make_node(kind, {items.begin(), items.end()});
}

Value PickleMachine::make_node(ValueKind kind, std::vector<Value>&& items) {
  if (nodes_.size() >= kMaxContainers) {
    throw FormatError(
        fmt::format("more than {} tuples, lists and dicts; no checkpoint needs as many", kMaxContainers));
  }
  charge(items.size());
  nodes_.push_back(std::move(items));
  return {.kind = kind, .id = static_cast<std::uint32_t>(nodes_.size() - 1)};
}

void PickleMachine::charge(std::size_t elements) {
  elements_ += elements;
  if (elements_ > kMaxElements) {
    throw FormatError(fmt::format(
        "more than {} elements in tuples, lists and dicts; no checkpoint needs as many", kMaxElements));
  }
}

}  // namespace sam2unet::formats
