#!/usr/bin/env bash
# Makes every golden file that needs no data but ours into OUT and compares it with tests/data; docs/golden.md says what
# it needs. Ends on the number of bad files and exit code 1 if there are any.
#   SAM2UNET_REFERENCE=DIR SAM2_REFERENCE=DIR [PYTHON=python3] tools/golden/make_all.sh OUT
set -euo pipefail
[ $# -eq 1 ] || { sed -n '2,4p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
data=$here/../../tests/data
python=${PYTHON:-python3}
out=$1

"$python" "$here/forward.py" "$out/golden"
"$python" "$here/train.py" "$out/golden"
"$python" "$here/widths.py" "$out/golden_widths"
"$python" "$here/pth_files.py" "$out/pth"
"$python" "$here/metrics.py" "$out/metrics" --edge-cases --maps "$data/metrics/random"

bad=0
"$python" "$here/pillow.py" "$data/image" || bad=1
for kind in golden golden_widths; do
  "$python" "$here/compare.py" "$data/$kind" "$out/$kind" || bad=1
done
"$python" "$here/compare.py" "$data/pth" "$out/pth" --skip zip_cuda.pth || bad=1  # needs a GPU
# expected.json is of research data, which the repository does not carry.
"$python" "$here/compare.py" "$data/metrics" "$out/metrics" --skip expected.json || bad=1
exit $bad
