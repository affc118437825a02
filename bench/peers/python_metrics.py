#!/usr/bin/env python3
"""PySODMetrics and sam2unet.metrics through Python on the same maps, on one core, in one run: prints the ratios.

  python bench/peers/python_metrics.py [--rounds 7]      # in an environment with both; scripts/python_tests.sh makes one

The two are timed in turns, and the smallest processor time of each counts. Exit code 1 below what docs/metrics.md promises:
classic 40.
"""
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import argparse
import sys
import time
import warnings

import cv2
import numpy as np
import py_sod_metrics as theirs

from metrics import made_maps
from sam2unet import metrics as ours

PROMISED = {"classic": 40}


def classic(module):
    """As in metrics.py: S, E, seven handlers of the F family (each adaptive, over 256 thresholds, and binary), wF, MAE."""
    both = dict(with_dynamic=True, with_adaptive=True, with_binary=True)
    handlers = {name: getattr(module, name + "Handler")(**both)
                for name in ("Fmeasure", "Precision", "Recall", "IOU", "DICE", "BER")}
    handlers["f1"] = module.FmeasureHandler(**both, beta=1)
    return [module.Smeasure(), module.Emeasure(), module.FmeasureV2(handlers), module.WeightedFmeasure(), module.MAE()]


CASES = {
    "classic": classic,
    "S": lambda m: [m.Smeasure()],
    "E": lambda m: [m.Emeasure()],
    "wF": lambda m: [m.WeightedFmeasure()],
    "MAE": lambda m: [m.MAE()],
    "HCE": lambda m: [m.HumanCorrectionEffortMeasure()],
    "CM": lambda m: [m.ContextMeasure()],
    "MSIoU": lambda m: [m.MSIoU(True, True, with_binary=True)],
}


def seconds(metrics, args, repeat):
    start = time.process_time()
    for _ in range(repeat):
        for metric in metrics:
            metric.step(*args)
    return (time.process_time() - start) / repeat


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)
    pred, gt = made_maps()
    values, truth = theirs.utils.prepare_data(pred, gt)
    missed = False
    print(f"{pred.shape[1]}x{pred.shape[0]}, one core, smallest of {args.rounds} rounds taken in turns")
    print(f"{'':22}{'PySODMetrics':>14}{'ours':>12}{'ratio':>9}")
    for kind, given in (("levels", (pred, gt)), ("float64", (values, truth, False))):
        for name, make in CASES.items():
            rounds = 2 if name == "MSIoU" else args.rounds
            best = [np.inf, np.inf]
            seconds(make(ours), given, 3)
            for _ in range(rounds):
                best = [min(best[0], seconds(make(theirs), given, 1)), min(best[1], seconds(make(ours), given, 20))]
            ratio = best[0] / best[1]
            missed = missed or (kind == "levels" and ratio < PROMISED.get(name, 0))
            print(f"{kind + ' ' + name:22}{best[0] * 1e3:11.3f} ms{best[1] * 1e3:9.3f} ms{ratio:9.1f}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
