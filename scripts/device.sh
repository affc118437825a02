#!/usr/bin/env bash
# Proves and times a bundle (scripts/device-bundle.sh) on a machine with an NVIDIA GPU and nothing else of ours: Ubuntu, nvcc, CMake,
# ninja and PyTorch in python3; no network. Without GPU, nvcc or PyTorch the parts that can run do.
#
#   bash device.sh [BUNDLE.tar.xz] [--prebuilt] [--compile] [--seconds N]
#
# BUNDLE: unpacked into a new folder first; without it this is the device.sh of an unpacked one. --prebuilt: the bundled CUDA plug-in,
# not one built here. --compile: PyTorch compiled as well, which takes minutes. --seconds: what all together may take (240). Results go to $OUT
# (./device-results): a log for each part, device.json, and the table that is printed last. SAM2UNET_REFERENCE and SAM2_REFERENCE
# name checkouts whose modules are timed beside ours. Each part has a time limit, and a failure stops none but itself.
set -uo pipefail
bundle='' prebuilt='' compile='' seconds=240
while [ $# -gt 0 ]; do
  case "$1" in
    --prebuilt) prebuilt=1 ;;
    --compile) compile=--compile ;;
    --seconds) seconds=${2:?}; shift ;;
    -*) sed -n '2,11p' "$0" >&2; exit 2 ;;
    *) bundle=$(realpath "$1") ;;
  esac
  shift
done
OUT=$(realpath -m "${OUT:-device-results}")
export OUT
mkdir -p "$OUT"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -n "$bundle" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  tar -C "$work" -xf "$bundle" || exit 1
  here=$work/sam2unet-device
fi
cd "$here" || exit 1
: >"$OUT/parts.tsv"

# ---- what there is here
has() { command -v "$1" >/dev/null 2>&1; }
if [ -d /usr/local/cuda/bin ]; then PATH=$PATH:/usr/local/cuda/bin; fi
gpu='' no_gpu='no NVIDIA GPU'
if has nvidia-smi && gpu=$(nvidia-smi --query-gpu=name,driver_version,compute_cap --format=csv,noheader 2>/dev/null | head -n 1) && [ -n "$gpu" ]; then no_gpu=''; fi
torch=$(python3 -c 'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")' 2>/dev/null)
no_torch='no PyTorch in python3'
LD_LIBRARY_PATH=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
if [ -n "$torch" ] && [ -d "$torch/lib" ]; then
  no_torch=''
  LD_LIBRARY_PATH=$LD_LIBRARY_PATH:$torch/lib
  for folder in "$(dirname "$torch")"/nvidia/*/lib "$(dirname "$torch")"/nvidia/*/lib/*; do [ ! -d "$folder" ] || LD_LIBRARY_PATH=$LD_LIBRARY_PATH:$folder; done
fi
has_library() { ldconfig -p 2>/dev/null | grep -q "$1" || /sbin/ldconfig -p 2>/dev/null | grep -q "$1"; }
has_library 'libstdc++.so.6' || LD_LIBRARY_PATH=$LD_LIBRARY_PATH:$here/fallback
export LD_LIBRARY_PATH OMP_WAIT_POLICY=PASSIVE
bin=$here/bin
cores=$(nproc)

# ---- parts
begin=$(date +%s)
now() { date +%s.%N; }
note() { printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" >>"$OUT/parts.tsv"; printf '%-34s %-8s %6s s  %s\n' "$1" "$2" "$3" "$4"; }
# part NAME LIMIT REASON COMMAND...: skipped where there is a reason; the log is $OUT/NAME.log.
part() {
  local name=$1 limit=$2 reason=$3 started code left
  shift 3
  left=$((seconds - ($(date +%s) - begin)))
  if [ -z "$reason" ] && [ "$left" -lt 3 ]; then reason='no time was left'; fi
  if [ -n "$reason" ]; then note "$name" SKIPPED 0 "$reason"; return; fi
  [ "$limit" -le "$left" ] || limit=$left
  started=$(now)
  timeout -k 5 "$limit" "$@" >"$OUT/$name.log" 2>&1
  code=$?
  local took
  took=$(awk -v a="$started" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }')
  case $code in
    0) note "$name" ok "$took" "$(tail -n 1 "$OUT/$name.log" | cut -c1-120)" ;;
    124 | 137) note "$name" TIMEOUT "$took" "after $limit s" ;;
    *) note "$name" FAILED "$took" "exit code $code: $(grep -v '^$' "$OUT/$name.log" | tail -n 1 | cut -c1-120)" ;;
  esac
}
lacks() { local file; for file in "$@"; do [ -e "$file" ] || { echo "the bundle has no ${file#"$here"/}"; return; }; done; }
first() { local reason; for reason in "$@"; do [ -z "$reason" ] || { echo "$reason"; return; }; done; }

part machine 20 '' bash -c 'uname -sr; ldd --version | head -n 1; nproc; nvidia-smi 2>/dev/null; nvcc --version 2>/dev/null; cat REVISION'

# ---- the plug-in, built beside everything that does not need it
no_cuda=$(first "$no_gpu")
builder=''
if [ -z "$no_gpu" ] && [ -z "$prebuilt" ]; then
  if has nvcc && has cmake && [ -d kernels ]; then
    started_build=$(now)
    (cd kernels && timeout -k 5 170 bash -c 'cmake -S . -B build $(command -v ninja >/dev/null && echo -G Ninja) && cmake --build build -j "$(nproc)"') >"$OUT/build.log" 2>&1 &
    builder=$!
  else
    note build SKIPPED 0 "no nvcc or CMake: the bundled plug-in"
  fi
fi

# ---- on the processor
verify() { part "$1" "$2" "$3" "$bin/sam2unet" verify --device "$4" --precision "$5" "${@:6}"; }
shopt -s nullglob
forward=(golden/forward_*) trained=(golden/train_*) small=(golden/forward_nano_*x96_* golden/forward_nano_1x64* golden/forward_t_1x352x352_a*)
[ -n "$no_gpu" ] || small=(golden/forward_t_1x352x352_a*)
verify verify-cpu-f32 60 "$(lacks "${small[@]:-golden}")" cpu f32 "${small[@]}"
part conformance-cpu 60 "$(lacks bin/ops_test)" "$bin/ops_test" --gtest_brief=1 "--gtest_filter=*Conformance*/f32_*x2"
part bench-cpu-t 45 '' "$bin/sam2unet" bench --variant t --device cpu --precision f32 -n 1 --json "$OUT/bench-cpu-t.json"

# ---- LibTorch
plugin=$(lacks lib/libsam2unet_torch.so)
no_torch_gpu=$(first "$no_torch" "$no_gpu" "$plugin")
for precision in f32 tf32 bf16; do verify "verify-cuda-torch-$precision" 45 "$no_torch_gpu" cuda-torch "$precision" "${forward[@]}"; done
verify verify-train 45 "$(first "$no_torch" "$plugin")" "$([ -z "$no_gpu" ] && echo cuda-torch || echo torch-cpu)" f32 "${trained[@]}"

# ---- our own kernels
if [ -n "$builder" ]; then
  if wait "$builder"; then
    cp kernels/build/libsam2unet_cuda.so lib/
    note build ok "$(awk -v a="$started_build" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }')" "beside the parts above"
  else
    note build FAILED 0 "the bundled plug-in instead: $(grep -iE 'error' "$OUT/build.log" | head -n 1 | cut -c1-100)"
  fi
fi
no_cuda=$(first "$no_gpu" "$(lacks lib/libsam2unet_cuda.so)")
for precision in f32 bf16; do verify "verify-cuda-$precision" 45 "$no_cuda" cuda "$precision" "${forward[@]}"; done
in_range=() # the golden L network leaves f16's range
for file in "${forward[@]}"; do [[ $file == *forward_l_* ]] || in_range+=("$file"); done
verify verify-cuda-fp16 45 "$no_cuda" cuda fp16 "${in_range[@]}"
part conformance-cuda 60 "$(first "$no_gpu" "$(lacks bin/ops_test)")" "$bin/ops_test" --gtest_brief=1 '--gtest_filter=*cuda*'
sanitizer=$(first "$no_gpu" "$(lacks bin/ops_test)" "$(has compute-sanitizer || echo 'no compute-sanitizer')")
cases='*LinearAndItsFusions*/cudaBf16*:*WindowAttention*/cudaBf16*:*ConvBnFan*/cudaBf16*:*Adapt*/cudaF16*'
part sanitizer-memcheck 40 "$sanitizer" compute-sanitizer --tool memcheck --error-exitcode 9 "$bin/ops_test" --gtest_brief=1 "--gtest_filter=$cases"
part sanitizer-racecheck 40 "$sanitizer" compute-sanitizer --tool racecheck --error-exitcode 9 "$bin/ops_test" --gtest_brief=1 "--gtest_filter=$cases"

# ---- time: inference
for variant in t l; do
  for batch in 1 8 64; do
    part "bench-cuda-$variant-$batch" 20 "$no_cuda" "$bin/sam2unet" bench --variant $variant --precision bf16 --device cuda --batch $batch -n 30 --json "$OUT/bench-cuda-$variant-$batch.json"
    part "bench-cuda-torch-$variant-$batch" 20 "$no_torch_gpu" "$bin/sam2unet" bench --variant $variant --precision bf16 --device cuda-torch --batch $batch -n 10 --json "$OUT/bench-cuda-torch-$variant-$batch.json"
  done
done
# From files to files; the weights are made here.
for variant in t l; do
  part "weights-$variant" 30 "$(first "$no_cuda" "$(lacks bin/bench_weights)")" "$bin/bench_weights" $variant "$OUT/weights-$variant.safetensors"
  part "predict-cuda-$variant" 40 "$(first "$no_cuda" "$([ -e "$OUT/weights-$variant.safetensors" ] || echo 'no weights')")" \
    "$bin/sam2unet" predict pictures -w "$OUT/weights-$variant.safetensors" -o "$OUT/predicted-$variant" --device cuda --precision bf16
  rm -rf "$OUT/weights-$variant.safetensors" "$OUT/predicted-$variant"
done
part bench-cuda-operations 30 "$(first "$no_gpu" "$(lacks bin/bench_cuda)")" "$bin/bench_cuda" l 64 352 bf16

# ---- time: training
for precision in bf16 f32; do
  part "bench-train-l-$precision" 40 "$(first "$no_torch" "$no_gpu" "$(lacks bin/bench_train)")" "$bin/bench_train" \
    --device cuda --variant l --batch 12 --size 352 --precision $precision --steps 30 --json "$OUT/bench-train-l-$precision.json"
done
part bench-train-t-bf16 30 "$(first "$no_torch" "$no_gpu" "$(lacks bin/bench_train)")" "$bin/bench_train" \
  --device cuda --variant t --batch 64 --size 352 --precision bf16 --steps 20 --all-parameters --json "$OUT/bench-train-t-bf16.json"

# ---- the reference
no_peer=$(first "$no_torch" "$no_gpu" "$([ -n "${SAM2UNET_REFERENCE:-}" ] && [ -n "${SAM2_REFERENCE:-}" ] || echo 'SAM2UNET_REFERENCE and SAM2_REFERENCE name no checkouts')")
part peer-forward 60 "$no_peer" python3 bench/peers/torch_forward.py --seconds 1 --json "$OUT/peer-forward.json"
part peer-train 40 "$no_peer" python3 bench/peers/torch_train.py --steps 15 --json "$OUT/peer-train.json"
if [ -n "$compile" ]; then
  part peer-compiled 400 "$no_peer" python3 bench/peers/torch_forward.py --compile --batches 64 --json "$OUT/peer-compiled.json"
fi

echo
python3 device_table.py "$OUT" "${gpu:-no GPU}" "$(($(date +%s) - begin))" "$cores"
