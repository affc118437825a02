#include <memory>

#include "formats/pickle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/file_builder.h"
#include "sam2unet/errors.h"

namespace sam2unet::formats {
namespace {

using test::as_span;
using test::le;
using test::message_of;
using testing::HasSubstr;
namespace op = test::op;

// Knows one class, "m.C", whose calls give back their arguments.
class EchoHost final : public PickleHost {
 public:
  Value global(std::string_view module, std::string_view name) override {
    if (module != "m" || name != "C") throw FormatError("unknown name");
    return {.kind = ValueKind::global};
  }
  Value call(PickleMachine&, const Value&, const Value& args) override { return args; }
  Value persistent(PickleMachine&, const Value& id) override { return id; }
};

class Pickle : public testing::Test {
 protected:
  Value run(std::string body) {
    kept_.push_back(std::make_unique<std::string>(std::move(body)));
    return machine_.run(as_span(*kept_.back())).value;
  }
  std::string refusal(std::string body) {
    return message_of<FormatError>([&] { run(std::move(body)); });
  }

  EchoHost host_;
  PickleMachine machine_{host_};
  std::vector<std::unique_ptr<std::string>> kept_;
};

TEST_F(Pickle, Scalars) {
  EXPECT_TRUE(run("N.").is(ValueKind::none));
  EXPECT_EQ(run("\x88.").integer, 1);
  EXPECT_EQ(run("\x89.").integer, 0);
  EXPECT_EQ(run("K\xff.").integer, 255);
  EXPECT_EQ(run("M\x01\xff.").integer, 0xff01);
  EXPECT_EQ(run("J" + le(0xFFFFFFFE, 4) + ".").integer, -2);
  EXPECT_EQ(run(std::string("\x8a\x00.", 3)).integer, 0);
  EXPECT_EQ(run("\x8a\x01\xff.").integer, -1);
  EXPECT_EQ(run(std::string("\x8a\x02\xff\x00.", 5)).integer, 255);
  EXPECT_EQ(run("\x8a\x08" + le(0x8000000000000000u, 8) + ".").integer, INT64_MIN);
  for (int n = 1; n <= 8; ++n)
    EXPECT_EQ(run("\x8a" + le(static_cast<std::uint64_t>(n), 1) + le(~std::uint64_t{1}, n) + ".").integer, -2)
        << n;
  EXPECT_TRUE(run("\x8a\x09" + std::string(9, 'x') + ".").is(ValueKind::big_integer));
  EXPECT_EQ(run("\x8b" + le(3, 4) + le(0x10000, 3) + ".").integer, 65536);
  EXPECT_EQ(run("G\x3f\xf8" + std::string(6, '\0') + ".").real, 1.5);
  EXPECT_EQ(run(op::text("abc") + ".").text, "abc");
  EXPECT_EQ(run("U\x02hi.").text, "hi");
  EXPECT_EQ(run("\x8c\x02hi.").text, "hi");
  EXPECT_EQ(run("T" + le(2, 4) + "hi.").text, "hi");
  EXPECT_EQ(run("\x8d" + le(2, 8) + "hi.").text, "hi");
  EXPECT_TRUE(run("C\x02hi.").is(ValueKind::bytes));
}

// "0" takes away a mark where that is on top, else the value above it.
TEST_F(Pickle, PopOfAMarkAndAboveOne) {
  EXPECT_EQ(machine_
                .items(run("(K\x01K\x02"
                           "0t."))
                .size(),
            1u);
  EXPECT_EQ(run("K\x01(0.").integer, 1);
}

TEST_F(Pickle, BytesOfEveryLengthField) {
  for (const std::string& body :
       {"B" + le(2, 4) + "hi", std::string("C\x02hi"), "\x8e" + le(2, 8) + "hi", "\x96" + le(2, 8) + "hi"}) {
    const Value v = run(body + ".");
    EXPECT_TRUE(v.is(ValueKind::bytes)) << body;
    EXPECT_EQ(v.text, "hi") << body;
  }
}

TEST_F(Pickle, KindsOfValuesAreNamedAsPythonDoes) {
  const std::pair<ValueKind, const char*> names[] = {{ValueKind::none, "None"},
                                                     {ValueKind::boolean, "a bool"},
                                                     {ValueKind::integer, "an int"},
                                                     {ValueKind::big_integer, "an int"},
                                                     {ValueKind::real, "a float"},
                                                     {ValueKind::text, "a string"},
                                                     {ValueKind::bytes, "bytes"},
                                                     {ValueKind::tuple, "a tuple"},
                                                     {ValueKind::list, "a list"},
                                                     {ValueKind::dict, "a dict"},
                                                     {ValueKind::global, "a class or function"},
                                                     {ValueKind::storage, "a storage"},
                                                     {ValueKind::tensor, "a tensor"},
                                                     {ValueKind::object, "an object"}};
  for (const auto& [kind, name] : names) EXPECT_EQ(name_of(kind), name);
}

TEST_F(Pickle, TuplesOfEachLength) {
  const auto numbers = [&](const Value& v) {
    std::vector<std::int64_t> out;
    for (const Value& i : machine_.items(v)) out.push_back(i.integer);
    return out;
  };
  using V = std::vector<std::int64_t>;
  EXPECT_EQ(numbers(run(").")), V());
  EXPECT_EQ(numbers(run("K\x01\x85.")), V({1}));
  EXPECT_EQ(numbers(run("K\x01K\x02\x86.")), V({1, 2}));
  EXPECT_EQ(numbers(run("K\x01K\x02K\x03\x87.")), V({1, 2, 3}));
  EXPECT_EQ(numbers(run("(K\x01K\x02K\x03K\x04t.")), V({1, 2, 3, 4}));
  EXPECT_EQ(numbers(run("K\x07\x32\x86.")), V({7, 7}));  // DUP
  EXPECT_TRUE(run(").").is(ValueKind::tuple));
  EXPECT_TRUE(run("}.").is(ValueKind::dict));
}

// What Python's sets become is of no interest, but what stands beside them is.
TEST_F(Pickle, SetsTakeTheirElementsOffTheStack) {
  const Value set = run("K\x05\x8f(K\x01K\x02\x90\x86.");  // (5, {1, 2})
  ASSERT_EQ(machine_.items(set).size(), 2u);
  EXPECT_EQ(machine_.items(set)[0].integer, 5);
  EXPECT_TRUE(machine_.items(set)[1].is(ValueKind::object));
  const Value frozen = run("K\x05(K\x01K\x02\x91\x86.");  // (5, frozenset({1, 2}))
  ASSERT_EQ(machine_.items(frozen).size(), 2u);
  EXPECT_EQ(machine_.items(frozen)[0].integer, 5);
  EXPECT_TRUE(machine_.items(frozen)[1].is(ValueKind::object));
}

TEST_F(Pickle, PoppingAMark) {
  EXPECT_EQ(run("K\x05(0.").integer, 5);               // POP takes the mark that lies on top
  EXPECT_EQ(run("K\x05(K\x01\x30\x30.").integer, 5);   // the value first
  EXPECT_EQ(run("K\x05(K\x01K\x02\x31.").integer, 5);  // POP_MARK: all down to the mark
}

TEST_F(Pickle, NewObjExCallsWithItsPositionalArguments) {
  const Value made = run(op::global("m", "C") + "K\x07\x85}\x92.");
  ASSERT_TRUE(made.is(ValueKind::tuple));
  EXPECT_EQ(machine_.items(made)[0].integer, 7);
}

// As CPython's: MEMOIZE numbers by the count of entries, and an entry written twice is one.
TEST_F(Pickle, MemoizeCountsEntriesThatDiffer) {
  const Value two = run("K\x05q" + le(0, 1) + "q" + le(0, 1) + "0K\x06\x94h" + le(0, 1) + "h\x01\x86.");
  EXPECT_EQ(machine_.items(two)[0].integer, 5);
  EXPECT_EQ(machine_.items(two)[1].integer, 6);
}

TEST_F(Pickle, RefusalsSayAtWhichByte) {
  EXPECT_THAT(refusal("NK\x01\xff."), HasSubstr("pickle, byte 3: opcode 0xff"));
  EXPECT_THAT(refusal("K\x01NX" + le(9, 4) + "abc"),
              HasSubstr("pickle, byte 3: pickle ends early: 9 bytes wanted at byte 8, 3 left"));
}

TEST_F(Pickle, Containers) {
  // [(1, 2), {"a": None}]
  const Value list = run("](K\x01K\x02\x86}" + op::text("a") + "Nse.");
  ASSERT_TRUE(list.is(ValueKind::list));
  const auto items = machine_.items(list);
  ASSERT_EQ(items.size(), 2u);
  ASSERT_TRUE(items[0].is(ValueKind::tuple));
  EXPECT_EQ(machine_.items(items[0])[1].integer, 2);
  const auto dict = machine_.items(items[1]);
  ASSERT_EQ(dict.size(), 2u);
  EXPECT_TRUE(dict[0].is_text("a"));
  EXPECT_TRUE(dict[1].is(ValueKind::none));
}

TEST_F(Pickle, Protocol4FramesAndMemo) {
  // As pickle.dumps(["ab", "ab", C()], protocol=4) lays it out.
  const Value list = run("\x80\x04\x95" + le(20, 8) + "]\x94(\x8c\x02" + "ab\x94h\x01\x8c\x01m\x94\x8c\x01" +
                         "C\x94\x93\x94)\x81\x94" + "e.");
  const auto items = machine_.items(list);
  ASSERT_EQ(items.size(), 3u);
  EXPECT_TRUE(items[1].is_text("ab"));
  EXPECT_TRUE(items[2].is(ValueKind::tuple));
}

TEST_F(Pickle, MemoByIndexAndSizeOfThePickle) {
  const std::string two = op::text("x") + "r" + le(70'000, 4) + "0j" + le(70'000, 4) + ".behind";
  const auto result = machine_.run(as_span(two));
  EXPECT_TRUE(result.value.is_text("x"));
  EXPECT_EQ(result.size, two.size() - 6);
}

TEST_F(Pickle, AContainerMayHoldItself) {
  const Value list = run("]q" + le(0, 1) + "h" + le(0, 1) + "a.");
  EXPECT_EQ(machine_.items(list)[0].id, list.id);
  const Value dict = run("}q" + le(0, 1) + op::text("model") + "h" + le(0, 1) + "s.");
  EXPECT_EQ(machine_.items(dict)[1].id, dict.id);
}

TEST_F(Pickle, RefusesNamesOpcodesAndProtocolsItDoesNotKnow) {
  EXPECT_THAT(refusal(op::global("os", "system") + "."), HasSubstr("unknown name"));
  EXPECT_THAT(refusal("\x80\x06N."), HasSubstr("protocol 6 is unknown; at most 5 is read"));
  EXPECT_EQ(refusal("\x80\x05N."), "");  // Python's newest
  for (const char code : {'i', 'o', 'P', 'I', 'S', 'V', 'F', 'L', 'g', 'p', 'd', 'l', '\x82', '\x83', '\x84',
                          '\x97', '\x98', '\xff', '\0'}) {
    EXPECT_THAT(refusal(std::string(1, code) + "."), HasSubstr("is not one that PyTorch writes"))
        << static_cast<int>(code);
  }
}

TEST_F(Pickle, RefusesMisuseOfTheStack) {
  EXPECT_NE(refusal("."), "");
  EXPECT_NE(refusal("0."), "");
  EXPECT_NE(refusal("t."), "");
  EXPECT_NE(refusal("e."), "");
  EXPECT_NE(refusal("K\x01\x86."), "");
  EXPECT_NE(refusal("](."), "");  // the list lies below the mark
  EXPECT_NE(refusal("](a."), "");
  for (const char* alone : {"K\x01\x61.", "(K\x01\x61.", "(K\x01K\x02s."})
    EXPECT_THAT(refusal(alone), HasSubstr("a container is used that is not there")) << alone;
  EXPECT_NE(refusal("K\x01(q" + le(0, 1) + "."), "");
  EXPECT_NE(refusal("K\x01K\x02"
                    "a."),
            "");  // append to an int
  EXPECT_NE(refusal("}K\x01"
                    "a."),
            "");                                 // append to a dict
  EXPECT_NE(refusal("](K\x01K\x02u."), "");      // set items of a list
  EXPECT_NE(refusal("}(K\x01u."), "");           // a key without a value
  EXPECT_NE(refusal("K\x01Nb."), "");            // attributes of an int
  EXPECT_NE(refusal("h" + le(0, 1) + "."), "");  // never stored
  EXPECT_NE(refusal("N"
                    "j" +
                    le(0xFFFFFFFF, 4) + "."),
            "");
  EXPECT_NE(refusal("K\x01K\x02\x93."), "");  // a global named by ints
}

TEST_F(Pickle, RefusesTruncationAtEveryByte) {
  const std::string whole = op::pickle(op::dict(
      {{"a", op::ints({1, 2})}, {"b", "G" + std::string(8, 'f')}, {"c", "\x8a\x0a" + std::string(10, 'l')}}));
  EXPECT_NO_THROW(run(whole));
  for (std::size_t n = 0; n < whole.size(); ++n) EXPECT_NE(refusal(whole.substr(0, n)), "") << n;
}

TEST_F(Pickle, RefusesSizesBeyondTheFile) {
  EXPECT_THAT(refusal("X" + le(0xFFFFFFFF, 4) + "abc."), HasSubstr("ends early"));
  EXPECT_THAT(refusal("\x8d" + le(~std::uint64_t{0}, 8) + "abc."), HasSubstr("ends early"));
  EXPECT_THAT(refusal("\x8b" + le(0x80000000, 4) + "abc."), HasSubstr("ends early"));
  EXPECT_THAT(refusal("\x8e" + le(std::uint64_t{1} << 63, 8) + "abc."), HasSubstr("ends early"));
  EXPECT_THAT(refusal("cno newline"), HasSubstr("middle of a line"));
}

// The limits that the messages state, to the last one allowed.
TEST_F(Pickle, LimitsAreWhatTheyAreSaidToBe) {
  constexpr std::size_t kMillion = std::size_t{1} << 20;  // 1048576
  const auto repeat = [](std::string_view s, std::size_t n) {
    std::string out;
    out.reserve(s.size() * n + 8);
    for (std::size_t i = 0; i < n; ++i) out += s;
    return out;
  };
  const auto fresh = [&](const std::string& file) {
    PickleMachine machine(host_);
    return message_of<FormatError>([&] { machine.run(as_span(file)); });
  };
  EXPECT_EQ(fresh(repeat("]0", kMillion) + "N."), "");
  EXPECT_THAT(fresh(repeat("]0", kMillion + 1) + "N."),
              HasSubstr("more than 1048576 tuples, lists and dicts"));
  EXPECT_EQ(fresh("]" + repeat("Na", 4 * kMillion) + "."), "");
  EXPECT_THAT(fresh("]" + repeat("Na", 4 * kMillion + 1) + "."), HasSubstr("more than 4194304 elements"));
  EXPECT_EQ(fresh(repeat("N", 4 * kMillion) + "."), "");
  EXPECT_THAT(fresh(repeat("N", 4 * kMillion + 1) + "."), HasSubstr("more than 4194304 values on the stack"));
  EXPECT_EQ(fresh(repeat("(", 4 * kMillion - 1) + "N."), "");
  EXPECT_THAT(fresh(repeat("(", 4 * kMillion) + "N."), HasSubstr("on the stack"));
  EXPECT_EQ(fresh("Nr" + le(2 * kMillion - 1, 4) + "."), "");
  EXPECT_THAT(fresh("Nr" + le(2 * kMillion, 4) + "."),
              HasSubstr("memo index 2097152; no checkpoint needs more than 2097152"));
  // 64 MiB in all: five bytes of opcode and length, the text, STOP.
  const std::string text(64 * kMillion - 5, 'x');
  EXPECT_EQ(fresh("X" + le(64 * kMillion - 6, 4) + text.substr(1) + "."), "");
  EXPECT_THAT(fresh("X" + le(64 * kMillion - 5, 4) + text + "."), HasSubstr("ends early"));
}

// Four tuples of 1048576 elements, which are all there may be, and one that is empty, or not.
TEST_F(Pickle, ElementsOfTuplesCountToo) {
  const std::string one = "(" + std::string(std::size_t{1} << 20, 'N') + "t0";
  EXPECT_EQ(refusal(one + one + one + one + ")."), "");
  PickleMachine another(host_);
  const std::string more = one + one + one + one + "N\x85.";
  EXPECT_THAT(message_of<FormatError>([&] { another.run(as_span(more)); }),
              HasSubstr("more than 4194304 elements"));
}

// Files that would fill the memory or take minutes.
TEST_F(Pickle, BombsAreLinearWork) {
  std::string doubling =
      "]";  // the old trick: each list holds the one before ten times; kept as references, it is small
  for (int i = 0; i < 200; ++i)
    doubling += "q" + le(0, 1) + "](" + [] {
      std::string s;
      for (int k = 0; k < 10; ++k) s += op::get(0);
      return s;
    }() + "e";
  EXPECT_NO_THROW(run(doubling + "."));

  const auto repeat = [](std::string_view s, std::size_t n) {
    std::string out;
    out.reserve(s.size() * n);
    for (std::size_t i = 0; i < n; ++i) out += s;
    return out;
  };
  std::string memo;
  for (std::uint32_t i = 0; i < 3'000'000; ++i) memo += "r" + le(i, 4);
  const std::pair<const char*, std::string> bombs[] = {
      {"memo index", "Nr" + le(0xFFFFFFF0, 4) + "."},
      {"memo index", "N" + memo + "."},
      {"on the stack", repeat("(", 5'000'000) + "."},
      {"on the stack", repeat("N", 5'000'000) + "."},
      {"on the stack", "N" + repeat("2", 5'000'000) + "."},
      {"tuples, lists and dicts", repeat("]0", 2'000'000) + "."},
      {"tuples, lists and dicts", repeat("]", 2'000'000) + "."},
      {"tuples, lists and dicts", "N" + repeat("\x85", 2'000'000) + "."},
      {"elements", "]" + repeat("Na", 5'000'000) + "."},
      {"is not there", repeat("0", 10'000'000) + "."},
      {"ends early", std::string(80'000'000, 'N').replace(0, 1, "X" + le(70'000'000, 4))},
  };
  for (const auto& [because, bomb] : bombs) {
    const std::string& file = bomb;  // clang captures no structured bindings before 16
    PickleMachine fresh(host_);
    std::string message;
    const double took =
        test::effort([&] { message = message_of<FormatError>([&] { fresh.run(as_span(file)); }); });
    EXPECT_THAT(message, HasSubstr(because));
    EXPECT_LT(took, test::kMaxEffort) << because;
  }
}

// A deque, a set of Python's own: what is put into it leaves the stack, one by one and all at once.
TEST_F(Pickle, ObjectsTakeWhatIsPutIntoThem) {
  for (const char* put : {"K\x01\x61", "(K\x01K\x02\x65", "K\x01K\x02s", "(K\x01K\x02\x75", "(K\x01\x90"}) {
    const Value pair = run("K\x05\x8f" + std::string(put) + "\x86.");
    ASSERT_EQ(machine_.items(pair).size(), 2u) << put;
    EXPECT_EQ(machine_.items(pair)[0].integer, 5) << put;
    EXPECT_TRUE(machine_.items(pair)[1].is(ValueKind::object)) << put;
  }
}

// Each way of putting something in has its own kind of container.
TEST_F(Pickle, ElementsAreOfTheRightContainers) {
  EXPECT_THAT(refusal("](K\x01\x90."), HasSubstr("elements are added to a list"));
  EXPECT_THAT(refusal("}(K\x01\x90."), HasSubstr("elements are added to a dict"));
  EXPECT_THAT(refusal("]K\x01K\x02s."), HasSubstr("elements are added to a list"));
  EXPECT_THAT(refusal(")K\x01\x61."), HasSubstr("elements are added to a tuple"));
  EXPECT_THAT(refusal("]Nb."), HasSubstr("attributes are set on a list"));
  EXPECT_EQ(refusal("}Nb."), "");
  EXPECT_EQ(refusal("\x8fNb."), "");
}

TEST_F(Pickle, TheLastValueOfAMemoEntryCounts) {
  const std::string zero = le(0, 1);
  const Value two = run("K\x05q" + zero + "h" + zero + "K\x06q" + zero + "0h" + zero + "\x86.");
  ASSERT_EQ(machine_.items(two).size(), 2u);
  EXPECT_EQ(machine_.items(two)[0].integer, 5);
  EXPECT_EQ(machine_.items(two)[1].integer, 6);
}

}  // namespace
}  // namespace sam2unet::formats
