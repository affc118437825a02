#!/usr/bin/env bash
# Installs what the tests need, builds everything in release and runs every test; ends on CTest's summary.
set -euo pipefail
cd "$(dirname "$0")/.."
./scripts/packages.sh --tests
cmake --preset release
cmake --build --preset release
ctest --preset release -j "$(nproc)"
