#!/usr/bin/env python3
"""Plants thousands of faults by machine, all in one build, and says which no test notices.

    scripts/schemata.py FOLDER [--count 2000] [--seed 1] [--only REGEX] [--tests REGEX] [--jobs N]
                        [--budget SECONDS]

Every candidate is a place in the syntax tree: a condition negated, an operand of && or || left out, the bound of a comparison
moved, == and != or + and - or * and / exchanged, a literal changed, a statement left out. --count of them, drawn by --seed from
the files that match --only, are compiled into one program as choices made at run time (scripts/schemata.h), so that there is
one build for all, not one for each as in scripts/mutants.sh. Every test (or those that match --tests) is run once to learn which
faults it reaches; then each fault is switched on, and the tests that reach it run, quick ones first, until one fails or
--budget is spent.

FOLDER keeps checkout, build and results (results.tsv: go on there by calling again). Where the vectorised kernels are (files with
Highway, the backends below ops, the plug-ins) no faults are planted: a choice in their loops would change what is compiled.
Needs libclang for Python (`pip install libclang`). Extra CMake arguments come from CMAKE_ARGS. A program with a fault may do
anything to files: run this where nothing is to lose.
"""
import argparse
import collections
import json
import multiprocessing
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.realpath(os.path.join(os.path.dirname(__file__), ".."))
EXCLUDED = re.compile(r"src/(ops/(cpu|lowp|cuda|torch|plain)|cuda_plugin|plugin)/")
OPERATORS = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne", "+": "add", "-": "sub", "*": "mul", "/": "div"}
WORDS = {"negated": "condition negated", "and": "operand of && left out", "or": "operand of || left out", "deleted": "left out",
         "literal": "literal changed", "operator": "operator exchanged or its bound moved"}
# A fault: where it stands (bytes from begin to end, an operator from lhs to rhs), and what becomes of it.
Fault = collections.namedtuple("Fault", "file kind begin end lhs rhs operator")


class Finder:
    """The candidates of one file, by its syntax tree."""

    def __init__(self, file, arguments):
        import clang.cindex as ci
        self.ci, self.kind, self.file = ci, ci.CursorKind, file
        with open(file, "rb") as f:
            self.text = f.read()
        self.found = {}
        unit = ci.Index.create().parse(file, args=arguments)
        for cursor in unit.cursor.get_children():
            if cursor.location.file and cursor.location.file.name == file:
                self.walk(cursor, False, False)

    def extent(self, cursor):
        return cursor.extent.start.offset, cursor.extent.end.offset

    def add(self, kind, begin, end, lhs=0, rhs=0, operator=""):
        if begin < end:
            self.found[kind, begin, end] = Fault(self.file, kind, begin, end, lhs, rhs, operator)

    def condition(self, cursor):
        if cursor.kind.is_expression():
            self.add("negated", *self.extent(cursor))

    def operator_of(self, left, right):
        return self.text[self.extent(left)[1]:self.extent(right)[0]].strip().decode(errors="replace")

    def is_number(self, cursor):
        kinds = self.ci.TypeKind
        return cursor.type.get_canonical().kind in (kinds.INT, kinds.UINT, kinds.LONG, kinds.ULONG, kinds.LONGLONG, kinds.ULONGLONG,
                                                    kinds.FLOAT, kinds.DOUBLE, kinds.SHORT, kinds.USHORT, kinds.UCHAR)

    def binary(self, left, right, in_head):
        (begin, lhs), (rhs, end) = self.extent(left), self.extent(right)
        op = self.operator_of(left, right)
        if op in ("&&", "||"):
            for side in (left, right):
                inner = side
                while inner.kind in (self.kind.UNEXPOSED_EXPR, self.kind.PAREN_EXPR) and len(list(inner.get_children())) == 1:
                    inner = next(inner.get_children())
                sides = list(inner.get_children())
                if inner.kind != self.kind.BINARY_OPERATOR or len(sides) != 2 or self.operator_of(*sides) != op:
                    self.add("and" if op == "&&" else "or", *self.extent(side))
        elif op in ("==", "!=") or op in ("<", "<=", ">", ">=") and not in_head:
            self.add("operator", begin, end, lhs, rhs, op)
        elif op in ("+", "-", "*", "/") and self.is_number(left) and self.is_number(right):
            self.add("operator", begin, end, lhs, rhs, op)

    def statements(self, cursor, children):
        k = self.kind
        bodies = {k.COMPOUND_STMT: children, k.IF_STMT: children[1:][-2:], k.FOR_STMT: children[-1:], k.CXX_FOR_RANGE_STMT: children[-1:]}
        for statement in bodies.get(cursor.kind, []):
            begin, end = self.extent(statement)
            if statement.kind.is_expression() and self.text[end:end + 1] == b";" and not re.match(
                    rb"throw|static_cast<void>|\(void\)", self.text[begin:end]):
                self.add("deleted", begin, end)

    def walk(self, cursor, in_function, in_head):
        k = self.kind
        begin, end = self.extent(cursor)
        if cursor.kind in (k.STATIC_ASSERT, k.ENUM_DECL, k.PARM_DECL, k.TYPE_ALIAS_DECL, k.TYPEDEF_DECL, k.USING_DECLARATION):
            return
        if cursor.kind == k.VAR_DECL and b"constexpr" in self.text[begin:end].split(b"=")[0]:
            return
        if cursor.kind in (k.FUNCTION_DECL, k.CXX_METHOD, k.CONSTRUCTOR, k.DESTRUCTOR, k.FUNCTION_TEMPLATE, k.CONVERSION_FUNCTION,
                           k.LAMBDA_EXPR):
            if re.search(rb"constexpr|consteval|= default", self.text[begin:end].split(b"{")[0]):
                return
            in_function = in_function or cursor.kind != k.LAMBDA_EXPR
        children = list(cursor.get_children())
        if in_function:
            if cursor.kind in (k.IF_STMT, k.CONDITIONAL_OPERATOR) and children and not re.match(
                    rb"if\s+constexpr", self.text[begin:end]):
                self.condition(children[0])
            elif cursor.kind == k.RETURN_STMT and children and children[0].type.get_canonical().kind == self.ci.TypeKind.BOOL:
                self.condition(children[0])
            elif cursor.kind == k.BINARY_OPERATOR and len(children) == 2:
                self.binary(*children, in_head)
            elif cursor.kind in (k.INTEGER_LITERAL, k.FLOATING_LITERAL, k.CXX_BOOL_LITERAL_EXPR, k.CHARACTER_LITERAL):
                if re.fullmatch(rb"[0-9][0-9a-fA-Fx.+uUlLzZ']*|true|false|'.'", self.text[begin:end]):
                    self.add("literal", begin, end)
            self.statements(cursor, children)
        for i, child in enumerate(children):
            head = cursor.kind == k.FOR_STMT and i + 1 < len(children)
            through = cursor.kind in (k.BINARY_OPERATOR, k.UNEXPOSED_EXPR, k.PAREN_EXPR)
            self.walk(child, in_function, head or in_head and through)


def candidates(job):
    return list(Finder(*job).found.values())


def rendered(text, faults):
    """The text with a choice at each place; `faults` are pairs of number and fault."""
    edits = []  # position, order there, bytes replaced, what is put there
    for number, f in faults:
        before, after = {
            "negated": ("(static_cast<bool>(", f") != s2u_schemata::on({number}))"),
            "and": (f"(s2u_schemata::on({number}) || (", "))"),
            "or": (f"(!s2u_schemata::on({number}) && (", "))"),
            "literal": (f"s2u_schemata::literal({number}, ", ")"),
            "deleted": (f"s2u_schemata::on({number}) ? (void)0 : (void)(", ")"),
            "operator": (f"s2u_schemata::{OPERATORS.get(f.operator)}({number}, (", "))"),
        }[f.kind]
        rank = ["deleted", "negated", "and", "or", "operator", "literal"].index(f.kind)  # which is outside at one place
        edits.append(((f.begin, 2, -f.end, rank), 0, before))
        edits.append(((f.end, 0, -f.begin, -rank), 0, after))
        if f.operator:
            edits.append(((f.lhs, 1, 0, 0), f.rhs - f.lhs, "), ("))
    out, at = [], 0
    for (position, *_), replaced, put in sorted(edits):
        out += [text[at:position], put.encode()]
        at = position + replaced
    return b"".join(out + [text[at:]])


class Tree:
    """The checkout with faults in it, and its build."""

    def __init__(self, folder):
        self.folder = folder
        self.root = os.path.realpath(os.path.join(folder, "a", "b", "checkout"))  # deeper than the tests look for data beside the project
        self.build_folder = os.path.join(self.root, "build", "release")
        self.originals = {}

    def run(self, command, log):
        with open(os.path.join(self.folder, log), "w") as f:
            return subprocess.run(command, cwd=self.root, stdout=f, stderr=subprocess.STDOUT).returncode

    def check_out(self):
        os.makedirs(os.path.dirname(self.root), exist_ok=True)
        if not os.path.exists(self.root):
            subprocess.run(["git", "-C", HERE, "worktree", "add", "-q", "--detach", self.root, "HEAD"], check=True)
        arguments = ["-DSAM2UNET_WERROR=OFF", "-DSAM2UNET_BUILD_TRAIN=ON", *os.environ.get("CMAKE_ARGS", "").split()]
        if self.run(["cmake", "--preset", "release", *arguments], "configure.log") != 0:
            sys.exit(f"schemata: cannot be configured; see {self.folder}/configure.log")

    def jobs(self, only):
        """Source files and how they are compiled, as libclang takes it."""
        resource = subprocess.run(["clang", "-print-resource-dir"], capture_output=True, text=True).stdout.strip()
        with open(os.path.join(self.build_folder, "compile_commands.json")) as f:
            entries = json.load(f)
        for entry in entries:
            name = os.path.relpath(entry["file"], self.root)
            if not name.startswith("src/") or EXCLUDED.search(name) or not re.search(only, name):
                continue
            with open(entry["file"], "rb") as f:
                if b"hwy/" in f.read():
                    continue
            words, arguments = entry["command"].split(), ["-x", "c++", "-w"]
            for i, word in enumerate(words):
                if word in ("-isystem", "-idirafter"):
                    arguments += [word, words[i + 1]]
                elif word.startswith(("-I", "-D", "-std")):
                    arguments.append(word)
            yield entry["file"], arguments + (["-isystem", resource + "/include"] if resource else [])

    def write(self, faults, files):
        """Each of the files with those of the faults that are its own; those that stay as they are are not built again."""
        by_file = collections.defaultdict(list)
        for number, f in faults.items():
            by_file[f.file].append((number, f))
        for file in files:
            text = self.original(file)
            if file in by_file:
                text = f'#include "{HERE}/scripts/schemata.h"\n#line 1\n'.encode() + rendered(text, by_file[file])
            with open(file, "wb") as f:
                f.write(text)

    def original(self, file):
        if file not in self.originals:
            name = os.path.relpath(file, self.root)
            shown = subprocess.run(["git", "-C", self.root, "show", "HEAD:" + name], capture_output=True, check=True)
            self.originals[file] = shown.stdout
        return self.originals[file]

    def build(self, faults):
        """Builds; what the compiler refuses (constants it needs, declarations in conditions) is taken out again."""
        changed = {f.file for f in faults.values()}
        while True:
            self.write(faults, changed)
            if self.run(["cmake", "--build", self.build_folder, "--", "-k", "0"], "build.log") == 0:
                return faults
            refused = collections.defaultdict(set)
            with open(os.path.join(self.folder, "build.log"), errors="replace") as log:
                for line in log:
                    m = re.match(r"(?:.*/)?(src/[\w/]+\.cpp):(\d+):\d+: +(?:fatal )?(?:error|required from)", line)
                    if m:
                        refused[os.path.join(self.root, m[1])].add(int(m[2]))
            kept = {}
            for number, f in faults.items():
                first, last = (self.original(f.file).count(b"\n", 0, at) + 1 for at in (f.begin, f.end))
                if not any(first <= line <= last for line in refused.get(f.file, ())):
                    kept[number] = f
            if len(kept) == len(faults):
                sys.exit(f"schemata: does not build; see {self.folder}/build.log")
            faults, changed = kept, set(refused)


class Suite:
    """The tests, what they reach, and runs of them with a fault on."""

    def __init__(self, tree):
        self.tree, self.tests, self.reached = tree, {}, collections.defaultdict(list)

    def list_tests(self, pattern):
        tree = self.tree
        listed = subprocess.run(["ctest", "--test-dir", tree.build_folder, "--show-only=json-v1"], capture_output=True, text=True)
        for test in json.loads(listed.stdout)["tests"]:
            command = test.get("command", [])
            properties = {p["name"]: p["value"] for p in test.get("properties", [])}
            names = [a for a in command if a.startswith("--gtest_filter=")]
            if names and not properties.get("DISABLED") and re.search(pattern, test["name"]):
                environment = tuple(e.split("=", 1) for e in properties.get("ENVIRONMENT", []))
                self.tests[test["name"]] = {"program": (command[0], properties.get("WORKING_DIRECTORY", "."), str(environment)),
                                            "environment": dict(environment), "filter": names[0].split("=", 1)[1]}

    def call(self, names, variables, timeout):
        """Exit code (of tests of one program) and what they printed; 124 when time is over."""
        test = self.tests[names[0]]
        flags = os.path.join(self.tree.folder, f"flags.{threading.get_ident()}")
        with open(flags, "w") as f:
            f.write("--gtest_filter=" + ":".join(self.tests[n]["filter"] for n in names) + "\n")
        process = subprocess.Popen([test["program"][0], "--gtest_flagfile=" + flags, "--gtest_fail_fast", "--gtest_brief=1"],
                                   cwd=test["program"][1], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", **test["environment"], **variables},
                                   start_new_session=True)
        try:
            output, code = process.communicate(timeout=timeout)[0], process.returncode
        except subprocess.TimeoutExpired:
            output, code = b"", 124
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        return code, output.decode(errors="replace")

    def learn(self, jobs):
        """Which tests reach which fault, and how long they take. Tests that fail without a fault, or are skipped, count for none."""

        def one(name):
            hits = os.path.join(self.tree.folder, f"hits.{threading.get_ident()}")
            begin = time.monotonic()
            code, output = self.call([name], {"S2U_HITS": hits}, 600)
            self.tests[name]["seconds"] = time.monotonic() - begin
            if os.path.exists(hits):
                with open(hits, "rb") as f:
                    left = f.read()
                os.remove(hits)
                if code == 0 and "SKIPPED" not in output:
                    for number, byte in enumerate(left):
                        if byte:
                            self.reached[number].append(name)
            if code != 0:
                print(f"fails without a fault: {name}", flush=True)

        in_threads(jobs, list(self.tests), one)
        for names in self.reached.values():
            names.sort(key=lambda n: self.tests[n]["seconds"])

    def notices(self, number, budget):
        """The test that notices the fault, and how it went."""
        left, run, spent = self.reached.get(number, []), 0, 0.0
        if not left:
            return None, "not reached"
        while left:
            if spent > budget:
                return None, "missed by the quick ones"
            # The quickest, and of the next ones those of its program: at first for a second in all, later for more.
            together, seconds = [], 0.0
            for name in left[:40]:
                more = self.tests[name]["seconds"]
                if self.tests[name]["program"] == self.tests[left[0]]["program"] and (not together or seconds + more < 1 + run / 50):
                    together.append(name)
                    seconds += more
            left = [n for n in left if n not in together]
            run += len(together)
            begin = time.monotonic()
            code, output = self.call(together, {"S2U_FAULT": str(number)}, 15 + 6 * seconds)
            spent += time.monotonic() - begin
            if code != 0:
                failed = re.search(r"^\[  FAILED  \] ([^ ,]+)", output, re.M)
                return (failed[1] if failed else together[0]), "noticed"
        return None, "missed"


def in_threads(n, items, f):
    left, lock = iter(items), threading.Lock()

    def work():
        while True:
            with lock:
                item = next(left, None)
            if item is None:
                return
            f(item)

    threads = [threading.Thread(target=work) for _ in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def described(tree, number, f):
    text = tree.original(f.file)
    line = text.count(b"\n", 0, f.begin)
    whole = text.split(b"\n")[line].strip().decode(errors="replace")
    part = text[f.begin:f.end].decode(errors="replace").replace("\n", " ")
    return f"{number}\t{os.path.relpath(f.file, tree.root)}:{line + 1}\t{WORDS[f.kind]}\t{part}\t{whole}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=".")
    parser.add_argument("--tests", default=".")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--budget", type=float, default=30)
    o = parser.parse_args()
    tree = Tree(os.path.realpath(o.folder))
    kept, results = (os.path.join(tree.folder, n) for n in ("faults.pickle", "results.tsv"))
    if os.path.exists(kept):
        with open(kept, "rb") as f:
            faults, suite = pickle.load(f)
    else:
        tree.check_out()
        with multiprocessing.Pool(o.jobs) as pool:
            found = [f for of_file in pool.map(candidates, list(tree.jobs(o.only)), chunksize=1) for f in of_file]
        print(f"{len(found)} candidates", flush=True)
        random.Random(o.seed).shuffle(found)
        faults = tree.build(dict(enumerate(found[:o.count], 1)))
        print(f"{len(faults)} faults are built", flush=True)
        suite = Suite(tree)
        suite.list_tests(o.tests)
        suite.learn(o.jobs)
        with open(kept, "wb") as f:
            pickle.dump((faults, suite), f)
    done = set()
    if os.path.exists(results):
        with open(results) as f:
            done = {int(line.split("\t")[0]) for line in f}
    with open(results, "a") as out:

        def one(number):
            test, verdict = suite.notices(number, o.budget)
            print(described(tree, number, faults[number]), verdict, test or "", sep="\t", file=out, flush=True)

        in_threads(o.jobs, [n for n in faults if n not in done], one)
    with open(results) as f:
        lines = [line.rstrip("\n") for line in f]
    missed = [line for line in lines if line.split("\t")[5] != "noticed"]
    print(*missed, sep="\n")
    print(f"{len(lines) - len(missed)} of {len(lines)} noticed")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
