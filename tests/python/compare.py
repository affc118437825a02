"""py_sod_metrics 1.6.2 and sam2unet.metrics side by side: every class, random and edge pairs, both `normalize` values,
results, states, types and errors. Needs both installed. Exit code 1 if anything differs.

  python compare.py [--pairs 300] [--seed 0]
"""
import argparse
import sys
import warnings

import numpy as np
import py_sod_metrics as theirs

from sam2unet import metrics as ours

BOTH = dict(with_dynamic=True, with_adaptive=True, with_binary=True)
OVERALL = dict(with_dynamic=True, with_adaptive=False, with_binary=True, sample_based=False)
HANDLERS = ("FPR", "IOU", "BER", "DICE", "Kappa", "Precision", "Recall", "OverallAccuracy", "Specificity", "Sensitivity",
            "TNR", "TPR", "Fmeasure")


def custom(module):
    class Markedness(module.fmeasurev2._BaseHandler):
        def __call__(self, tp, fp, tn, fn):
            return self.divide(tp, tp + fp) + self.divide(tn, tn + fn) - 1

    return Markedness


def handlers(module):
    out = {name: getattr(module, name + "Handler")(**BOTH) for name in HANDLERS}
    out["f1"] = module.FmeasureHandler(**BOTH, beta=1)
    out["custom"] = custom(module)(**BOTH)
    for name in ("IOU", "Fmeasure", "Kappa"):
        out["overall " + name] = getattr(module, name + "Handler")(**OVERALL)
    return out


CLASSES = {
    "MAE": lambda m: m.MAE(),
    "Smeasure": lambda m: m.Smeasure(),
    "Smeasure(0.7)": lambda m: m.Smeasure(alpha=0.7),
    "Emeasure": lambda m: m.Emeasure(),
    "Fmeasure": lambda m: m.Fmeasure(),
    "WeightedFmeasure": lambda m: m.WeightedFmeasure(),
    "WeightedFmeasure(0.3)": lambda m: m.WeightedFmeasure(beta=0.3),
    "HCE": lambda m: m.HumanCorrectionEffortMeasure(),
    "HCE(2, 1.0)": lambda m: m.HumanCorrectionEffortMeasure(relax=2, epsilon=1.0),
    "FmeasureV2": lambda m: m.FmeasureV2(handlers(m)),
    "MSIoU": lambda m: m.MSIoU(True, True, with_binary=True),
    "MSIoU(5)": lambda m: m.MSIoU(False, True, with_binary=True, num_levels=5),
    "SI FmeasureV2": lambda m: m.SizeInvarianceFmeasureV2(handlers(m)),
    "SI MAE": lambda m: m.SizeInvarianceMAE(),
    "Context": lambda m: m.ContextMeasure(),
    "Context(2, 4)": lambda m: m.ContextMeasure(beta2=2, alpha=4),
    "Camouflage": lambda m: m.CamouflageContextMeasure(),
}


def smooth(rng, h, w, cells):
    """Noise on a grid of cells, blown up without interpolation or with."""
    grid = rng.random((cells + 1, cells + 1))
    y, x = np.linspace(0, cells, h), np.linspace(0, cells, w)
    y0, x0 = np.minimum(y.astype(int), cells - 1), np.minimum(x.astype(int), cells - 1)
    fy, fx = (y - y0)[:, None], (x - x0)[None]
    a, b = grid[y0][:, x0], grid[y0][:, x0 + 1]
    c, d = grid[y0 + 1][:, x0], grid[y0 + 1][:, x0 + 1]
    return (a * (1 - fx) + b * fx) * (1 - fy) + (c * (1 - fx) + d * fx) * fy


def edge_pairs():
    zero, full = np.zeros((16, 16), np.uint8), np.full((16, 16), 255, np.uint8)
    box, row, spot, line = zero.copy(), zero.copy(), zero.copy(), zero.copy()
    box[4:12, 4:12] = 255
    row[-1, 4:12] = 255
    spot[7, 9] = 255
    line[5, 2:14] = 255
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for gt in (zero, full, box, row, spot, line, row.T.copy()):
        for pred in (zero, full, ramp, box, np.full((16, 16), 128, np.uint8), 255 - box, np.full((16, 16), 200, np.uint8)):
            yield np.ascontiguousarray(pred), np.ascontiguousarray(gt)
    for shape in ((1, 1), (1, 9), (9, 1), (2, 2), (3, 40), (7, 7)):
        gt = np.zeros(shape, np.uint8)
        gt.flat[gt.size // 2] = 255
        yield np.linspace(0, 255, gt.size).astype(np.uint8).reshape(shape), gt


def random_pairs(rng):
    while True:
        h, w = rng.integers(8, 140, 2)
        if rng.random() < 0.05:
            h, w = rng.integers(200, 420, 2)
        depth = smooth(rng, h, w, int(rng.integers(1, 9))) - rng.uniform(0.3, 0.7)
        gt = ((depth > 0) * 255).astype(np.uint8)
        if rng.random() < 0.2:  # levels between
            gt = np.clip(128 + depth * 2000, 0, 255).astype(np.uint8)
        pred = 1 / (1 + np.exp(-(depth + rng.normal(0, rng.uniform(0.01, 0.3)) + 0.3 * smooth(rng, h, w, 12) - 0.15) * 20))
        pred = (255 * pred).astype(np.uint8)
        kind = rng.integers(0, 8)
        if kind == 0:
            pred = (pred > 127).astype(np.uint8) * 255
        elif kind == 1:
            pred = rng.integers(0, 256, (h, w)).astype(np.uint8)
        elif kind == 2:
            pred = pred // 64 * 64
        elif kind == 3:
            pred = (pred // 4 + 90).astype(np.uint8)
        yield np.ascontiguousarray(pred), np.ascontiguousarray(gt)


def inputs_of(pred, gt, rng):
    """The same pair as it may be given: (arguments, keywords)."""
    yield "levels", (pred, gt), {}
    p, g = theirs.utils.prepare_data(pred, gt)
    if p.max() <= 1:
        yield "float64", (p, g), dict(normalize=False)
        noisy = np.clip(p + rng.normal(0, 0.01, p.shape), 0, 1)
        yield "float64 of many values", (noisy, g), dict(normalize=False)
        yield "float32", (noisy.astype(np.float32), g), dict(normalize=False)
    yield "float32 levels", ((pred * np.float32(0.993)).astype(np.float32), gt), {}
    yield "16 bits", (pred.astype(np.uint16) * 2, gt.astype(np.int32)), {}


class Difference(Exception):
    pass


# Where PySODMetrics' own value is rounding (docs/metrics.md): float32 sums of the context measure, the context measure of
# a truth on a line.
TOLERANCE = {"Context": 1e-9, "Camouflage": 1e-9}


def compare(a, b, at, tolerance):
    if isinstance(a, dict):
        if not isinstance(b, dict) or list(a) != list(b):
            raise Difference(f"{at}: keys {list(a)} and {list(b) if isinstance(b, dict) else b}")
        for key in a:
            compare(a[key], b[key], f"{at}[{key!r}]", tolerance)
        return
    if type(a) is not type(b):
        raise Difference(f"{at}: {type(a).__name__} and {type(b).__name__}")
    if isinstance(a, list):
        if len(a) != len(b):
            raise Difference(f"{at}: {len(a)} and {len(b)} entries")
        for i, (x, y) in enumerate(zip(a, b)):
            compare(x, y, f"{at}[{i}]", tolerance)
    elif isinstance(a, (np.ndarray, np.generic, int, float)) and not isinstance(a, bool):
        x, y = np.asarray(a), np.asarray(b)
        if x.dtype != y.dtype or x.shape != y.shape:
            raise Difference(f"{at}: {x.dtype}{x.shape} and {y.dtype}{y.shape}")
        x, y = x.astype(float), y.astype(float)
        wrong = ~((np.abs(x - y) <= tolerance * np.maximum(1, np.abs(x))) | (x == y) | (np.isnan(x) & np.isnan(y)))
        if wrong.any():
            where = np.unravel_index(wrong.argmax(), wrong.shape)
            raise Difference(f"{at}{where if where else ''}: {x[where]!r} and {y[where]!r}")


def state_of(metric):
    state = {k: v for k, v in vars(metric).items() if isinstance(v, (list, dict)) and k != "_metric_handlers"}
    for name, handler in getattr(metric, "_metric_handlers", {}).items():
        state[name] = {k: getattr(handler, k) for k in ("dynamic_results", "adaptive_results", "binary_results")
                       if getattr(handler, k) is not None}
    return state


def ran(metric, args, kwargs):
    try:
        metric.step(*args, **kwargs)
        return None
    except Exception as error:  # noqa: BLE001: its type is compared
        return error


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="names of classes that contain this")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(args.seed)
    pairs = list(edge_pairs())
    random = random_pairs(rng)
    while len(pairs) < args.pairs:
        pairs.append(next(random))
    names = [n for n in CLASSES if not args.only or args.only in n]
    compared, different, slow = 0, [], ("MSIoU",)
    for i, (pred, gt) in enumerate(pairs):
        img = rng.integers(0, 256, (*gt.shape, 3)).astype(np.uint8) // 3 + (pred // 3)[..., None]
        for kind, arguments, keywords in inputs_of(pred, gt, rng):
            for name in names:
                if name in slow and pred.size > 4000 and i % 6 != 0:
                    continue  # seconds each there
                a, b = CLASSES[name](theirs), CLASSES[name](ours)
                extra = dict(keywords, img=img) if name == "Camouflage" else keywords
                error_a, error_b = ran(a, arguments, extra), ran(b, arguments, extra)
                try:
                    if type(error_a) is not type(error_b):
                        raise Difference(f"raises {error_a!r} and {error_b!r}")
                    if error_a is None:
                        compare(state_of(a), state_of(b), "state", TOLERANCE.get(name, 1e-9))
                        compare(a.get_results(), b.get_results(), "result", TOLERANCE.get(name, 1e-9))
                    compared += 1
                except Difference as error:
                    different.append(f"pair {i} {pred.shape}, {kind}, {name}: {error}")
                    if len(different) <= 40:
                        print(different[-1], flush=True)
    print(f"numpy {np.__version__}: {len(pairs)} pairs, {compared} comparisons equal, {len(different)} not")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
