#!/usr/bin/env bash
# Installs what is needed, builds the program, and segments the pictures in samples/ with the default model: a mask, an
# overlay and a cut-out of each into out/.
set -euo pipefail
cd "$(dirname "$0")/.."
./scripts/packages.sh
cmake --preset demo
cmake --build --preset demo --target sam2unet_cli
build/release/bin/sam2unet predict samples -o out --save mask,overlay,cutout --verbose >/dev/null
echo
echo "The results are in $PWD/out: STEM_mask.png, STEM_overlay.png and STEM_cutout.png of each picture in samples/."
echo "Your own pictures: build/release/bin/sam2unet predict PICTURES... -o DIR (--help tells more)"
