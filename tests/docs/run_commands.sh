#!/bin/bash
# Runs the commands of a page, in order, in an empty folder: every block marked ```sh. The block marked ```sh settings,
# which decides how long it takes, is replaced by the settings given.
#   run_commands.sh PAGE SOURCE BIN WORK SETTINGS
set -euo pipefail
page=$1 source=$2 bin=$3 work=$4 settings=$5
rm -rf "$work"
mkdir -p "$work"
awk -v settings="$settings" '
  /^```/ { if (inside) { inside = 0 } else if ($0 == "```sh settings") { print settings; skipped = inside = 1; next }
           else if ($0 == "```sh") { inside = 1; skipped = 0; blocks++; next } }
  inside && !skipped { print }
  END { if (blocks == 0) exit 1 }' "$page" > "$work/commands"
cd "$work"
export SAM2UNET=$source PATH="$bin:$PATH"
# -e: a command that fails ends it; -x: the log says which.
bash -eux commands
