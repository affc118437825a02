#!/usr/bin/env bash
# Tests the wheels as users install them, in fresh environments: every Python that is found from 3.9 to 3.13, NumPy 1.26 and 2,
# beside py_sod_metrics from PyPI (300 pairs, all classes), and its own examples where PYSODMETRICS names a checkout of
# it; beside PyTorch, imported before and after: the one in SAM2UNET_TORCH_DIR (scripts/torch.sh --cuda), or PyPI's (2 GB)
# with SAM2UNET_TEST_TORCH=1. auditwheel says which systems they are for. What cannot be fetched is SKIPPED, and said so.
#   scripts/python_tests.sh [WHEEL]
set -uo pipefail
cd "$(dirname "$0")/.."
wheel=${1:-$(ls -t dist/sam2unet-*.whl 2>/dev/null | head -n 1)}
[ -n "$wheel" ] || { echo "python_tests.sh: no wheel: run scripts/wheel.sh first" >&2; exit 2; }
wheel=$(realpath "$wheel")
model=$(ls -t "$(dirname "$wheel")"/sam2unet_model_t-*.whl 2>/dev/null | head -n 1)
work=${TMPDIR:-/tmp}/sam2unet-python-tests
tests=$(realpath tests/python)
mkdir -p "$work"
failed=0
python3 -m venv "$work/tools" && "$work/tools/bin/pip" -q install uv >/dev/null 2>&1 || { echo "SKIPPED: PyPI cannot be reached"; exit 0; }
uv="$work/tools/bin/uv"
export OMP_WAIT_POLICY=passive PYTHONDONTWRITEBYTECODE=1

# The interpreter of a version: on PATH, pyenv's, or what uv finds or fetches.
interpreter() {
  local found
  found=$(command -v "python$1" 2>/dev/null | grep -v shims || ls -d "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python 2>/dev/null | tail -n 1)
  echo "${found:-$1}"
}

# environment NAME PYTHON PACKAGES...: made if all of it can be had.
environment() {
  local name=$1 python=$2
  shift 2
  "$uv" -q venv --clear --python "$(interpreter "$python")" "$work/$name" 2>/dev/null || { echo "SKIPPED: Python $python cannot be had"; return 1; }
  "$uv" -q pip install --python "$work/$name/bin/python" "$wheel" ${model:+"$model"} "$@" 2>"$work/$name.log" ||
    { echo "SKIPPED: $name ($(tail -n 1 "$work/$name.log"))"; return 1; }
}
run() {
  echo "--- $*"
  "$@" || failed=1
}

for version in 3.9 3.10 3.11 3.12 3.13; do
  for numpy in 'numpy==1.26.*' 'numpy>=2'; do
    [ "$version $numpy" = '3.13 numpy==1.26.*' ] && continue  # never released
    name="py$version-${numpy//[^0-9]/}"
    environment "$name" "$version" "$numpy" || continue
    for test in metrics network; do
      # The network once for each Python, and with NumPy 1.26 for the oldest: what differs is in the metrics.
      [ "$test $numpy" = 'network numpy==1.26.*' ] && [ "$version" != 3.9 ] && continue
      (cd "$work" && run "$work/$name/bin/python" "$tests/test_$test.py"; exit $failed) || failed=1
    done
  done
done

for numpy in 1.26.4 2.2.6; do
  name=compare-$numpy
  environment "$name" 3.11 "numpy==$numpy" pysodmetrics==1.6.2 opencv-python-headless==4.11.0.86 || continue
  run "$work/$name/bin/python" "$tests/compare.py"
  [ "$numpy" = 1.26.4 ] && run "$work/$name/bin/python" bench/peers/python_metrics.py
  if [ -n "${PYSODMETRICS:-}" ]; then
    # The same script on both: what it prints of its results must be the same.
    run "$work/$name/bin/python" "$tests/run_examples.py" "$PYSODMETRICS/examples"
  else
    echo "SKIPPED: its own examples (PYSODMETRICS names no checkout of PySODMetrics)"
  fi
done

# The command, with the model that it finds, and what the wheel asks of a system.
if environment command 3.11 numpy pillow auditwheel; then
  run "$work/command/bin/sam2unet" predict samples/cat.jpg -o "$work/command/out"
  run "$work/command/bin/python" -m sam2unet --version
  (cd "$work" && SAM2UNET_PROGRAM="$work/command/bin/sam2unet" run "$work/command/bin/python" "$tests/test_network.py"; exit $failed) || failed=1
  "$work/command/bin/auditwheel" show "$wheel" | tr '\n' ' ' | grep -o 'platform tag: "manylinux_2_[0-9]*_x86_64"' | head -n 1 | tee "$work/tag"
  grep -qE 'manylinux_2_([12]?[0-9]|3[0-4])_' "$work/tag" || { echo "python_tests.sh: too new for manylinux_2_34" >&2; failed=1; }
fi

torch=(filelock 'typing-extensions>=4.13' sympy networkx jinja2 fsspec setuptools)
if [ -n "${SAM2UNET_TORCH_DIR:-}" ] && version=$(ls "$SAM2UNET_TORCH_DIR"/torch/_C.cpython-*.so 2>/dev/null | sed -n 's/.*cpython-3\([0-9]*\)-.*/3.\1/p') && [ -n "$version" ]; then
  environment torch "$version" numpy "${torch[@]}" && export PYTHONPATH=$SAM2UNET_TORCH_DIR
elif [ "${SAM2UNET_TEST_TORCH:-0}" = 1 ]; then
  environment torch 3.12 numpy torch
fi
if why=$("$work/torch/bin/python" -c "import torch" 2>&1); then
  for order in before after; do run "$work/torch/bin/python" "$tests/with_torch.py" $order; done
else
  echo "SKIPPED: beside PyTorch (${why##*$'\n'})"
fi
exit $failed
