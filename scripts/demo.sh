#!/usr/bin/env bash
# Installs the packages, builds the program, and segments the pictures in samples/ into out/.
set -euo pipefail
cd "$(dirname "$0")/.."
./scripts/packages.sh
cmake --preset demo
cmake --build --preset demo --target sam2unet_cli
./build/release/bin/sam2unet predict samples --output out --save map,mask,overlay,cutout --verbose
echo
echo "Done: maps, masks, overlays and cut-outs of samples/ are in $(pwd)/out"
