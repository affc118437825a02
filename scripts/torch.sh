#!/usr/bin/env bash
# Installs LibTorch from PyPI into build/torch, for the training component (cmake -DSAM2UNET_BUILD_TRAIN=ON).
# Idempotent. Enough to link libtorch_cpu and libc10 and to train on the CPU; `--cuda` also installs all that
# the wheel needs to run on a GPU. SAM2UNET_TORCH_VERSION picks another version than PyPI's latest.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${SAM2UNET_TORCH_DIR:-$PWD/build/torch}
version=${SAM2UNET_TORCH_VERSION:+==$SAM2UNET_TORCH_VERSION}
stamp="torch$version ${1:-cpu}"
[ -f "$folder/.installed" ] && [ "$(cat "$folder/.installed")" = "$stamp" ] && exit 0

python=$(command -v python3) || { echo "python3 (with venv) is needed once, to fetch LibTorch from PyPI" >&2; exit 1; }
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
if "$python" -m pip --version >/dev/null 2>&1; then pip=("$python" -m pip)
else "$python" -m venv "$tools/venv"; pip=("$tools/venv/bin/python" -m pip); fi

rm -rf "$folder" && mkdir -p "$folder"
install() { "${pip[@]}" install --quiet --disable-pip-version-check --no-cache-dir --target "$folder" "$@"; }
if [ "${1:-}" = --cuda ]; then
  install "torch$version"
else
  # libtorch_cpu of the CUDA wheel links CUPTI and the CUDA runtime, whose major version its wheel names.
  install --no-deps "torch$version"
  metadata=("$folder"/torch-*.dist-info/METADATA)
  wheels=$(sed -n 's/^Requires-Dist: \(nvidia-cuda-\(cupti\|runtime\)[^ ;]*\).*/\1/p' "${metadata[0]}")
  cuda=$(sed -n 's/^Requires-Dist: cuda-toolkit\[[^]]*\]==\([0-9]*\)\..*/\1/p' "${metadata[0]}" | head -1)
  [ -n "$wheels" ] || wheels="nvidia-cuda-cupti==${cuda:-13}.* nvidia-cuda-runtime==${cuda:-13}.*"
  # shellcheck disable=SC2086 # a list of requirements
  install --no-deps $wheels
fi
echo "$stamp" > "$folder/.installed"
