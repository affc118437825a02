#!/usr/bin/env python3
"""The reference's own modules in PyTorch, timed as `sam2unet bench` times ours: one forward pass after another.

  torch_forward.py [--variants t,l] [--batches 1,8,64] [--size 352] [--device cuda] [--compile] [--json FILE]

SAM2UNET_REFERENCE and SAM2_REFERENCE name checkouts (docs/golden.md). Weights are random, of bfloat16, and the pass runs
under autocast to bfloat16, as fast as it goes without changing the modules; a batch of 1 as a recorded CUDA graph too.
Each number is the median of single passes, between events of the device's (on the CPU by its clock).
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "golden"))
import reference  # noqa: E402


def timed(work, device, rounds):
    """Median milliseconds of `work`."""
    for _ in range(3):
        work()
    if device.type != "cuda":
        times = []
        for _ in range(rounds):
            begin = time.perf_counter()
            work()
            times.append(1e3 * (time.perf_counter() - begin))
        return statistics.median(times)
    torch.cuda.synchronize()
    events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(rounds)]
    for begin, end in events:
        begin.record()
        work()
        end.record()
    torch.cuda.synchronize()
    return statistics.median(b.elapsed_time(e) for b, e in events)


def recorded(forward, image):
    """The pass over `image` as a graph that is started at once."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            forward(image)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        forward(image)
    return graph.replay


def rounds_for(work, seconds, device):
    begin = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return max(3, min(50, int(seconds / max(time.perf_counter() - begin, 1e-4))))


def measure(network, batch, options, device):
    image = torch.randn(batch, 3, options.size, options.size, device=device).to(torch.bfloat16)
    model = torch.compile(network) if options.compile else network

    def forward(x):
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16):
            return model(x)

    forward(image)  # chooses algorithms, compiles
    ways = {"compiled" if options.compile else "eager": lambda: forward(image)}
    if device.type == "cuda" and batch == 1:
        ways["graph"] = recorded(forward, image)
    found = []
    for way, work in ways.items():
        ms = timed(work, device, rounds_for(work, options.seconds, device))
        found.append({"way": way, "ms": ms, "images_per_s": 1e3 * batch / ms})
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", default="t,l")
    parser.add_argument("--batches", default="1,8,64")
    parser.add_argument("--size", type=int, default=352)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each number, about")
    parser.add_argument("--json")
    options = parser.parse_args()
    device = torch.device(options.device)
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    modules = reference.Reference()
    rows = []
    for variant in options.variants.split(","):
        network = modules.network(reference.config(variant)).eval().to(device, torch.bfloat16)
        for batch in map(int, options.batches.split(",")):
            try:
                found = measure(network, batch, options, device)
            except torch.cuda.OutOfMemoryError as e:
                print(f"{variant} batch {batch}: {str(e).splitlines()[0]}", file=sys.stderr)
                continue
            for row in found:
                rows.append({"variant": variant, "batch": batch, "size": options.size, **row})
                print(f"{variant} batch {batch:3} {row['way']:9} {row['ms']:9.3f} ms {row['images_per_s']:9.1f} pictures/s", flush=True)
            if options.json:  # as far as it got, should a time limit end this
                name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
                Path(options.json).write_text(json.dumps({"device": name, "torch": torch.__version__, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
