#!/usr/bin/env bash
# Does what the Containerfile says in a bare tree (debootstrap, as root), step by step, since nothing here builds images: then the
# program must run as the image's user, find the model inside, and all packages of the tree be 250 MB at most. What cannot be
# had is SKIPPED, and said so. Needs scripts/package.sh deb.
#   scripts/container_tests.sh             SAM2UNET_MIRROR chooses the mirror
set -euo pipefail
cd "$(dirname "$0")/.."
most_mb=250
command -v debootstrap >/dev/null && [ "$(id -u)" = 0 ] || { echo "SKIPPED: a bare tree needs debootstrap and root"; exit 0; }
suite=$(sed -n 's|^FROM .*/debian:\([a-z]*\)-slim$|\1|p' Containerfile)
[ -n "$suite" ] || { echo "container_tests.sh: the Containerfile is not on Debian's slim image" >&2; exit 2; }
tree=$(mktemp -d)
chmod 755 "$tree" # the image's user goes through it
trap 'rm -rf "$tree"' EXIT
debootstrap --variant=minbase "$suite" "$tree" ${SAM2UNET_MIRROR:+"$SAM2UNET_MIRROR"} >"$tree.log" 2>&1 ||
  { echo "SKIPPED: debootstrap: $(tail -n 1 "$tree.log")"; rm -f "$tree.log"; exit 0; }
rm -f "$tree.log"
cp /etc/resolv.conf "$tree/etc/" 2>/dev/null || true
cp -r /etc/apt/apt.conf.d/. "$tree/etc/apt/apt.conf.d/" 2>/dev/null || true
echo 'APT::Sandbox::User "root"; Debug::NoLocking "true"; Dpkg::Use-Pty "0"; quiet "2";' >"$tree/etc/apt/apt.conf.d/99tests"

user=root folder=/ environment=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin) program=() arguments=()
in_tree() { # as the image's user, in its folder
  local home
  home=$(awk -F: -v name="$user" '$1 == name { print $6 }' "$tree/etc/passwd")
  chroot --userspec="$user" "$tree" env -i HOME="$home" DEBIAN_FRONTEND=noninteractive "${environment[@]}" \
    sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
}
words_of() { tr -d '[]"' <<<"$1" | tr ',' ' '; }
# `read` joins the lines that end in a backslash.
# shellcheck disable=SC2162
while read word rest; do
  case "$word" in
    '' | '#'* | FROM) ;;
    COPY)
      # shellcheck disable=SC2206 # patterns, as in the file
      files=($rest)
      to=$tree${files[-1]}
      unset 'files[-1]'
      mkdir -p "$to"
      cp "${files[@]}" "$to"
      ;;
    RUN) in_tree sh -c "$rest" >"$tree/run.log" 2>&1 || { tail -n 20 "$tree/run.log" >&2; exit 1; } ;;
    USER) user=$rest ;;
    WORKDIR) folder=$rest && mkdir -p "$tree$folder" ;;
    ENV) environment+=("$rest") ;;
    ENTRYPOINT) read -ra program <<<"$(words_of "$rest")" ;;
    CMD) read -ra arguments <<<"$(words_of "$rest")" ;;
    *) echo "container_tests.sh: $word is not understood" >&2; exit 2 ;;
  esac
done <Containerfile

[ "$user" != root ] || { echo "container_tests.sh: the image runs as root" >&2; exit 1; }
in_tree "${program[@]}" "${arguments[@]}" | grep -q predict
cp samples/cat.jpg "$tree$folder/" # what -v mounts, of the same user
chroot "$tree" chown -R "$user" "$folder"
in_tree "${program[@]}" predict cat.jpg -o out
[ -s "$tree$folder/out/cat.png" ] || { echo "container_tests.sh: no map was written" >&2; exit 1; }
[ "$(stat -c %u "$tree$folder/out/cat.png")" = 1000 ] || { echo "container_tests.sh: the map is not the user's" >&2; exit 1; }
mb=$(in_tree dpkg-query -Wf '${Installed-Size}\n' | awk '{ s += $1 } END { printf "%.0f", s * 1024 / 1e6 }')
own=$(in_tree dpkg-query -Wf '${Installed-Size}\n' sam2unet libsam2unet0.2 sam2unet-model-t | awk '{ s += $1 } END { printf "%.0f", s * 1024 / 1e6 }')
echo "container: runs as $user, $(in_tree dpkg-query -Wf 'x\n' | wc -l) packages of $mb MB in all, $own MB of them ours"
[ "$mb" -le $most_mb ] || { echo "container_tests.sh: more than $most_mb MB" >&2; exit 1; }
