#!/usr/bin/env bash
# Installs LibTorch from PyPI into build/torch, for the training component (cmake -DSAM2UNET_BUILD_TRAIN=ON).
# Idempotent. Enough to link libtorch_cpu and libc10 and to train on the CPU; `--cuda` also installs all that
# the wheel needs to run on a GPU. SAM2UNET_TORCH_VERSION picks another version than PyPI's latest (2.11 and up),
# SAM2UNET_TORCH_DIR another folder, which cmake then finds by CMAKE_PREFIX_PATH.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${SAM2UNET_TORCH_DIR:-$PWD/build/torch}
version=${SAM2UNET_TORCH_VERSION:+==$SAM2UNET_TORCH_VERSION}
stamp="torch$version ${1:-cpu} with crt"
[ -f "$folder/.installed" ] && [ "$(cat "$folder/.installed")" = "$stamp" ] && exit 0

fail() { echo "torch.sh: $*" >&2; exit 1; }
python=$(command -v python3) || fail "python3 is needed once, to fetch LibTorch from PyPI: scripts/packages.sh --torch"
if [ -d "$folder" ] && [ ! -f "$folder/.installed" ] && [ -n "$(ls -A "$folder")" ]; then
  fail "$folder holds something else, which would be lost"
fi
rm -rf "$folder" && mkdir -p "$folder" && touch "$folder/.installed"
scratch=$(mktemp -d "$folder/.fetch.XXXXXX") # beside the result, since /tmp may be too small
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch PIP_ROOT_USER_ACTION=ignore
pip=("$python" -m pip)
if ! "${pip[@]}" --version >/dev/null 2>&1; then
  "$python" -m venv "$scratch/venv" >/dev/null 2>&1 || fail "python3 has neither pip nor venv: scripts/packages.sh --torch"
  pip=("$scratch/venv/bin/python" -m pip)
fi

install() {
  "${pip[@]}" install --quiet --disable-pip-version-check --no-input --no-cache-dir --retries 2 --target "$folder" "$@" \
    >"$scratch/log" 2>&1 || fail "LibTorch could not be fetched from PyPI: $(grep -i error "$scratch/log" | tail -1)"
}
echo "fetching LibTorch from PyPI into $folder"
if [ "${1:-}" = --cuda ]; then
  install "torch$version" "cuda-toolkit[crt]"
else
  # libtorch_cpu of the CUDA wheel links CUPTI and the CUDA runtime, whose names and major version its wheel tells;
  # crt (170 kB) holds headers that the runtime's include, which our module for CUDA graphs is compiled with.
  install --no-deps "torch$version"
  metadata=("$folder"/torch-*.dist-info/METADATA)
  wheels=$(sed -n 's/^Requires-Dist: \(nvidia-cuda-\(cupti\|runtime\)[^ ;]*\).*/\1/p' "${metadata[0]}")
  cuda=$(sed -n 's/^Requires-Dist: cuda-toolkit\[[^]]*\]==\([0-9]*\)\..*/\1/p' "${metadata[0]}" | head -1)
  if [ -n "$wheels" ]; then
    # shellcheck disable=SC2086 # a list of requirements
    install --no-deps $wheels
  elif [ -n "$cuda" ]; then
    install --no-deps nvidia-cuda-{cupti,runtime,crt}"==$cuda.*"
  fi # else a wheel without CUDA
fi
echo "$stamp" > "$folder/.installed"
