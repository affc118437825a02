#!/usr/bin/env bash
# Exported graphs in ONNX Runtime and OpenVINO from PyPI, against this program (tests/python/onnx_graphs.py): T and L, core
# and full graphs, several sizes, batches 1 and 3, 1 and 4 classes; resizing against Pillow 12. Needs a built tree (preset
# release) and 4 GB of disk. What cannot be fetched is SKIPPED, and said so.
#   scripts/onnx_tests.sh [CASE...]      resize, default, t, t-k4, l, l-k4, duts; all without any
set -euo pipefail
cd "$(dirname "$0")/.."
work=${TMPDIR:-/tmp}/sam2unet-onnx-tests
build=${SAM2UNET_BUILD:-build/release}
cmake --build "$build" --target sam2unet_cli onnx_reference >/dev/null
if [ ! -x "$work/bin/python" ] || ! "$work/bin/python" -c 'import onnx, onnxruntime, openvino, PIL' 2>/dev/null; then
  python3 -m venv --clear "$work"
  "$work/bin/pip" -q install numpy 'pillow==12.*' onnx onnxruntime openvino ||
    { echo "SKIPPED: PyPI cannot be reached"; exit 0; }
fi
SAM2UNET_ONNXRUNTIME=$("$work/bin/python" -c 'import onnxruntime, pathlib; print(pathlib.Path(onnxruntime.__file__).parent / "capi")')
export SAM2UNET_ONNXRUNTIME SAM2UNET_PROGRAM=$build/bin/sam2unet SAM2UNET_REFERENCE=$build/tests/onnx_reference
exec "$work/bin/python" tests/python/onnx_graphs.py "$@"
