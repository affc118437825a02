#!/usr/bin/env bash
# Formats the C++ sources with .clang-format; `--check` only names those that differ and fails. The rules are those of
# clang-format 14, Debian 12's, since other versions differ in places: `./scripts/packages.sh --check` installs it there.
set -euo pipefail
cd "$(dirname "$0")/.."
version=14
[ $# -eq 0 ] || [ "$*" = --check ] || { echo "usage: format.sh [--check]" >&2; exit 2; }

program=
for p in clang-format-$version clang-format; do
  if command -v "$p" >/dev/null && "$p" --version | grep -q "version $version\."; then program=$p; break; fi
done
if [ -z "$program" ]; then
  echo "format.sh: clang-format $version is not here; on Debian 12 scripts/packages.sh --check installs it" >&2
  exit 1
fi
if [ "${1:-}" = --check ]; then
  git ls-files -z '*.cpp' '*.h' | xargs -0 -n 16 -P "$(nproc)" "$program" --dry-run --Werror
else
  git ls-files -z '*.cpp' '*.h' | xargs -0 "$program" -i
fi
