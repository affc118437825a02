#!/usr/bin/env bash
# The service against what its users have: tritonclient and a script for rembg's service, a real browser with axe, the OpenAPI
# document's own tools. From PyPI, in an environment of its own; what cannot be had is SKIPPED, and said so.
#   scripts/serve_tests.sh [BIN [SCREENSHOTS]]     BIN: folder of the built program; SCREENSHOTS: where the page's pictures go
set -uo pipefail
cd "$(dirname "$0")/.."
bin=$(realpath "${1:-build/release/bin}")
shots=${2:-}
[ -x "$bin/sam2unet" ] || { echo "serve_tests.sh: $bin/sam2unet is not there: build it first" >&2; exit 2; }
work=$(mktemp -d)
peers=tests/serve/peers
failed=0
run() { echo "--- $1"; shift; "$@" || { echo "FAILED: $*"; failed=1; }; }

python=${SAM2UNET_SERVE_VENV:-$work/venv}/bin/python
[ -x "$python" ] || python3 -m venv "$work/venv" 2>/dev/null || { echo "SKIPPED: no Python environment can be made (python3-venv)"; exit 0; }
can() { "$python" -c "import $1" 2>/dev/null || "$python" -m pip -q install "$2" >"$work/pip.log" 2>&1 || { echo "SKIPPED: $2 cannot be had ($(tail -n 1 "$work/pip.log"))"; return 1; }; }

. scripts/service.sh
trap abandon EXIT
end() {
  finish
  [ "$code" -eq 0 ] || { echo "FAILED: SIGTERM ended the service with $code"; cat "$work/serve.log"; failed=1; }
}
start
"$bin/sam2unet" predict samples/*.jpg -o "$work/predicted" --save map,mask,overlay,cutout >/dev/null || exit 1

documented() { # every curl of the documentation, as it stands there but for the address
  mkdir -p "$work/curl"
  cp samples/cat.jpg "$work/curl/cat.jpg" && cp samples/coffee.jpg "$work/curl/a.jpg" && cp samples/rocket.jpg "$work/curl/b.jpg"
  local line n=0
  while read -r line; do
    (cd "$work/curl" && eval "${line/curl/curl -sSf}" >"answer-$n") || { echo "$line"; return 1; }
    n=$((n + 1))
  done < <(sed -n "s|^curl |&|; s|http://127.0.0.1:8080/|$url|p" README.md docs/service.md | grep '^curl')
  cmp "$work/curl/cutout.png" "$work/predicted/cat_cutout.png" && echo "the documentation's $n commands: ok" && [ $n -ge 4 ]
}
command -v curl >/dev/null && run "curl" documented

if can tritonclient.http 'tritonclient[http]' && can PIL pillow; then
  run "tritonclient" "$python" $peers/triton.py "$address" samples/cat.jpg "$work/predicted/cat.png"
fi
if can requests requests && can PIL pillow; then
  run "rembg's form" "$python" $peers/rembg_client.py "$address" samples/cat.jpg "$work/predicted/cat_cutout.png" "$work/predicted/cat.png"
fi
if can openapi_spec_validator openapi-spec-validator; then
  curl -sf "${url}openapi.json" -o "$work/openapi.json" && run "OpenAPI document" "$python" -m openapi_spec_validator "$work/openapi.json"
fi
if can schemathesis schemathesis; then
  run "schemathesis" env -C "$work" "$(dirname "$python")/schemathesis" run "${url}openapi.json" --url "$url" --max-examples "${SAM2UNET_EXAMPLES:-20}" \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance \
    --request-timeout 60 --seed 1 --phases examples,coverage,fuzzing --suppress-health-check all
fi
browser=0
if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
  echo "SKIPPED: the page in a browser (chromium and chromium-driver are not installed)"
elif can selenium selenium && can axe_selenium_python axe-selenium-python; then
  browser=1
  mkdir -p "$work/downloads" "$work/more-downloads"
  run "the page in a browser" "$python" $peers/browser.py "$url" "$work/predicted" "$work/downloads" $shots
fi
end

if [ $browser = 1 ]; then # a token, and a second model, of several classes
  parts=$work/parts.safetensors
  python3 $peers/classes_model.py models/sam2unet_t_duts_int8.safetensors "$parts" &&
    "$bin/sam2unet" predict --weights "$parts" samples/cat.jpg -o "$work/parts" --save mask,overlay,cutout >/dev/null || exit 1
  head -c 32 /dev/urandom | base64 | tr -d '+/=' >"$work/token"
  start --weights models/sam2unet_t_duts_int8.safetensors --weights "parts=$parts" --token-file "$work/token"
  run "the page with a token and classes" "$python" $peers/browser_token.py "$url" "$(cat "$work/token")" "$work/parts" "$work/more-downloads" $shots
  end
fi
exit $failed
