#!/usr/bin/env bash
# Installs the packages the build needs, by the names that Debian 12, Debian 13 and Ubuntu 24.04 have in common (tried on
# the first). `--tests` adds those of the tests, `--torch` what fetches LibTorch from PyPI, `--clang` the other
# compiler with its OpenMP, `--fuzz` what fuzzing needs, `--package` what makes packages, `--browser` what
# scripts/serve_tests.sh looks at the page with, `--check` the checks of style (their versions are Debian 12's).
# Idempotent: asks the package manager only when one is missing.
set -euo pipefail

packages=(
  g++ cmake ninja-build pkg-config
  libdnnl-dev libhwy-dev
  libjpeg-dev libpng-dev libwebp-dev libtiff-dev libgif-dev libutf8proc-dev
  libboost-dev zlib1g-dev libssl-dev
  libcli11-dev nlohmann-json3-dev libtomlplusplus-dev libfmt-dev
)
for part in "$@"; do
  case "$part" in
    --tests) packages+=(libgtest-dev libgmock-dev libbenchmark-dev libopencv-imgproc-dev abigail-tools python3-numpy python3-pil) ;;
    --torch) python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-venv) ;;
    --clang) packages+=(clang libomp-dev) ;;
    --fuzz) packages+=(clang libclang-rt-dev) ;;
    --package) packages+=(dpkg-dev file) ;;
    --browser) packages+=(python3-venv curl chromium chromium-driver) ;;
    --check) packages+=(git python3 clang-format-14 clang-tidy-14) ;;
    *) echo "packages.sh: unknown option $part" >&2; exit 2 ;;
  esac
done

command -v dpkg-query >/dev/null || {
  echo "packages.sh: this is no Debian or Ubuntu; docs/building.md lists what to install" >&2
  exit 1
}
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
