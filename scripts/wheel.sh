#!/usr/bin/env bash
# Builds the Python wheel dist/sam2unet-VERSION-py3-none-manylinux_2_34_x86_64.whl: the package under python/ with the
# library of metrics. One wheel for every Python from 3.9 on, since the package calls the library by ctypes.
set -euo pipefail
cd "$(dirname "$0")/.."
./scripts/packages.sh
build=build/wheel
stage=$build/stage
cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release -DSAM2UNET_PORTABLE=ON >/dev/null
cmake --build $build --target sam2unet_metrics

rm -rf $stage
mkdir -p $stage
cp -r python/sam2unet $stage/
find $stage -name __pycache__ -type d -prune -exec rm -rf {} +
lib=$stage/sam2unet/_lib
mkdir $lib
strip --strip-unneeded -o $lib/libsam2unet_metrics.so $build/lib/libsam2unet_metrics.so
# What the system of another machine may lack goes along; the loader looks beside the library.
ldd $lib/libsam2unet_metrics.so | awk '$2 == "=>" { print $1, $3 }' | while read -r name path; do
  case "$name" in
    libc.so.* | libm.so.* | libpthread.so.* | libdl.so.* | librt.so.* | libstdc++.so.* | libgcc_s.so.*) ;;
    *) strip --strip-unneeded -o "$lib/$name" "$path" ;;
  esac
done

# manylinux_2_34: what these libraries ask of the system's.
newest() { objdump -T $lib/*.so* | grep -o "$1_[0-9.]*" | sort -uV | tail -n 1; }
for limit in GLIBC_2.34 GLIBCXX_3.4.30; do
  found=$(newest "${limit%%_*}")
  [ -z "$found" ] || [ "$(printf '%s\n%s\n' "$found" "$limit" | sort -V | tail -n 1)" = "$limit" ] ||
    { echo "wheel.sh: a library asks for $found, and manylinux_2_34 has $limit" >&2; exit 1; }
done
python3 python/make_wheel.py $stage dist
