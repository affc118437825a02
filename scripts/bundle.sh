#!/usr/bin/env bash
# Copies the libraries that programs and libraries of ours need and another Linux may lack into a folder, and their licences
# into another. libgomp keeps its name: a process that has one of that name already (PyTorch's) goes on with it, so that
# there is one pool of threads.
#   scripts/bundle.sh LIBRARIES LICENCES FILE...
set -euo pipefail
lib=$1 licenses=$2
shift 2
mkdir -p "$lib" "$licenses"
ldd "$@" | awk '$2 == "=>" { print $1, $3 }' | sort -u | while read -r name path; do
  case "$name" in
    linux-vdso.so.* | libc.so.* | libm.so.* | libpthread.so.* | libdl.so.* | librt.so.* | libstdc++.so.* | libgcc_s.so.* | libsam2unet*) continue ;;
  esac
  strip --strip-unneeded -o "$lib/$name" "$path"
  file=$(readlink -f "$path")
  package=$(dpkg-query -S "$file" 2>/dev/null || dpkg-query -S "${file#/usr}" 2>/dev/null || dpkg-query -S "/usr$file")
  package=${package%%:*}
  cp "/usr/share/doc/$package/copyright" "$licenses/$package"
done
# Neither a screen nor linear algebra belongs to what segments pictures.
if find "$lib" -name 'libX*' -o -name 'libGL*' -o -name '*lapack*' -o -name '*blas*' -o -name 'libgfortran*' | grep .; then
  echo "bundle.sh: these came along" >&2
  exit 1
fi
