#!/usr/bin/env bash
# Fuzzes every target for a minute (or the given number of seconds) with AddressSanitizer and
# UndefinedBehaviorSanitizer; fails on the first finding. Installs clang. Findings land in build/fuzz/findings/.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${1:-60}"
./scripts/packages.sh --fuzz
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz
mkdir -p build/fuzz/findings
for program in build/fuzz/bin/fuzz_*; do
  name="$(basename "$program")"
  name="${name#fuzz_}"
  echo "fuzzing $name for $seconds s"
  mkdir -p "build/fuzz/corpus/$name"
  seeds=("fuzz/corpus/$name")
  [ "$name" = image ] && seeds+=(tests/data/image/files)
  [ "$name" = torch_file ] && seeds+=(tests/data/pth)
  "$program" -max_total_time="$seconds" -max_len=65536 -timeout=20 -rss_limit_mb=2048 -verbosity=0 \
    -artifact_prefix="build/fuzz/findings/$name-" "build/fuzz/corpus/$name" "${seeds[@]}"
done
echo "no findings"
