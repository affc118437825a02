#!/usr/bin/env python3
"""PySODMetrics and ours on the same maps, on one core, in one run: prints the ratios.

  python -m venv peers && peers/bin/pip install -r bench/peers/requirements.txt
  peers/bin/python bench/peers/metrics.py build/release/bin/bench_metrics [--rounds 7] [--pred P.png --gt G.png]

The two are timed in turns, and the smallest time of each counts. Without --pred and --gt the maps are made
here, 400x300. Exit code 1 if a ratio is below what docs/metrics.md promises (classic 50, MSIoU 100).
"""
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings

import cv2
import numpy as np
import py_sod_metrics as peer

PROMISED = {"classic": 50, "MSIoU": 100}


def made_maps():
    """An object of soft, noisy outline, and its truth: [300, 400] each."""
    y, x = np.mgrid[:300, :400].astype(float)

    def depth(cx, cy):
        angle = np.arctan2(y - cy, x - cx)
        return 90 + 12 * np.sin(5 * angle) + 6 * np.sin(11 * angle) - np.hypot(x - cx, (y - cy) * 1.2)

    noise = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 60, (300, 400)), (0, 0), 6)
    pred = 255 / (1 + np.exp(-(depth(203, 148) + noise) / 4))
    return pred.astype(np.uint8), ((depth(198, 152) > 0) * 255).astype(np.uint8)


def classic(pred, gt):
    """S, E, the F family, IoU, Dice, BER (each adaptive, over 256 thresholds, and binary), weighted F, MAE."""
    handlers = {
        name: handler(True, True, with_binary=True)
        for name, handler in [("fm", peer.FmeasureHandler), ("pre", peer.PrecisionHandler), ("rec", peer.RecallHandler),
                              ("iou", peer.IOUHandler), ("dice", peer.DICEHandler), ("ber", peer.BERHandler)]
    }
    handlers["f1"] = peer.FmeasureHandler(True, True, with_binary=True, beta=1)
    for metric in (peer.Smeasure(), peer.Emeasure(), peer.FmeasureV2(handlers), peer.WeightedFmeasure(), peer.MAE()):
        metric.step(pred, gt)


def msiou(pred, gt):
    peer.MSIoU(True, True, with_binary=True).step(pred, gt)


def seconds(call):
    """Processor time, which other programs on the machine disturb less than time on the clock."""
    start = time.process_time()
    call()
    return time.process_time() - start


def ours(program, files, name):
    """Seconds of processor time for one call."""
    out = subprocess.run([program, *files, f"--benchmark_filter=^{name}$", "--benchmark_format=json",
                          "--benchmark_min_time=0.1"], check=True, capture_output=True, text=True)
    run = json.loads(out.stdout)["benchmarks"][0]
    return run["cpu_time"] * {"ns": 1e-9, "us": 1e-6, "ms": 1e-3}[run["time_unit"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="bench_metrics")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--pred")
    parser.add_argument("--gt")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)
    if args.pred and args.gt:
        pred, gt = (cv2.imread(f, cv2.IMREAD_GRAYSCALE) for f in (args.pred, args.gt))
    else:
        pred, gt = made_maps()
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        files = [os.path.join(folder, "pred.png"), os.path.join(folder, "gt.png")]
        for file, map_ in zip(files, (pred, gt)):
            cv2.imwrite(file, map_)
        print(f"{pred.shape[1]}x{pred.shape[0]}, one core, smallest of {args.rounds} rounds taken in turns")
        print(f"{'':10}{'PySODMetrics':>14}{'ours':>12}{'ratio':>9}{'promised':>10}")
        for name, call in (("classic", lambda: classic(pred, gt)), ("MSIoU", lambda: msiou(pred, gt))):
            call()
            theirs, own = [], []
            for _ in range(args.rounds):
                theirs.append(seconds(call))
                own.append(ours(args.program, files, name))
            ratio = min(theirs) / min(own)
            missed = missed or ratio < PROMISED[name]
            print(f"{name:10}{min(theirs) * 1e3:11.3f} ms{min(own) * 1e3:9.4f} ms{ratio:9.1f}{PROMISED[name]:10d}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
