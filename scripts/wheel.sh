#!/usr/bin/env bash
# Builds the Python wheels into dist/:
#   sam2unet-VERSION-py3-none-manylinux_2_34_x86_64.whl   the package under python/ with both libraries, what these need
#                                                         that another machine may lack, and the program
#   sam2unet_model_t-VERSION-py3-none-any.whl             the default model
# One wheel for every Python from 3.9 on, since the package calls the libraries by ctypes.
set -euo pipefail
cd "$(dirname "$0")/.."
./scripts/packages.sh
build=build/wheel
stage=$build/stage
cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release -DSAM2UNET_PORTABLE=ON >/dev/null
cmake --build $build --target sam2unet_metrics sam2unet sam2unet_cli

rm -rf $stage
mkdir -p $stage
cp -r python/sam2unet $stage/
find $stage -name __pycache__ -type d -prune -exec rm -rf {} +
lib=$stage/sam2unet/_lib
licenses=$build/licenses # of what goes along
mkdir $lib
rm -rf $licenses
# Under the names by which they look for each other.
soname() { objdump -p "$1" | awk '$1 == "SONAME" { print $2 }'; }
for library in sam2unet_metrics sam2unet; do
  strip --strip-unneeded -o "$lib/$(soname $build/lib/lib$library.so)" $build/lib/lib$library.so
done
strip -o $lib/sam2unet $build/bin/sam2unet
./scripts/bundle.sh $lib $licenses $build/lib/libsam2unet.so $build/lib/libsam2unet_metrics.so $build/bin/sam2unet

# manylinux_2_34: what these ask of the system's libraries.
newest() { objdump -T $lib/*.so* $lib/sam2unet | grep -o "$1_[0-9.]*" | sort -uV | tail -n 1; }
for limit in GLIBC_2.34 GLIBCXX_3.4.29; do
  found=$(newest "${limit%%_*}")
  [ -z "$found" ] || [ "$(printf '%s\n%s\n' "$found" "$limit" | sort -V | tail -n 1)" = "$limit" ] ||
    { echo "wheel.sh: a library asks for $found, and manylinux_2_34 has $limit" >&2; exit 1; }
done
python3 python/make_wheel.py sam2unet $stage dist $licenses

rm -rf $build/model
mkdir -p $build/model/sam2unet_model_t
cp models/sam2unet_t_duts_int8.safetensors models/README.md $build/model/sam2unet_model_t/
echo '"""The default model of sam2unet, which finds it here."""' >$build/model/sam2unet_model_t/__init__.py
python3 python/make_wheel.py sam2unet-model-t $build/model dist
