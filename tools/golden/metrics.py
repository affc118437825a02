#!/usr/bin/env python3
"""Values of PySODMetrics 1.6.2: expected.json of data sets, edge_cases.json, random.json of random maps.

  python tools/golden/metrics.py OUT --set NAME PRED_DIR GT_DIR [--set ...]    expected.json
  python tools/golden/metrics.py OUT --edge-cases                              edge_cases.json
  python tools/golden/metrics.py OUT --maps tests/data/metrics/random          random.json

Predictions and truths go together by their stems. What the reference raises or cannot compute is written as text.
"""

import argparse
import json
import math
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import py_sod_metrics as sod

Value = float | str | dict


def raised(error: Exception) -> str:
    return f"EXC {error!r}"


# Our key, the reference's handler, its arguments.
HANDLERS = {
    "fm": (sod.FmeasureHandler, {"beta": 0.3}),
    "f1": (sod.FmeasureHandler, {"beta": 1}),
    "pre": (sod.PrecisionHandler, {}),
    "rec": (sod.RecallHandler, {}),
    "fpr": (sod.FPRHandler, {}),
    "iou": (sod.IOUHandler, {}),
    "dice": (sod.DICEHandler, {}),
    "spec": (sod.SpecificityHandler, {}),
    "ber": (sod.BERHandler, {}),
    "oa": (sod.OverallAccuracyHandler, {}),
    "kappa": (sod.KappaHandler, {}),
}


def curve_handlers(names: list[str], *, with_binary: bool) -> dict:
    return {
        name: HANDLERS[name][0](with_adaptive=True, with_dynamic=True, with_binary=with_binary, **HANDLERS[name][1])
        for name in names
    }


def binary_handlers(names: list[str]) -> dict:
    """The mean over the pictures, and of all pictures' pixels together."""
    out = {}
    for name in names:
        handler, options = HANDLERS[name]
        for prefix, sample_based in (("sample_", True), ("overall_", False)):
            out[prefix + name] = handler(
                with_adaptive=False, with_dynamic=False, with_binary=True, sample_based=sample_based, **options
            )
    return out


def summary(result: dict) -> Value:
    """adp, mean, max of the curve, bin; the number alone where there is only bin."""
    out = {}
    if "adaptive" in result:
        out["adp"] = float(result["adaptive"])
    if "dynamic" in result:
        # Size-invariant: of each picture [targets,256], every target's mean and maximum count alike. Else one curve.
        pictures = result["dynamic"] if isinstance(result["dynamic"], list) else [result["dynamic"]]
        curves = [np.atleast_2d(c) for c in pictures]
        out["mean"] = float(np.mean([c.mean() for c in curves]))
        out["max"] = float(np.mean([c.max(axis=1).mean() for c in curves]))
    if "binary" in result:
        out["bin"] = float(result["binary"])
    return out["bin"] if list(out) == ["bin"] else out


def emeasure_values(metric: sod.Emeasure) -> dict[str, float]:
    result = metric.get_results()["em"]
    curve = result["curve"]
    return {"E_adp": float(result["adp"]), "E_mean": float(curve.mean()), "E_max": float(curve.max())}


def single(key: str, result_key: str) -> Callable[[object], dict[str, float]]:
    return lambda metric: {key: float(metric.get_results()[result_key])}


def metrics(handlers: dict) -> dict[str, tuple[object, Callable[[object], dict[str, Value]]]]:
    """Our key, a metric of the reference, and how its results are written."""
    return {
        "S": (sod.Smeasure(), single("S", "sm")),
        "E": (sod.Emeasure(), emeasure_values),
        "wF": (sod.WeightedFmeasure(), single("wF", "wfm")),
        "MAE": (sod.MAE(), single("MAE", "mae")),
        "F": (sod.FmeasureV2(metric_handlers=handlers), lambda m: {n: summary(r) for n, r in m.get_results().items()}),
        "HCE": (sod.HumanCorrectionEffortMeasure(), single("HCE", "hce")),
        "MSIoU": (
            sod.MSIoU(with_adaptive=True, with_dynamic=True, with_binary=True),
            lambda m: {"MSIoU": summary(m.get_results())},
        ),
        "CM": (sod.ContextMeasure(), single("CM", "cm")),
        "SIMAE": (sod.SizeInvarianceMAE(), single("SIMAE", "si_mae")),
    }


def score(pairs: list[tuple[np.ndarray, np.ndarray]], handlers: dict) -> tuple[dict[str, Value], dict[str, float]]:
    """Values of a data set (prediction, truth: [H,W] uint8), and the seconds each metric took."""
    values: dict[str, Value] = {}
    seconds: dict[str, float] = {}
    for key, (metric, write) in metrics(handlers).items():
        start = time.perf_counter()
        try:
            for prediction, truth in pairs:
                metric.step(prediction, truth)
            values.update(write(metric))
        except Exception as error:  # noqa: BLE001, whatever the reference raises is its value
            values[key] = raised(error)
        seconds[key] = time.perf_counter() - start
    return values, seconds


def read_pairs(predictions: Path, truths: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    by_stem = {file.stem: file for file in predictions.iterdir()}
    for file in sorted(truths.iterdir(), key=lambda f: f.stem):
        if file.stem not in by_stem:
            continue
        truth = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        prediction = cv2.imread(str(by_stem[file.stem]), cv2.IMREAD_GRAYSCALE)
        if prediction.shape != truth.shape:
            prediction = cv2.resize(prediction, truth.shape[::-1], interpolation=cv2.INTER_LINEAR)
        yield file.name, prediction, truth


def data_set(predictions: Path, truths: Path) -> dict:
    named = list(read_pairs(predictions, truths))
    pairs = [(prediction, truth) for _, prediction, truth in named]
    names = list(HANDLERS)
    handlers = {**curve_handlers(names, with_binary=False), **binary_handlers(names)}
    values, seconds = score(pairs, handlers)
    values["CCM"] = "not computed: RuntimeError('needs the image')"
    per_image = []
    for name, prediction, truth in named:
        of_one, _ = score([(prediction, truth)], curve_handlers(["fm"], with_binary=False))
        kept = ("S", "wF", "MAE", "E_adp", "E_mean", "E_max")
        per_image.append({"name": name, **{key: of_one[key] for key in kept}})
    return {"count": len(pairs), "dataset": number_or_text(values), "per_image": per_image, "seconds": seconds}


def edge_maps() -> dict[str, np.ndarray]:
    """16x16 maps: all background or foreground, a box, a ramp, a constant, a piece of the last row."""
    box, last_row = np.zeros((16, 16), np.uint8), np.zeros((16, 16), np.uint8)
    box[4:12, 4:12] = last_row[15, 4:12] = 255
    return {
        "gt0": np.zeros((16, 16), np.uint8),
        "gt1": np.full((16, 16), 255, np.uint8),
        "gtbox": box,
        "gt_lastrow": last_row,
        "pred0": np.zeros((16, 16), np.uint8),
        "pred255": np.full((16, 16), 255, np.uint8),
        "ramp": np.arange(256, dtype=np.uint8).reshape(16, 16),
        "const128": np.full((16, 16), 128, np.uint8),
    }


EDGE_CASES = {
    "gt0": ("pred0", "pred255", "ramp"),
    "gt1": ("pred255", "pred0", "ramp"),
    "gtbox": ("pred0", "perfect", "const128", "ramp"),
    "gt_lastrow": ("perfect",),
}


def number_or_text(value: Value) -> Value:
    """JSON has no NaN: it is written as the text nan."""
    if isinstance(value, dict):
        return {key: number_or_text(inner) for key, inner in value.items()}
    return "nan" if isinstance(value, float) and math.isnan(value) else value


def edge_cases() -> dict:
    maps = edge_maps()
    cases = {}
    for truth, predictions in EDGE_CASES.items():
        for prediction in predictions:
            pair = (maps[truth if prediction == "perfect" else prediction], maps[truth])
            handlers = curve_handlers(["fm", "iou", "dice", "ber"], with_binary=True)
            values, _ = score([pair], handlers)
            cases[f"{truth}_{prediction}"] = number_or_text(values)
    return cases


def read_maps(stem: Path) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Prediction [H,W], truth [H,W], picture [H,W,3] of each case; the format stands in tests/metrics/maps.h."""
    data = stem.with_suffix(".bin").read_bytes()
    at = 4
    for _ in range(int.from_bytes(data[:4], "little")):
        width, height = (int.from_bytes(data[at + i : at + i + 4], "little") for i in (0, 4))
        at += 8
        planes = []
        for channels in (1, 1, 3):
            count = width * height * channels
            shape = (height, width) if channels == 1 else (height, width, 3)
            planes.append(np.frombuffer(data, np.uint8, count, at).reshape(shape))
            at += count
        yield tuple(planes)


def random_maps(stem: Path) -> list[dict]:
    """Of each map what the file beside it lists; its kind, width and height are taken over."""
    out = []
    for (prediction, truth, picture), old in zip(read_maps(stem), json.loads(stem.with_suffix(".json").read_text())):
        names = list(HANDLERS)
        handlers = {**curve_handlers(names, with_binary=False), **binary_handlers(names)}
        values, _ = score([(prediction, truth)], handlers)
        values |= size_invariant(prediction, truth)
        try:
            camouflage = sod.CamouflageContextMeasure()
            camouflage.step(prediction, truth, img=picture)
            values["CCM"] = float(camouflage.get_results()["ccm"])
        except Exception as error:  # noqa: BLE001
            values["CCM"] = raised(error)
        values |= {key: old[key] for key in ("kind", "w", "h")}
        out.append(number_or_text(values))
    return out


def size_invariant(prediction: np.ndarray, truth: np.ndarray) -> dict[str, Value]:
    names = {"fm": 0.3, "f1": 1}
    handlers = {}
    for prefix, sample_based in (("SI_sample_", True), ("SI_overall_", False)):
        for name, beta in names.items():
            handlers[prefix + name] = sod.FmeasureHandler(
                with_adaptive=True, with_dynamic=True, with_binary=True, sample_based=sample_based, beta=beta
            )
    metric = sod.SizeInvarianceFmeasureV2(metric_handlers=handlers)
    try:
        metric.step(prediction, truth)
        return {name: summary(result) for name, result in metric.get_results().items()} | {"SI": None}
    except Exception as error:  # noqa: BLE001
        return {"SI": raised(error)}


NOTE = (
    "16x16 maps. gt0/gt1 = all background/foreground; box = rows and columns 4..11; ramp[r][c]=16r+c; const128 = all "
    "128; lastrow = last row, columns 4..11. pred = 0, 255, ramp, box (perfect) or 128. Values by PySODMetrics 1.6.2; "
    "EXC = it raises there."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--set", dest="sets", nargs=3, action="append", default=[], metavar=("NAME", "PRED", "GT"))
    parser.add_argument("--edge-cases", action="store_true", help="values of the 16x16 maps that edge_maps() makes")
    parser.add_argument("--maps", type=Path, help="NAME of NAME.bin and NAME.json, whose values are computed again")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    args.out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    if args.sets:
        sets = {name: data_set(Path(predictions), Path(truths)) for name, predictions, truths in args.sets}
        (args.out / "expected.json").write_text(json.dumps(sets, indent=1))
    if args.edge_cases:
        (args.out / "edge_cases.json").write_text(json.dumps({"note": NOTE, "cases": edge_cases()}, indent=1))
    if args.maps:
        (args.out / f"{args.maps.name}.json").write_text(json.dumps(random_maps(args.maps)))


if __name__ == "__main__":
    main()
