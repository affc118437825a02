#!/usr/bin/env python3
"""ONNX Runtime on our exported graph against the same on PyTorch's own export of the reference's modules, in one run.

  onnx_export.py build/release/bin/sam2unet [--variants t,l] [--size 352] [--rounds 5] [--passes 8]

SAM2UNET_REFERENCE and SAM2_REFERENCE name checkouts (docs/golden.md). Both graphs hold the same random weights. The two take
turns in one process and the fastest pass of each counts; the outputs must agree. Prints a Markdown table; exit code 1 where they
do not, or where our graph takes longer than PyTorch's.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "golden"))
import reference  # noqa: E402


def torch_export(network, example, file):
    """By the older exporter, which needs no further packages; opset 17 as ours."""
    torch.onnx.export(network, (example,), file, opset_version=17, input_names=["input"], output_names=["out", "side1", "side2"],
                      dynamo=False)


def session(file, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def fastest(run, passes):
    best = float("inf")
    for _ in range(passes):
        begin = time.perf_counter()
        run()
        best = min(best, 1e3 * (time.perf_counter() - begin))
    return best


def compare(modules, variant, options, folder):
    torch.manual_seed(0)
    network = modules.network(reference.config(variant)).eval()
    weights, theirs, ours = (os.path.join(folder, variant + ending) for ending in (".pth", ".torch.onnx", ".ours.onnx"))
    torch.save(network.state_dict(), weights)
    x = np.random.default_rng(0).normal(size=(1, 3, options.size, options.size)).astype(np.float32)
    torch_export(network, torch.from_numpy(x), theirs)
    subprocess.run([options.program, "export", ours, "--weights", weights, "--size", str(options.size)], check=True,
                   stdout=subprocess.DEVNULL)
    sessions = [session(f, options.threads) for f in (ours, theirs)]
    outputs = [s.run(None, {s.get_inputs()[0].name: x})[0] for s in sessions]
    difference = float(np.abs(outputs[0] - outputs[1]).max() / np.ptp(outputs[1]))
    best = [float("inf")] * 2
    for _ in range(options.rounds):
        for i, s in enumerate(sessions):
            feed = {s.get_inputs()[0].name: x}
            best[i] = min(best[i], fastest(lambda: s.run(None, feed), options.passes))
    nodes = [len(onnx.load(f, load_external_data=False).graph.node) for f in (ours, theirs)]
    print(f"| {variant} | {best[0]:.1f} ({nodes[0]} nodes) | {best[1]:.1f} ({nodes[1]} nodes) | {best[0] / best[1]:.3f} | {difference:.1e} |",
          flush=True)
    return best[0] <= best[1] and difference <= 2e-5  # what `verify FILE.onnx` allows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--variants", default="t,l")
    parser.add_argument("--size", type=int, default=352)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--passes", type=int, default=8)
    options = parser.parse_args()
    print(f"ONNX Runtime {ort.__version__}, PyTorch {torch.__version__}, {options.threads} threads, {options.size}x{options.size}\n")
    print("| | our graph, ms | PyTorch's export, ms | ours / theirs | largest difference, of range |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        modules = reference.Reference()
        good = [compare(modules, v, options, folder) for v in options.variants.split(",")]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
