#!/usr/bin/env bash
# Makes Debian packages and a relocatable tarball into dist/:
#   sam2unet, libsam2unet0.2, libsam2unet-dev, sam2unet-model-t   (.deb, for the Debian or Ubuntu that this runs on)
#   sam2unet-VERSION-linux-x86_64.tar.gz                          program, libraries and what these need, model; any Linux with
#                                                                 glibc 2.34, in any folder
#   scripts/package.sh [deb] [tar]
set -euo pipefail
cd "$(dirname "$0")/.."
./scripts/packages.sh --package
[ $# -gt 0 ] || set -- deb tar
mkdir -p dist
for what in "$@"; do
  case "$what" in
    deb)
      build=build/deb
      cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release -DSAM2UNET_DEBIAN_LAYOUT=ON -DCMAKE_INSTALL_PREFIX=/usr \
        -DCMAKE_SKIP_INSTALL_RPATH=ON >/dev/null
      cmake --build $build
      rm -f $build/*.deb
      (cd $build && cpack -G DEB >/dev/null)
      mv $build/*.deb dist/
      ;;
    tar)
      build=build/wheel
      cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release -DSAM2UNET_PORTABLE=ON >/dev/null
      cmake --build $build
      name=sam2unet-$(sed -n 's/^project(sam2unet VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)-linux-x86_64
      stage=$build/tar/$name
      rm -rf $build/tar
      cmake --install $build --prefix "$PWD/$stage" --strip >/dev/null
      ./scripts/bundle.sh "$stage/lib" "$stage/share/doc/sam2unet/licenses" $build/lib/libsam2unet.so $build/lib/libsam2unet_metrics.so $build/bin/sam2unet
      tar -C $build/tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@"${SOURCE_DATE_EPOCH:-315532800}" -czf "dist/$name.tar.gz" "$name"
      ;;
    *) echo "usage: package.sh [deb] [tar]" >&2; exit 2 ;;
  esac
done
ls -l dist
