#!/bin/bash
# structure.sh SOURCE LINK_GRAPH: the picture in docs/architecture.md (its lines "a --> b") is what CMake links, and no file
# of a folder includes one of a folder that it does not link, directly or through others.
set -euo pipefail
cd "$1"
graph=$2
export LC_ALL=C
status=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Without the training component or the CUDA backend their folders are not in the build, and their lines are left alone.
left_out='^('
grep -q '^train ' "$graph" || left_out+='train|plugin|ops/torch|'
grep -q '^cuda_plugin ' "$graph" || left_out+='cuda_plugin|ops/cuda|'
left_out+='none)$'
grep -E '^ *[a-z_]+ --> [a-z_]+$' docs/architecture.md | sed 's/^ *//; s/ --> / /; s/ops_/ops\//g' | grep -vE "${left_out%$} " |
  sort -u >"$work/told"
sort -u "$graph" >"$work/linked"
if ! diff "$work/told" "$work/linked" >"$work/difference"; then
  echo "docs/architecture.md draws (<) what CMake does not link (>), or leaves it out:"
  cat "$work/difference"
  status=1
fi

# Everything a folder reaches.
cp "$work/linked" "$work/reach"
while :; do
  { cat "$work/reach"; join -1 2 -2 1 -o 1.1,2.2 <(sort -k2,2 "$work/reach") <(sort -k1,1 "$work/linked"); } | sort -u >"$work/more"
  cmp -s "$work/more" "$work/reach" && break
  mv "$work/more" "$work/reach"
done
grep -qE '^(.+) \1$' "$work/reach" && { echo "folders link each other in a circle"; status=1; }

# What has no code of its own may be used by all that stand behind it: the vocabulary.
while IFS=: read -r file line; do
  folder=${file#src/}
  folder=${folder%/*}
  used=$(sed -n 's/^#include "\(.*\)\/[^/]*".*/\1/p' <<<"$line")
  [ -n "$used" ] && [ -d "src/$used" ] && [ "$used" != "$folder" ] && [ "$used" != ops ] || continue
  # A folder below another without a target of its own is part of it.
  for part in train api; do
    [[ $folder == $part/* ]] && folder=$part
    [[ $used == $part/* ]] && used=$part
  done
  [ "$used" != "$folder" ] || continue
  grep -qE "$left_out" <<<"$folder" && continue
  # A plug-in implements what the library opens it by: two interfaces, without code of api.
  [[ $folder == plugin && $line =~ api/(backend|torch_plugin)\.h ]] && continue
  [[ $folder == cuda_plugin && $line =~ api/(backend|cuda_plugin)\.h ]] && continue
  grep -qx "$folder $used" "$work/reach" || { echo "$file includes from src/$used, which src/$folder does not link"; status=1; }
done < <(grep -rn --include='*.h' --include='*.cpp' '^#include "' src | sed 's/:[0-9]*:/:/')
[ -s "$work/linked" ] || { echo "$graph is empty"; status=1; }
exit $status
