#!/usr/bin/env bash
# Tests the Debian packages of scripts/package.sh: lintian, and in a bare tree (debootstrap, as root) installing them with apt from
# local files, predicting, the manual page, completion, pkg-config, and that removing them leaves nothing. What cannot be
# had is SKIPPED, and said so.
#   scripts/deb_tests.sh [FOLDER]          SAM2UNET_MIRROR and SAM2UNET_SUITE choose the distribution
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-dist}
debs=("$folder"/*.deb)
[ -f "${debs[0]}" ] || { echo "deb_tests.sh: no packages in $folder: run scripts/package.sh deb first" >&2; exit 2; }
if command -v lintian >/dev/null; then
  lintian --fail-on error,warning "${debs[@]}" && echo "lintian: nothing found"
else
  echo "SKIPPED: lintian is not here"
fi
command -v debootstrap >/dev/null && [ "$(id -u)" = 0 ] || { echo "SKIPPED: a bare tree needs debootstrap and root"; exit 0; }

suite=${SAM2UNET_SUITE:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
debootstrap --variant=minbase "$suite" "$tree" ${SAM2UNET_MIRROR:+"$SAM2UNET_MIRROR"} >"$tree.log" 2>&1 ||
  { echo "SKIPPED: debootstrap: $(tail -n 1 "$tree.log")"; exit 0; }
rm -f "$tree.log"
in_tree() { chroot "$tree" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"; }
apt() { in_tree apt-get -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 -o Debug::NoLocking=1 -y -qq --no-install-recommends "$@"; }
cp -r /etc/resolv.conf "$tree/etc/" 2>/dev/null || true
cp -r /etc/apt/apt.conf.d/. "$tree/etc/apt/apt.conf.d/" 2>/dev/null || true
# A minimal tree leaves manual pages out.
rm -f "$tree"/etc/dpkg/dpkg.cfg.d/*
apt update
apt install pkg-config >/dev/null 2>&1
files() { (cd "$tree" && find usr etc opt -xdev | grep -vE '^(usr/share/info/dir|etc/ld.so.cache)' | sort); }

# What the packages need is put in first, so that afterwards only theirs is new.
mkdir -p "$tree/debs"
cp "${debs[@]}" "$tree/debs/"
local_files=("${debs[@]##*/}")
local_files=("${local_files[@]/#//debs/}")
needed=$(in_tree apt-get install -s --no-install-recommends "${local_files[@]}" | awk '$1 == "Inst" && $2 !~ /sam2unet/ { print $2 }')
# shellcheck disable=SC2086 # a list
apt install $needed >/dev/null 2>&1
files >"$tree/before"
apt install "${local_files[@]}" >/dev/null
mkdir "$tree/pictures"
cp samples/cat.jpg "$tree/pictures/"
in_tree sam2unet predict /pictures/cat.jpg -o /out
[ -s "$tree/out/cat.png" ] || { echo "deb_tests.sh: no map was written" >&2; exit 1; }
[ -s "$tree/usr/share/man/man1/sam2unet.1.gz" ] && zcat "$tree/usr/share/man/man1/sam2unet.1.gz" | grep -q '^.TH SAM2UNET 1'
grep -q 'complete -o filenames -F _sam2unet sam2unet' "$tree/usr/share/bash-completion/completions/sam2unet"
flags=$(in_tree pkg-config --cflags --libs sam2unet)
echo "pkg-config: $flags"
case "$flags" in *-lsam2unet*) ;; *) exit 1 ;; esac
echo "installed: $(in_tree dpkg-query -Wf '${Installed-Size}\n' | awk '{ s += $1 } END { printf "%.0f MB in all packages of the tree", s / 1024 }')"
apt purge sam2unet libsam2unet0.2 libsam2unet-dev sam2unet-model-t >/dev/null
files >"$tree/after"
diff "$tree/before" "$tree/after" || { echo "deb_tests.sh: removal left something" >&2; exit 1; }
echo "packages: installed, used, removed without a trace"
