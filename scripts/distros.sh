#!/usr/bin/env bash
# Runs the README's two commands in bare trees of other distributions, as a new user would in a fresh clone:
#   scripts/distros.sh [SUITE[:clang] ...]          default: bookworm trixie (Debian 12 and 13)
# The tree is what debootstrap makes (in build/distros), the clone is HEAD, and the last lines say the times and the tests'
# summary of each. Needs root and debootstrap. Packages come from where this machine's apt has its own, or from
# SAM2UNET_MIRROR; LibTorch from PyPI, or from SAM2UNET_TORCH_DIR as scripts/torch.sh filled it; with CCACHE_DIR set, ccache
# serves the trees too. A command that fails leaves its log, and the next suite is still tried.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || { echo "distros.sh: making trees and changing into them needs root" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "distros.sh: debootstrap is not installed" >&2; exit 1; }
# Mounts of our own, which end with this process whatever happens.
[ -n "${SAM2UNET_DISTROS_INSIDE:-}" ] || SAM2UNET_DISTROS_INSIDE=1 exec unshare --mount --propagation private "$0" "$@"

mirror=${SAM2UNET_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | head -1)}
[ -n "$mirror" ] || { echo "distros.sh: apt names no mirror of Debian; give one by SAM2UNET_MIRROR" >&2; exit 1; }
mkdir -p build/distros
summary=()
failed=0

make_tree() { # SUITE TREE: a bare system, made once and kept as an archive
  local suite=$1 tree=$2 archive=build/distros/$1.tar
  if [ ! -f "$archive" ]; then
    debootstrap --variant=minbase "$suite" "$tree" "$mirror" >"$tree.log" 2>&1
    tar -cf "$archive.part" -C "$tree" . && mv "$archive.part" "$archive"
  else
    mkdir -p "$tree" && tar -xf "$archive" -C "$tree"
  fi
  for folder in proc sys dev dev/pts dev/shm; do mount --bind "/$folder" "$tree/$folder"; done
  # How this machine reaches its registries is the tree's too.
  for file in /etc/resolv.conf /etc/pip.conf /etc/ssl/certs/ca-certificates.crt /etc/apt/apt.conf.d/*proxy*; do
    [ -f "$file" ] && mkdir -p "$tree$(dirname "$file")" && cp -L "$file" "$tree$file"
  done
  git clone -q --no-hardlinks . "$tree/root/sam2unet"
}

visible() { # TREE FOLDER: at the same path
  mkdir -p "$1$2" && mount --bind "$2" "$1$2"
}

inside() { # TREE COMMAND: with nothing of our environment but where registries and LibTorch are
  local name pass=()
  while read -r name; do pass+=("$name=${!name}"); done < <(compgen -e |
    grep -E '^(PIP_.*|https?_proxy|no_proxy|SAM2UNET_TORCH_DIR|CCACHE_.*|CMAKE_CXX_COMPILER_LAUNCHER)$')
  chroot "$1" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    ${cxx:+CXX=$cxx} "${pass[@]}" bash -c "cd /root/sam2unet && $2"
}

[ $# -gt 0 ] || set -- bookworm trixie
for name in "$@"; do
  suite=${name%%:*}
  cxx=
  [ "$name" = "$suite" ] || cxx=${name#*:}++
  tree=$PWD/build/distros/$name
  log=$tree.log
  rm -rf --one-file-system "$tree"
  echo "$name: making the tree"
  make_tree "$suite" "$tree"
  [ -z "${SAM2UNET_TORCH_DIR:-}" ] || visible "$tree" "$SAM2UNET_TORCH_DIR"
  if [ -n "${CCACHE_DIR:-}" ]; then
    visible "$tree" "$CCACHE_DIR"
    inside "$tree" "apt-get update -qq && apt-get install -y -qq --no-install-recommends ccache" >>"$log" 2>&1
  fi
  [ -z "$cxx" ] || inside "$tree" "./scripts/packages.sh --clang" >>"$log" 2>&1
  line=$name:
  for command in demo test; do
    echo "$name: scripts/$command.sh (log: $log)"
    begin=$SECONDS
    if inside "$tree" "./scripts/$command.sh" >>"$log" 2>&1; then
      line+=" $command.sh $((SECONDS - begin)) s,"
    else
      line+=" $command.sh FAILED after $((SECONDS - begin)) s,"
      failed=1
      break
    fi
  done
  line+=" $(grep -E '^[0-9]+% tests passed' "$log" | tail -1)"
  summary+=("$line")
  for folder in "$tree"/{dev/shm,dev/pts,dev,sys,proc} ${SAM2UNET_TORCH_DIR:+"$tree$SAM2UNET_TORCH_DIR"} \
    ${CCACHE_DIR:+"$tree$CCACHE_DIR"}; do umount "$folder"; done
done
printf '%s\n' "${summary[@]}"
exit $failed
