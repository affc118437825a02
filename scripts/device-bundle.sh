#!/usr/bin/env bash
# Packs what scripts/device.sh needs on a machine with a GPU and nothing else of ours into one file of at most 45 MB.
#
#   scripts/device-bundle.sh BUILD GOLDEN PICTURES OUT.tar.xz
#
# BUILD: a build folder; what of these it holds goes along: the programs, the benchmarks, the conformance tests, the
# library and its plug-ins. GOLDEN: a folder of forward_*.safetensors and train_*.safetensors (several: A:B).
# PICTURES: where JPEG pictures lie, at any depth; 200 of them. With every shared library but glibc's, CUDA's and LibTorch's, and
# the sources of the CUDA plug-in with all they need to be built there.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
[ $# -eq 4 ] || { sed -n '2,9p' "$0" >&2; exit 2; }
build=$(realpath "$1") golden=$2 pictures=$(realpath "$3") out=$(realpath -m "$4")
most=$((45 * 1024 * 1024))
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/sam2unet-device
mkdir -p "$root"/{bin,lib,fallback,golden,pictures}

put() { # FOLDER FILE...: stripped, where they are there
  local to=$1 file
  shift
  for file in "$@"; do
    [ -e "$file" ] || continue
    strip --strip-unneeded -o "$root/$to/$(basename "$file")" "$file"
  done
}
put bin "$build"/bin/sam2unet "$build"/bin/sam2unet-train "$build"/bin/bench_{cuda,train,weights} "$build"/tests/ops_test
put bin "$build"/bin/libsam2unet-step-graph.so # what records training steps lies beside their program
[ -x "$root/bin/sam2unet" ] || { echo "device-bundle.sh: $build holds no bin/sam2unet" >&2; exit 1; }
# Under the names by which they look for each other.
soname() { objdump -p "$1" | awk '$1 == "SONAME" { print $2 }'; }
for library in sam2unet sam2unet_metrics; do
  strip --strip-unneeded -o "$root/lib/$(soname "$build/lib/lib$library.so")" "$build/lib/lib$library.so"
done
put lib "$build"/lib/libsam2unet_{torch,torch_cuda,cuda}.so

# What these need. libstdc++ and libgcc_s are the other machine's own where it has them: PyTorch brought it up with those.
{ ldd "$root"/bin/* "$root"/lib/* 2>/dev/null || true; } | awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' | sort -u |
  while read -r name path; do
    case "$name" in
      linux-vdso.so.* | libc.so.* | libm.so.* | libpthread.so.* | libdl.so.* | librt.so.* | libutil.so.* | libresolv.so.* | ld-linux* | libsam2unet*) ;;
      libtorch* | libc10* | libcu* | libnv* | libshm* | libnccl*) ;;
      libstdc++.so.* | libgcc_s.so.*) cp -L "$path" "$root/fallback/$name" ;;
      *) cp -L "$path" "$root/lib/$name" && strip --strip-unneeded "$root/lib/$name" ;;
    esac
  done
# Looked up through LD_LIBRARY_PATH alone: where something was built says nothing elsewhere.

IFS=: read -ra folders <<<"$golden"
for folder in "${folders[@]}"; do
  find "$folder" -maxdepth 1 \( -name 'forward_*.safetensors' -o -name 'train_*.safetensors' \) -exec cp {} "$root/golden/" \;
done
# Small ones first, so that 200 fit; a name for each, since folders repeat them.
find "$pictures" -name '*.jpg' -path '*/image*' -size +4k -size -64k -printf '%s %p\n' | sort -n | head -n 200 | nl -n rz -w 3 |
  while read -r number _ file; do cp "$file" "$root/pictures/$number.jpg"; done
[ "$(find "$root/pictures" -name '*.jpg' | wc -l)" -gt 0 ] ||
  find "$pictures" -name '*.jpg' | sort | head -n 200 | nl -n rz -w 3 | while read -r number file; do cp "$file" "$root/pictures/$number.jpg"; done

# To build the CUDA plug-in there: its sources, headers, and the archives of what stands below it.
if [ -e "$build/lib/libs2u_ops_cuda.a" ] || [ -d "$here/src/ops/cuda" ]; then
  mkdir -p "$root/kernels/archives" "$root/kernels/third_party"
  (cd "$here" && find src include \( -name '*.h' -o -name '*.inc' \) -exec cp --parents -t "$root/kernels" {} +)
  cp -r "$here"/src/ops/cuda "$root/kernels/src/ops/"
  cp -r "$here"/src/cuda_plugin "$root/kernels/src/" 2>/dev/null || true
  [ ! -d "$build/generated" ] || cp -r "$build/generated" "$root/kernels/"
  cp -r /usr/include/fmt "$root/kernels/third_party/"
  for layer in core formats model image; do
    [ ! -e "$build/lib/libs2u_$layer.a" ] || strip -g -o "$root/kernels/archives/libs2u_$layer.a" "$build/lib/libs2u_$layer.a"
  done
  cp "$here/scripts/device_kernels.cmake" "$root/kernels/CMakeLists.txt"
  sed -n 's/^project(sam2unet VERSION \([0-9.]*\).*/\1/p' "$here/CMakeLists.txt" >"$root/kernels/VERSION"
fi
mkdir -p "$root/bench/peers" "$root/tools"
cp "$here"/bench/peers/torch_*.py "$root/bench/peers/"
cp -r "$here/tools/golden" "$root/tools/" && rm -rf "$root/tools/golden/__pycache__"
cp "$here"/scripts/{device.sh,device_table.py} "$root/"
git -C "$here" describe --always --dirty 2>/dev/null >"$root/REVISION" || true

tar -C "$stage" --owner 0 --group 0 --sort name -cf - sam2unet-device | xz -T0 -3 >"$out"
size=$(stat -c %s "$out")
(cd "$root" && du -sh -- * | sort -h)
echo "$out: $((size / 1024 / 1024)) MB"
[ "$size" -le "$most" ] || { echo "device-bundle.sh: more than 45 MB: leave some golden files out" >&2; exit 1; }
