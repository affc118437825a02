#!/usr/bin/env bash
# Plants the faults of scripts/mutants.txt one at a time and says which the tests notice.
#
#   scripts/mutants.sh FOLDER [--list FILE] [--shared DIR] [--only PATTERN] [--part I/N] [--check]
#
# FOLDER: a scratch checkout is made there (git worktree), built once, and per fault again what the fault's tests need; it
# stays for the next run. Without --shared the tests see what a user's clone holds, with it the development data too.
# --list FILE: other faults than those of mutants.txt, of the same form. --only PATTERN: faults whose line matches (grep -E).
# --part I/N: every N-th of them from the I-th, counted from 0, so that several folders share the work. --check: only whether
# every fault's text stands in its file once.
# Extra CMake arguments (a LibTorch, a launcher) come from CMAKE_ARGS, the compilers at a time from JOBS. Exit code 1 if a
# fault went unnoticed.
set -euo pipefail
usage() { sed -n '2,13p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
list=$here/scripts/mutants.txt
folder='' shared='' only=. part=0/1 check=
while [ $# -gt 0 ]; do
  case "$1" in
    --list) list=$(realpath "${2:?}"); shift ;;
    --shared) shared=$(realpath "${2:?}"); shift ;;
    --only) only=${2:?}; shift ;;
    --part) part=${2:?}; shift ;;
    --check) check=1 ;;
    -*) usage ;;
    *) folder=$1 ;;
  esac
  shift
done
[ -n "$folder" ] || [ -n "$check" ] || usage

# What stands OLD in FILE once becomes NEW; fails where it does not stand there once.
plant() {
  OLD=$2 NEW=$3 perl -0777 -pi -e '
    my $n = () = /\Q$ENV{OLD}\E/g;
    if ($n != 1) { print STDERR "stands there $n times\n"; $? = 1; exit 1; }
    s/\Q$ENV{OLD}\E/$ENV{NEW}/;' "$1"
}
count_of() { OLD=$2 perl -0777 -ne 'my $n = () = /\Q$ENV{OLD}\E/g; print $n' "$1"; }

faults() {
  grep -v '^#' "$list" | grep -v '^$' | grep -E -- "$only" | awk -v i="${part%/*}" -v n="${part#*/}" '(NR - 1) % n == i'
}

stale=0
while IFS=$'\t' read -r file old new tests; do
  if [ ! -f "$here/$file" ] || [ "$(count_of "$here/$file" "$old")" != 1 ] || [ -z "$tests" ] || [ "$old" = "$new" ]; then
    echo "stale: $file: $old"
    stale=$((stale + 1))
  fi
done < <(faults)
if [ -n "$check" ]; then
  echo "$(faults | wc -l) faults, $stale stale"
  exit $((stale > 0))
fi

# One level deeper than the tests look for the data, so that only --shared shows it.
mkdir -p "$folder/a/b"
folder=$(realpath "$folder")
work=$folder/a/b/checkout
[ -d "$work" ] || git -C "$here" worktree add -q --detach "$work" HEAD
git -C "$work" checkout -q --detach "$(git -C "$here" rev-parse HEAD)"
git -C "$work" checkout -q .
rm -f "$folder/a/b/shared"
[ -z "$shared" ] || ln -s "$shared" "$folder/a/b/shared"

build() { cmake --build "$work/build/release" -j "${JOBS:-$(nproc)}" --target "$@" >"$folder/build.log" 2>&1; }
# shellcheck disable=SC2086  # several arguments
(cd "$work" && cmake --preset release -DSAM2UNET_WERROR=OFF -DSAM2UNET_BUILD_TRAIN=ON ${CMAKE_ARGS:-} >"$folder/build.log" 2>&1)
build all || { echo "does not build without a fault; see $folder/build.log" >&2; exit 2; }

# The test programs that hold tests matching the ctest -R expression $1, the quick ones first.
programs_of() {
  ctest --test-dir "$work/build/release" -R "$1" --show-only=json-v1 | python3 -c '
import json, os, sys
slow = ["parallel_test", "trainer_test", "train_golden_test", "plugin_test"]
plain = ["capi_test"]  # C, without arguments
names = set()
for test in json.load(sys.stdin)["tests"]:
    command = test.get("command", [""])
    name = os.path.basename(command[0])
    if name in plain or any(a.startswith("--gtest_filter") for a in command):
        names.add(name)
print(*sorted(names, key=lambda n: (slow.index(n) + 1 if n in slow else 0, n)))'
}

# Runs those of $1 that match in the programs given; the log ends where the first fails.
run_tests() {
  local filter="*${1//|/*:*}*" program
  shift
  : >"$folder/test.log"
  for program in "$@"; do
    (cd "$work/build/release" && OMP_WAIT_POLICY=PASSIVE timeout 900 "tests/$program" --gtest_filter="$filter" --gtest_fail_fast \
      --gtest_brief=1) >>"$folder/test.log" 2>&1 || { echo "in $program, exit code $?" >>"$folder/test.log"; return 1; }
  done
}

noticed=0 missed=0 skipped=0
while IFS=$'\t' read -r file old new tests <&3; do
  name="$file: $old -> $new"
  if ! plant "$work/$file" "$old" "$new" 2>/dev/null; then
    echo "stale    $name"
    skipped=$((skipped + 1))
    continue
  fi
  read -ra programs < <(programs_of "$tests")
  [ ${#programs[@]} -gt 0 ] || { echo "no test matches $tests" >&2; exit 2; }
  if ! build "${programs[@]}"; then
    echo "no build $name"  # a fault that the compiler finds is none
    skipped=$((skipped + 1))
  elif run_tests "$tests" "${programs[@]}"; then
    echo "MISSED   $name"
    missed=$((missed + 1))
  else
    echo "noticed  $name: $(sed -n 's/^\[  FAILED  \] \([^ ,]*\).*/\1/p' "$folder/test.log" | head -1) $(tail -1 "$folder/test.log")"
    noticed=$((noticed + 1))
  fi
  git -C "$work" checkout -q -- "$file"
done 3< <(faults)
echo "$noticed noticed, $missed missed, $skipped not tried"
exit $((missed > 0))
