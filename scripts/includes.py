#!/usr/bin/env python3
"""Names the C++ sources that use a name of the standard library without including its header: another compiler's library
need not bring it along. What the project's own headers include counts, to any depth. `--fix` adds what is missing."""
import functools
import pathlib
import re
import subprocess
import sys

HEADERS = {
    "algorithm": """adjacent_find all_of any_of binary_search clamp copy copy_backward copy_if copy_n count count_if equal
        equal_range fill fill_n find find_end find_first_of find_if find_if_not for_each generate includes inplace_merge
        is_sorted lexicographical_compare lower_bound max max_element merge min min_element minmax minmax_element mismatch
        next_permutation none_of nth_element partial_sort partition remove_copy_if remove_if replace replace_if reverse
        reverse_copy rotate sample search set_difference set_intersection set_union shuffle sort stable_partition
        stable_sort swap_ranges transform unique upper_bound
        ranges::(all_of|any_of|none_of|copy|count|count_if|equal|fill|find|find_if|for_each|max|max_element|min|min_element|replace|reverse|sort|stable_sort|transform|unique|lower_bound|binary_search|is_sorted)""",
    "any": "any any_cast",
    "array": "array to_array",
    "atomic": "atomic atomic_flag memory_order_\\w+",
    "bit": "bit_cast bit_ceil bit_width countl_zero countr_zero endian has_single_bit popcount rotl rotr",
    "charconv": "from_chars to_chars",
    "chrono": "chrono::\\w+",
    "cmath": """abs acos asin atan atan2 cbrt ceil copysign cos erf exp exp2 expm1 fabs floor fma fmax fmin fmod frexp hypot
        isfinite isinf isnan ldexp llround log log10 log1p log2 lrint lround nearbyint pow remainder rint round signbit sin
        sqrt tan tanh trunc""",
    "condition_variable": "condition_variable",
    "cstdint": "u?int(8|16|32|64)_t u?intptr_t u?int_fast\\d+_t",
    "cstdio": "FILE fclose fflush fopen fprintf fputs fread fwrite printf puts snprintf sscanf",
    "cstdlib": "_Exit abort atexit exit free getenv malloc realloc strtod strtol strtoll strtoul strtoull system",
    "cstring": "memchr memcmp memcpy memmove memset strchr strcmp strerror strlen strncmp strstr",
    "ctime": "clock clock_t gmtime localtime mktime strftime time time_t",
    "deque": "deque",
    "exception": "current_exception exception_ptr make_exception_ptr rethrow_exception terminate uncaught_exceptions",
    "filesystem": "filesystem::\\w+",
    "fstream": "fstream ifstream ofstream",
    "functional": "bind bit_or function greater hash invoke less minus multiplies plus ref",
    "future": "async future packaged_task promise shared_future",
    "initializer_list": "initializer_list",
    "iomanip": "setfill setprecision setw",
    "iostream": "cerr cin clog cout",
    "istream": "getline istream",
    "iterator": "advance back_inserter distance inserter istreambuf_iterator next ostream_iterator prev",
    "limits": "numeric_limits",
    "list": "list",
    "map": "map multimap",
    "memory": """addressof allocator default_delete enable_shared_from_this make_shared make_unique shared_ptr unique_ptr
        weak_ptr""",
    "mutex": "call_once lock_guard mutex once_flag scoped_lock unique_lock",
    "new": "align_val_t bad_alloc nothrow set_new_handler",
    "numbers": "numbers::\\w+",
    "numeric": "accumulate exclusive_scan gcd inclusive_scan inner_product iota lcm midpoint partial_sum reduce",
    "optional": "make_optional nullopt nullopt_t optional",
    "ostream": "endl flush ostream",
    "queue": "priority_queue queue",
    "random": "bernoulli_distribution mt19937 mt19937_64 normal_distribution random_device uniform_\\w+_distribution",
    "regex": "regex regex_match regex_replace regex_search smatch sregex_iterator",
    "set": "multiset set",
    "span": "as_bytes as_writable_bytes dynamic_extent span",
    "sstream": "istringstream ostringstream stringstream",
    "stdexcept": """domain_error invalid_argument length_error logic_error out_of_range overflow_error runtime_error
        underflow_error""",
    "stop_token": "stop_callback stop_source stop_token",
    "string": "basic_string stod stof stoi stol stoll stoul stoull string to_string u8string wstring",
    "string_view": "basic_string_view string_view u8string_view",
    "system_error": "errc error_code generic_category make_error_code system_category system_error",
    "thread": "jthread this_thread::\\w+ thread",
    "tuple": "apply get<\\w+>\\(.*tuple make_tuple tie tuple tuple_element_t tuple_size_v",
    "type_traits": """conditional_t decay_t enable_if_t invoke_result_t is_(arithmetic|base_of|const|convertible|enum|
        floating_point|integral|invocable|lvalue_reference|same|signed|trivially_copyable|unsigned|void)_v
        remove_(const|cv|cvref|pointer|reference)_t true_type false_type underlying_type_t""",
    "unordered_map": "unordered_map",
    "unordered_set": "unordered_set",
    "utility": "exchange forward in_range make_pair move pair swap unreachable",
    "variant": "get_if holds_alternative monostate variant visit",
    "vector": "vector",
}
# A header that is specified, or can be counted on, to bring another's names.
BRINGS = {
    "utility": {"algorithm", "any", "array", "deque", "functional", "map", "memory", "optional", "queue", "set", "span",
                "string", "tuple", "unordered_map", "unordered_set", "variant", "vector"},
    "istream": {"iostream", "fstream", "sstream"},
    "ostream": {"iostream", "fstream", "sstream"},
    "initializer_list": {"algorithm", "array", "map", "set", "string", "utility", "vector"},
    "string_view": {"string"},
    "iterator": {"array", "map", "set", "span", "string", "vector"},
    "new": {"memory"},
    "exception": {"stdexcept", "new"},
    "system_error": {"filesystem", "mutex", "thread"},
    "type_traits": {"utility", "algorithm", "map", "memory", "optional", "string", "tuple", "variant", "vector", "atomic",
                    "functional", "span"},
    "stop_token": {"thread"},
    "ctime": {"chrono"},
}
WORDS = {h: re.compile(r"(?<![\w:])std::(?:" + "|".join(re.sub(r"\|\s+", "|", names).split()) + r")(?!\w|::)")
         for h, names in HEADERS.items()}
INCLUDE = re.compile(r'^\s*#include\s*[<"]([^">]+)[">]', re.M)
NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)


@functools.cache
def included(path, root):
    """All that a source includes, through the project's own headers too."""
    found = set()
    for name in INCLUDE.findall(path.read_text()):
        found.add(name)
        for folder in (path.parent, root / "include", root / "src", root / "tests"):
            if (folder / name).is_file() and folder / name != path:
                found |= included(folder / name, root)
                break
    return found


def missing(path, root):
    have = included(path, root)
    code = NOISE.sub(" ", INCLUDE.sub("", path.read_text()))
    return [h for h, words in WORDS.items()
            if h not in have and not BRINGS.get(h, set()) & have and words.search(code)]


def add(path, headers):
    """Into the block of includes in angle brackets without a dot, in order, or as a block of its own."""
    lines = path.read_text().split("\n")
    for h in headers:
        line = f"#include <{h}>"
        at = [i for i, l in enumerate(lines) if re.fullmatch(r"#include <[a-z_0-9]+>.*", l)]
        if at:
            position = next((i for i in at if lines[i] > line), at[-1] + 1)
            lines.insert(position, line)
        else:
            angle = [i for i, l in enumerate(lines) if l.startswith("#include <")]
            first = [i for i, l in enumerate(lines) if l.startswith("#include")]
            after = (angle[-1] if angle else first[0]) + 1
            lines[after:after] = ["", line]
    path.write_text("\n".join(lines))


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    listed = subprocess.run(["git", "ls-files", "*.cpp", "*.h"], cwd=root, capture_output=True, text=True, check=True)
    bad = 0
    for name in listed.stdout.split():
        headers = missing(root / name, root)
        if headers and "--fix" in sys.argv:
            add(root / name, headers)
        elif headers:
            print(f"{name}: uses, but does not include, {', '.join(f'<{h}>' for h in headers)}")
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
