"""PySODMetrics' own examples/test_metrics.py, unchanged, on py_sod_metrics and on sam2unet.metrics: run_examples.py FOLDER.

The results that it collects must be the same to 1e-9; how many of its own tests pass is printed for both (they ask for
equality to the last bit with values of an older version)."""
import contextlib
import importlib.util
import io
import os
import sys
import unittest
import warnings

import numpy as np


def results_of(folder, module):
    """What the script collects, and how many of its tests fail, with `module` as py_sod_metrics."""
    sys.modules["py_sod_metrics"] = module
    spec = importlib.util.spec_from_file_location("example", os.path.join(folder, "test_metrics.py"))
    example = importlib.util.module_from_spec(spec)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec.loader.exec_module(example)
        suite = unittest.defaultTestLoader.loadTestsFromModule(example)
        outcome = unittest.TextTestRunner(stream=io.StringIO()).run(suite)
    case = example.CheckMetricTestCase
    return case.curr_results, {str(t[0]).split()[0] for t in outcome.failures + outcome.errors}, outcome.testsRun


def main():
    folder = os.path.abspath(sys.argv[1])
    os.chdir(folder)
    import py_sod_metrics

    from sam2unet import metrics

    theirs, failed_theirs, run = results_of(folder, py_sod_metrics)
    ours, failed_ours, _ = results_of(folder, metrics)
    assert list(theirs) == list(ours), "other keys"
    worst = max((abs(float(theirs[k]) - float(ours[k])), k) for k in theirs)
    print(f"{len(theirs)} results, the largest difference {worst[0]:.1e} ({worst[1]}); of {run} tests to the last bit fail "
          f"{len(failed_theirs)} with py_sod_metrics, {len(failed_ours)} with ours: {sorted(failed_ours)}")
    sys.exit(0 if worst[0] <= 1e-9 and all(np.isfinite(float(v)) for v in ours.values()) else 1)


if __name__ == "__main__":
    main()
