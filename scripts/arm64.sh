#!/usr/bin/env bash
# Compiles the library and the program for 64-bit Arm with Debian's cross compiler: that it compiles and links is
# all that is shown; nothing is run, unless qemu-aarch64 is there, with which `sam2unet --version` and `verify` are.
#
#   scripts/arm64.sh [FOLDER]        # build/arm64; packages for arm64 are fetched into FOLDER/root, 40 MB
#
# Needs g++-aarch64-linux-gnu, cmake, ninja-build. apt's sources are this machine's; its state is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(realpath -m "${1:-build/arm64}")
root=$folder/root
packages=(libdnnl-dev libhwy-dev libjpeg-dev libpng-dev libwebp-dev libtiff-dev libgif-dev libutf8proc-dev libcli11-dev
  nlohmann-json3-dev libfmt-dev libtomlplusplus-dev libboost-dev zlib1g-dev libssl-dev)

command -v aarch64-linux-gnu-g++ > /dev/null || {
  echo "arm64.sh: aarch64-linux-gnu-g++ is missing; install g++-aarch64-linux-gnu" >&2
  exit 1
}

fetch() {
  local apt=$folder/apt
  mkdir -p "$apt"/lists/partial "$apt"/cache/archives/partial
  : > "$apt"/status
  cat > "$apt"/apt.conf << END
Dir::State "$apt";
Dir::State::status "$apt/status";
Dir::State::lists "$apt/lists";
Dir::Cache "$apt/cache";
APT::Architecture "arm64";
APT::Architectures {"arm64";};
APT::Sandbox::User "root";
END
  export APT_CONFIG=$apt/apt.conf
  apt-get -q update
  apt-get -q -y --download-only --no-install-recommends install "${packages[@]}"
  unset APT_CONFIG
  # The compiler has a C library of its own.
  rm -f "$apt"/cache/archives/libc6*.deb "$apt"/cache/archives/libstdc++*.deb "$apt"/cache/archives/libgcc*.deb
  for deb in "$apt"/cache/archives/*.deb; do dpkg-deb -x "$deb" "$root.partial"; done
  mv "$root.partial" "$root"
  rm -rf "$apt"
}

[ -d "$root" ] || fetch
cmake -S . -B "$folder/tree" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/arm64.cmake" \
  -DSAM2UNET_ARM64_ROOT="$root" -DSAM2UNET_WERROR=ON
cmake --build "$folder/tree" ${JOBS:+-j "$JOBS"} --target sam2unet_cli
file=$folder/tree/bin/sam2unet
aarch64-linux-gnu-readelf -h "$file" | grep -q AArch64
echo "arm64.sh: $file is a program for AArch64"
if command -v qemu-aarch64 > /dev/null; then
  run=(qemu-aarch64 -L /usr/aarch64-linux-gnu -E "LD_LIBRARY_PATH=$root/usr/lib/aarch64-linux-gnu:$root/lib/aarch64-linux-gnu")
  "${run[@]}" "$file" --version
  "${run[@]}" "$file" verify tests/data/golden/forward_nano_1x64x160_c.safetensors
fi
