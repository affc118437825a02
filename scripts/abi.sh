#!/usr/bin/env bash
# Compares the C API with the one that is checked in (docs/api/*.abi, by libabigail's abidw): a change of a function, a
# struct or an enumeration is told, and is an error. `--update` writes the files again; whether S2U_ABI_VERSION must be
# raised is then for a person to say. Needs abigail-tools.
#   scripts/abi.sh [--update] [BUILD]
#
# Enumerations travel as int32_t, so a variable of each says what is in it.
#
# What is read is not the library's own debug information, where the insides of handles stand too, but a library made of the
# headers, of functions that do nothing. The real one is checked to export the same names, no more and no fewer.
set -uo pipefail
cd "$(dirname "$0")/.."
update=0
[ "${1:-}" = --update ] && { update=1; shift; }
build=${1:-build/release}
command -v abidiff >/dev/null || { echo "SKIPPED: abidiff is not here (package abigail-tools)"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

names() { nm -D --defined-only "$1" | awk '$3 ~ /^s2u_/ { print $3 }' | sort; }

failed=0
# check LIBRARY HEADER...: those that stand in the first header alone, s2u_base.h with the metrics.
check() {
  local name=$1 stub=$work/lib$1.so dump=docs/api/lib$1.abi
  shift
  for header in "$@"; do echo "#include \"sam2unet/$header\""; done >"$work/$name.h"
  cc -std=c99 -E -P -Iinclude -x c "$work/$name.h" |
    awk -v RS=';' '/visibility\("default"\)/ && !/typedef/ { print $0 " { __builtin_trap(); }"; next } NF { print $0 ";" }
      match($0, /typedef enum s2u_[a-z_]*/) { name = substr($0, RSTART + 13, RLENGTH - 13); print name " abi_" name ";" }' >"$work/$name.c"
  if [ "$name" = sam2unet ]; then # the base's functions are the other library's
    awk '/s2u_(abi_version|version|status_[a-z]*)\(/ { sub(/\{ __builtin_trap\(\); \}/, ";") } { print }' "$work/$name.c" >"$work/own.c"
    mv "$work/own.c" "$work/$name.c"
  fi
  # Compiled from where it lies: its path is written into the dump, and the scratch folder is another each time.
  (cd "$work" && cc -std=c99 -g -O0 -fPIC -shared -Wl,-soname,"lib$name" "$name.c" -o "lib$name.so") || exit 1
  if [ $update = 1 ]; then
    abidw --no-show-locs --no-corpus-path --no-comp-dir-path --no-elf-needed --out-file "$dump" "$stub" || exit 1
  elif abidiff --no-show-locs "$dump" "$stub"; then
    echo "lib$name: as $dump"
  else
    echo "abi.sh: the C API of lib$name is not that of $dump; if that is meant: scripts/abi.sh --update" >&2
    failed=1
  fi
  [ -f "$build/lib/lib$name.so" ] || { echo "SKIPPED: $build has no lib$name.so, whose names were to be compared"; return; }
  diff <(names "$stub") <(names "$build/lib/lib$name.so") >&2 ||
    { echo "abi.sh: lib$name exports (>) other functions than its headers declare (<)" >&2; failed=1; }
}
check sam2unet sam2unet.h
check sam2unet_metrics s2u_metrics.h
exit $failed
