#!/usr/bin/env bash
# Installs what the tests need, builds everything in release, the training component included, and runs every test;
# ends on CTest's summary. The component needs LibTorch, which comes from PyPI: where that cannot be reached, all other
# tests run and the last line says what was left out; with `--all` (continuous integration) that is a failure, and the
# benchmarks are built too, though not run.
set -euo pipefail
cd "$(dirname "$0")/.."
./scripts/packages.sh --tests --torch
train=ON
bench=OFF
[ "${1:-}" != --all ] || bench=ON
if ! ./scripts/torch.sh; then
  [ "${1:-}" = --all ] && exit 1
  train=OFF
fi
cmake --preset release -DSAM2UNET_BUILD_TRAIN=$train -DSAM2UNET_BUILD_BENCH=$bench ${SAM2UNET_TORCH_DIR:+-DCMAKE_PREFIX_PATH="$SAM2UNET_TORCH_DIR"}
cmake --build --preset release
ctest --preset release -j "$(nproc)"
[ $train = ON ] || echo "NOT tested: the training component, since LibTorch could not be fetched from PyPI (scripts/torch.sh)"
