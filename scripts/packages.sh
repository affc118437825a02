#!/usr/bin/env bash
# Installs the Debian packages the build needs: `--tests` those of the tests too, `--fuzz` of fuzzing, `--check` of the
# checks of style, `--torch` what fetches LibTorch from PyPI. Idempotent: asks the package manager only when one is missing.
set -euo pipefail

packages=(
  g++ cmake ninja-build pkg-config
  libdnnl-dev libhwy-dev
  libjpeg62-turbo-dev libpng-dev libwebp-dev libtiff-dev libgif-dev libutf8proc-dev
  libcli11-dev nlohmann-json3-dev libtomlplusplus-dev libfmt-dev
)
for part in "$@"; do
  case "$part" in
    --tests) packages+=(libgtest-dev libgmock-dev libbenchmark-dev libopencv-imgproc-dev) ;;
    --fuzz) packages+=(clang libclang-rt-14-dev) ;;
    --check) packages+=(git clang-format-14 clang-tidy-14) ;;
    --torch) python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-venv) ;;
    *) echo "packages.sh: unknown option $part" >&2; exit 2 ;;
  esac
done

missing=()
for p in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "packages are missing and neither root nor sudo is here: ${missing[*]}" >&2; exit 1; }
  sudo=(sudo)
fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
