#!/usr/bin/env bash
# Runs the checks of .clang-tidy (clang-tidy 14, Debian 12's) over the project's own sources: all of src/, or the files
# given. Needs a configured build (default build/release, another by BUILD=...) for the compiler's flags.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build/release}
version=14
program=
for p in clang-tidy-$version clang-tidy; do
  if command -v "$p" >/dev/null && "$p" --version | grep -q "version $version\."; then program=$p; break; fi
done
[ -n "$program" ] || { echo "tidy.sh: clang-tidy $version is not here; on Debian 12 scripts/packages.sh --check installs it" >&2; exit 1; }
[ -f "$build/compile_commands.json" ] || { echo "tidy.sh: $build is not configured: cmake --preset release" >&2; exit 1; }

# Flags that only gcc has, and its precompiled headers, which clang cannot read.
flags=$(mktemp -d)
trap 'rm -rf "$flags"' EXIT
python3 - "$build/compile_commands.json" "$flags/compile_commands.json" <<'PYTHON'
import json
import re
import sys
commands = json.load(open(sys.argv[1]))
for c in commands:
    c["command"] = re.sub(r" -Winvalid-pch| -include \S*cmake_pch\.hxx| -Wno-restrict| -Werror\b", "", c["command"])
json.dump([c for c in commands if "cmake_pch" not in c["file"]], open(sys.argv[2], "w"))
PYTHON

if [ $# -gt 0 ]; then files=("$@"); else mapfile -t files < <(git ls-files 'src/*.cpp'); fi
listed=()
for f in "${files[@]}"; do  # what this build leaves out (training, CUDA) is not checked
  if grep -qF "\"$PWD/$f\"" "$flags/compile_commands.json"; then listed+=("$f"); fi
done
echo "clang-tidy over ${#listed[@]} files"
# The longest first, so that the cores end together.
mapfile -t listed < <(ls -S "${listed[@]}")
printf '%s\0' "${listed[@]}" | xargs -0 -n 1 -P "$(nproc)" "$program" -p "$flags" --quiet 2> >(grep -vE '^[0-9]+ warnings? generated|^Suppressed|^Use -header-filter' >&2)
