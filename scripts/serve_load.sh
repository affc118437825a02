#!/usr/bin/env bash
# How much the service does, on this machine: pictures a second at 1, 8 and 64 clients against `predict` on a folder, small and
# large requests with the growth of resident memory, SIGTERM and SIGHUP under load, hostile clients. Needs wrk (Debian's package).
#   scripts/serve_load.sh [BIN [SECONDS [SMALL [LARGE]]]]
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(realpath "${1:-build/release/bin}") seconds=${2:-20} small=${3:-60000} large=${4:-2000}
command -v wrk >/dev/null || { echo "SKIPPED: wrk is not installed"; exit 0; }
work=$(mktemp -d)
. scripts/service.sh
trap abandon EXIT

end() {
  finish
  echo "  ended with exit code $code"
}
resident() { curl -sf "${url}metrics" | sed -n 's/^sam2unet_resident_memory_bytes //p'; }
post() { # FILE: a script for wrk that posts it
  cat >"$work/post.lua" <<LUA
local f = io.open("$1", "rb")
wrk.method, wrk.body = "POST", f:read("*a")
wrk.headers["Content-Type"] = "application/octet-stream"
local failed = 0
function response(status) if status ~= 200 then failed = failed + 1; if failed < 4 then print("  status " .. status) end end end
LUA
  echo "$work/post.lua"
}
memory_growth() { # NAME REQUESTS FILE PATH
  local share=$(($2 / 10)) first last
  curl -sf --data-binary @"$3" "$url$4" >/dev/null
  run_requests "$share" "$3" "$4"
  first=$(resident)
  run_requests $(($2 - share)) "$3" "$4"
  last=$(resident)
  echo "  $2 $1 requests: resident $((first >> 20)) MB after the first tenth, $((last >> 20)) MB at the end ($(((last - first) * 1000 / first)) per mille more)"
}
run_requests() { # N FILE PATH: wrk counts time, so in slices until the service has seen N more answers
  local begin now
  begin=$(curl -sf "${url}metrics" | sed -n 's/^sam2unet_pictures_total //p')
  while now=$(curl -sf "${url}metrics" | sed -n 's/^sam2unet_pictures_total //p'); [ $((now - begin)) -lt "$1" ]; do
    wrk -t1 -c8 -d5s --timeout 60s -s "$(post "$2")" "$url$3" | grep -E 'status|Non-2xx|Socket errors' || true
  done
}

n=${SAM2UNET_PICTURES:-100}
mkdir "$work/photos"
for i in $(seq "$n"); do cp samples/cat.jpg "$work/photos/$i.jpg"; done
begin=$(date +%s.%N)
"$bin/sam2unet" predict "$work/photos" -o "$work/out" >/dev/null
end=$(date +%s.%N)
echo "predict: $(awk -v n="$n" -v b="$begin" -v e="$end" 'BEGIN { printf "%.2f", n / (e - b) }') pictures/s on a folder of samples/cat.jpg $n times, loading included"

start --queue 128
for c in 1 8 64; do
  echo "serve, $c at once:"
  wrk -t1 -c$c -d"${seconds}s" --timeout 60s --latency -s "$(post "$PWD/samples/cat.jpg")" "${url}v1/segment" | grep -E '50%|99%|Requests/sec|Non-2xx|Socket errors|status'
done
end

start
printf 'P6\n32 32\n255\n' >"$work/small.ppm"; head -c 3072 /dev/urandom >>"$work/small.ppm"
memory_growth small "$small" "$work/small.ppm" "v1/segment?size=32"
memory_growth large "$large" samples/rocket.jpg "v1/segment?size=32&result=cutout"
end

start
echo "SIGHUP ten times under load:"
(for _ in $(seq 10); do sleep 1; kill -HUP $service; done) &
wrk -t1 -c8 -d12s --timeout 60s -s "$(post "$PWD/samples/cat.jpg")" "${url}v1/segment" | grep -E 'requests in|Non-2xx|Socket errors|status' || true
wait $! || true
echo "  $(grep -c 'loaded again' "$work/serve.log") times loaded again"
end

echo "hostile clients:"
start --max-connections 12000 --header-timeout 10s --body-timeout 10s
python3 tests/serve/peers/hostile.py "$address" $service samples/cat.jpg | sed 's/^/  /'
end
