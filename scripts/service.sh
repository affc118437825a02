# Sourced by the scripts that try the service; needs `bin`, the programs' folder, and `work`, a scratch folder.

service= url= address=

# start ARGUMENTS...: sets `service`, its process, `url`, which ends in a slash, and `address`, HOST:PORT.
start() {
  : >"$work/serve.log" # the last one's says ready too
  "$bin/sam2unet" serve --port 0 --access-log "$work/access.log" "$@" 2>"$work/serve.log" &
  service=$!
  for _ in $(seq 600); do grep -q 'sam2unet: ready' "$work/serve.log" && break; sleep 0.1; done
  url=$(sed -n 's|.*listening on \(http://[0-9.:]*/\).*|\1|p' "$work/serve.log")
  [ -n "$url" ] || { cat "$work/serve.log" >&2; exit 1; }
  address=${url#http://} address=${address%/}
}

# finish: by SIGTERM; sets `code`, the exit code.
finish() {
  code=0
  kill -TERM $service
  wait $service || code=$?
  service=
}

# abandon: what a trap calls at the end.
abandon() {
  if [ -n "$service" ]; then
    kill $service 2>/dev/null || true
    wait $service 2>/dev/null || true
  fi
  rm -rf "$work"
}
