#!/bin/bash
# Names of files in backquotes that begin with a folder of the repository must be there, and so must the targets of
# links between pages.
set -euo pipefail
cd "$1"
status=0
for page in README.md CONTRIBUTING.md docs/*.md; do
  while read -r name; do
    [ -e "$name" ] || { echo "$page names $name, which is not there"; status=1; }
  done < <(grep -o '`\(src\|include\|docs\|tests\|scripts\|cmake\|models\|samples\|examples\|bench\|fuzz\)/[A-Za-z0-9_./+-]*`' "$page" | tr -d '`' | sort -u)
  while read -r target; do
    [ -e "$(dirname "$page")/$target" ] || { echo "$page links to $target, which is not there"; status=1; }
  done < <(grep -o '](\([^)#:]*\))' "$page" | sed 's/^](//; s/)$//' | sort -u)
done
exit $status
