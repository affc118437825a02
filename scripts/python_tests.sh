#!/usr/bin/env bash
# Tests the wheel as users install it, in fresh environments: every Python that is found from 3.9 to 3.13, NumPy 1.26 and 2,
# beside py_sod_metrics from PyPI (300 pairs, all classes), and its own examples where PYSODMETRICS names a checkout of
# it. What cannot be fetched is SKIPPED, and said so.
#   scripts/python_tests.sh [WHEEL]
set -uo pipefail
cd "$(dirname "$0")/.."
wheel=${1:-$(ls -t dist/sam2unet-*.whl 2>/dev/null | head -n 1)}
[ -n "$wheel" ] || { echo "python_tests.sh: no wheel: run scripts/wheel.sh first" >&2; exit 2; }
wheel=$(realpath "$wheel")
work=${TMPDIR:-/tmp}/sam2unet-python-tests
tests=$(realpath tests/python)
mkdir -p "$work"
failed=0
python3 -m venv "$work/tools" && "$work/tools/bin/pip" -q install uv >/dev/null 2>&1 || { echo "SKIPPED: PyPI cannot be reached"; exit 0; }
uv="$work/tools/bin/uv"

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
  "$uv" -q pip install --python "$work/$name/bin/python" "$wheel" "$@" 2>"$work/$name.log" ||
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
    (cd "$work" && run "$work/$name/bin/python" "$tests/test_metrics.py"; exit $failed) || failed=1
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
exit $failed
