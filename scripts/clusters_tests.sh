#!/usr/bin/env bash
# The recipes of examples/clusters with two workers each, against one process: SLURM's variables by hand, Ray and Dask from PyPI.
# What cannot be had is SKIPPED, and said so. The Python package is taken from a wheel (scripts/wheel.sh); without one, the
# recipes that use it are left out.
#   scripts/clusters_tests.sh [BIN [WHEEL]]     BIN: folder of the built program
set -uo pipefail
cd "$(dirname "$0")/.."
bin=$(realpath "${1:-build/release/bin}")
wheel=${2:-$(ls -t dist/sam2unet-*.whl 2>/dev/null | head -n 1)}
[ -x "$bin/sam2unet" ] || { echo "clusters_tests.sh: $bin/sam2unet is not there: build it first" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_WAIT_POLICY=passive PATH="$bin:$PATH"
recipes=examples/clusters
failed=0
check() { # NAME FOLDER [ONE]: the same files as one process (the program's), to the byte
  if diff -r "${3:-$work/one}" "$2" >"$work/difference" 2>&1; then echo "$1: the same bytes"; else
    echo "FAILED: $1"; cat "$work/difference"; failed=1; fi
}

mkdir "$work/in"
for i in 0 1 2; do for picture in samples/*.jpg; do cp "$picture" "$work/in/$(basename "$picture" .jpg)-$i.jpg"; done; done
sam2unet predict "$work/in" -o "$work/one" --threads 1 >/dev/null || exit 1

for id in 0 1; do
  sed 's/^parts=16/parts=2/' $recipes/slurm.sh >"$work/slurm.sh"
  SLURM_ARRAY_TASK_ID=$id SLURM_CPUS_PER_TASK=1 bash "$work/slurm.sh" "$work/in" "$work/slurm" >/dev/null || failed=1
done
check "SLURM's script, two tasks" "$work/slurm/maps"

mkdir "$work/tars"
(cd "$work/in" && tar -cf "$work/tars/a.tar" -- *-0.jpg *-1.jpg && tar -cf "$work/tars/b.tar" -- *-2.jpg)
for id in 0 1; do
  SLURM_ARRAY_TASK_ID=$id SLURM_CPUS_PER_TASK=1 bash $recipes/slurm_tars.sh "$work/tars" "$work/tarred" >/dev/null || failed=1
done
mkdir "$work/untarred"
for tar in "$work"/tarred/*.tar; do tar -xf "$tar" -C "$work/untarred" || failed=1; done
check "SLURM's script for tar files" "$work/untarred"

for index in 0 1; do
  JOB_COMPLETION_INDEX=$index SAM2UNET_SHARDS=2 sam2unet predict "$work/in" -o "$work/kubernetes" --shard auto --threads 1 >/dev/null || failed=1
done
check "Kubernetes' variables" "$work/kubernetes"

python=${SAM2UNET_CLUSTERS_VENV:-$work/venv}/bin/python
[ -x "$python" ] || python3 -m venv "$work/venv" 2>/dev/null || { echo "SKIPPED: no Python environment can be made (python3-venv)"; exit $failed; }
can() { # MODULE PACKAGE
  "$python" -c "import $1" 2>/dev/null || "$python" -m pip -q install "$2" >"$work/pip.log" 2>&1 ||
    { echo "SKIPPED: $2 cannot be had ($(tail -n 1 "$work/pip.log"))"; return 1; }
}
# What Pillow writes is compared with what one process writes by it, to the byte, and the pixels with the program's: its
# compression is another.
same_pixels() {
  "$python" - "$work/one" "$1" <<'P'
import os, sys
from PIL import Image
one, two = sys.argv[1:]
assert sorted(os.listdir(one)) == sorted(os.listdir(two)), sorted(os.listdir(two))
for name in os.listdir(one):
    a, b = (Image.open(os.path.join(d, name)) for d in (one, two))
    assert a.mode == b.mode and a.size == b.size and a.tobytes() == b.tobytes(), name
P
}
has_package=
if [ -n "$wheel" ]; then
  export SAM2UNET_MODEL=${SAM2UNET_MODEL:-$PWD/models/sam2unet_t_duts_int8.safetensors}
  can sam2unet "$(realpath "$wheel")" && can PIL pillow && has_package=1
fi
if [ -n "$has_package" ]; then
  mkdir "$work/python"
  "$python" - "$work/in" "$work/python" <<'P' || exit 1
import pathlib, sys
from PIL import Image
import sam2unet
network = sam2unet.Segmenter(threads=1)
for path in pathlib.Path(sys.argv[1]).iterdir():
    Image.fromarray(network(path).gray()).save(pathlib.Path(sys.argv[2], path.stem + ".png"), "PNG")
P
  same_pixels "$work/python" && echo "one process of Python: the program's pixels" || { echo "FAILED: one process of Python"; failed=1; }
fi
export RAY_USAGE_STATS_ENABLED=0
if can ray 'ray[data]'; then
  if "$python" $recipes/ray_parts.py "$work/in" "$work/ray" 2 "$bin/sam2unet" >"$work/ray.log" 2>&1; then
    check "Ray, two tasks" "$work/ray/maps"
  else
    echo "FAILED: ray_parts.py"; tail -n 20 "$work/ray.log"; failed=1
  fi
  if [ -z "$has_package" ]; then
    echo "SKIPPED: ray_data.py (no wheel: scripts/wheel.sh)"
  elif "$python" $recipes/ray_data.py "$work/in" "$work/ray_data" 2 >"$work/ray.log" 2>&1; then
    check "Ray Data, two workers" "$work/ray_data" "$work/python"
  else
    echo "FAILED: ray_data.py"; tail -n 20 "$work/ray.log"; failed=1
  fi
fi
if can distributed 'dask[distributed]'; then
  if [ -z "$has_package" ]; then
    echo "SKIPPED: dask_segment.py (no wheel: scripts/wheel.sh)"
  elif "$python" $recipes/dask_segment.py "$work/in" "$work/dask" 2 >"$work/dask.log" 2>&1; then
    check "Dask, two workers" "$work/dask" "$work/python"
  else
    echo "FAILED: dask_segment.py"; tail -n 20 "$work/dask.log"; failed=1
  fi
fi
exit $failed
