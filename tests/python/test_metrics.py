"""sam2unet.metrics with numpy alone: values of PySODMetrics 1.6.2 that the repository carries, states, errors, merging,
one pass, threads, fork. compare.py puts the two side by side where py_sod_metrics is installed."""
import json
import multiprocessing
import os
import pickle
import struct
import subprocess
import sys
import threading
import unittest
import warnings

import numpy as np

import sam2unet
from sam2unet import metrics as psm

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "metrics")


def random_maps():
    """(prediction, truth, picture, values) for each map of random.bin."""
    with open(os.path.join(DATA, "random.json"), encoding="utf-8") as file:
        expected = json.load(file)
    with open(os.path.join(DATA, "random.bin"), "rb") as file:
        data = file.read()
    (count,), at = struct.unpack_from("<I", data), 4
    for i in range(count):
        w, h = struct.unpack_from("<II", data, at)
        at += 8
        planes = []
        for shape in ((h, w), (h, w), (h, w, 3)):
            n = int(np.prod(shape))
            planes.append(np.frombuffer(data, np.uint8, n, at).reshape(shape))
            at += n
        yield (*planes, expected[i])


MAPS = list(random_maps())
PRED, GT = MAPS[0][:2]
SAMPLE = dict(with_dynamic=True, with_adaptive=True, with_binary=True)


def numbers(values, key):
    value = values.get(key)
    return value if isinstance(value, (int, float)) else None


def silent():
    catcher = warnings.catch_warnings()
    catcher.__enter__()
    warnings.simplefilter("ignore")
    return catcher


class Values(unittest.TestCase):
    def setUp(self):
        catcher = silent()
        self.addCleanup(catcher.__exit__, None, None, None)

    def test_what_py_sod_metrics_gives(self):
        compared = 0
        for pred, gt, img, expected in MAPS:
            v2 = psm.FmeasureV2({"fm": psm.FmeasureHandler(**SAMPLE), "f1": psm.FmeasureHandler(**SAMPLE, beta=1),
                                 "pre": psm.PrecisionHandler(**SAMPLE), "rec": psm.RecallHandler(**SAMPLE),
                                 "fpr": psm.FPRHandler(**SAMPLE), "iou": psm.IOUHandler(**SAMPLE),
                                 "dice": psm.DICEHandler(**SAMPLE), "spec": psm.SpecificityHandler(**SAMPLE),
                                 "ber": psm.BERHandler(**SAMPLE), "oa": psm.OverallAccuracyHandler(**SAMPLE),
                                 "kappa": psm.KappaHandler(**SAMPLE)})
            found = {}
            for key, metric, name in (("S", psm.Smeasure(), "sm"), ("wF", psm.WeightedFmeasure(), "wfm"),
                                      ("MAE", psm.MAE(), "mae"), ("HCE", psm.HumanCorrectionEffortMeasure(), "hce"),
                                      ("CM", psm.ContextMeasure(), "cm")):
                metric.step(pred, gt)
                found[key] = metric.get_results()[name]
            em = psm.Emeasure()
            em.step(pred, gt)
            found["E_adp"], curve = em.get_results()["em"].values()
            found["E_mean"], found["E_max"] = curve.mean(), curve.max()
            if min(gt.shape) > 4:
                ccm = psm.CamouflageContextMeasure()
                ccm.step(pred, gt, img=img)
                found["CCM"] = ccm.get_results()["ccm"]
            for key, value in found.items():
                if numbers(expected, key) is not None:
                    self.assertAlmostEqual(value, expected[key], delta=1e-9, msg=key)
                    compared += 1
            v2.step(pred, gt)
            for key, result in v2.get_results().items():
                for ours, theirs in ((result["adaptive"], "adp"), (result["dynamic"].mean(), "mean"),
                                     (result["dynamic"].max(), "max")):
                    self.assertAlmostEqual(ours, expected[key][theirs], delta=1e-9, msg=key)
                    compared += 1
                self.assertAlmostEqual(result["binary"], expected["sample_" + key], delta=1e-9, msg=key)
        self.assertGreater(compared, 35 * len(MAPS))

    def test_one_pass_is_the_classes(self):
        result = psm.evaluate([m[:3] for m in MAPS], metrics="all", threads=2)
        sm, mae, v2 = psm.Smeasure(), psm.MAE(), psm.FmeasureV2({"fm": psm.FmeasureHandler(True, False)})
        for pred, gt, *_ in MAPS:
            for metric in (sm, mae, v2):
                metric.step(pred, gt)
        fm = v2.get_results()["fm"]["dynamic"]
        self.assertAlmostEqual(result["MAE"], mae.get_results()["mae"], delta=1e-12)
        self.assertAlmostEqual(result["fm.max"], fm.max(), delta=1e-12)
        self.assertAlmostEqual(result["fm.mean"], fm.mean(), delta=1e-12)
        self.assertEqual(len(result.images), len(MAPS))
        for image, value in zip(result.images, sm.sms):
            if value == value:
                self.assertAlmostEqual(image["S"], value, delta=1e-12)

    def test_floats_of_levels_are_the_levels(self):
        """normalize=False with the prepared maps must give what normalize=True gives of the levels."""
        for pred, gt, img, _ in MAPS:
            values, truth = psm.utils.prepare_data(pred, gt)
            for make in (psm.MAE, psm.Smeasure, psm.WeightedFmeasure, psm.Emeasure, psm.HumanCorrectionEffortMeasure,
                         psm.ContextMeasure, lambda: psm.MSIoU(True, True, with_binary=True),
                         lambda: psm.FmeasureV2({"iou": psm.IOUHandler(**SAMPLE)}), psm.SizeInvarianceMAE,
                         lambda: psm.SizeInvarianceFmeasureV2({"iou": psm.IOUHandler(**SAMPLE)})):
                results = []
                for args in ((pred, gt), (values, truth, False)):
                    metric = make()
                    try:
                        metric.step(*args)
                    except (AssertionError, OverflowError) as error:
                        results.append(type(error))
                        continue
                    results.append(metric.get_results())
                self.check_equal(*results)

    def check_equal(self, a, b):
        if isinstance(a, dict):
            self.assertEqual(a.keys(), b.keys())
            for key in a:
                self.check_equal(a[key], b[key])
        elif isinstance(a, type):
            self.assertIs(a, b)
        else:
            np.testing.assert_allclose(np.array(a, float), np.array(b, float), rtol=0, atol=1e-9)


class States(unittest.TestCase):
    def test_types(self):
        mae, em, hce = psm.MAE(), psm.Emeasure(), psm.HumanCorrectionEffortMeasure()
        v2 = psm.FmeasureV2({"fm": psm.FmeasureHandler(**SAMPLE), "ber": psm.BERHandler(**SAMPLE),
                             "all": psm.IOUHandler(False, False, with_binary=True, sample_based=False)})
        ms = psm.MSIoU(True, True, with_binary=True)
        for metric in (mae, em, hce, v2, ms):
            metric.step(PRED, GT)
        self.assertIs(type(mae.maes[-1]), np.float64)
        self.assertIs(type(mae.get_results()["mae"]), np.float64)
        self.assertEqual((em.changeable_ems[-1].shape, em.changeable_ems[-1].dtype), ((256,), np.float64))
        self.assertIs(type(hce.hces[-1]), np.int64)
        handlers = v2._metric_handlers
        self.assertEqual((type(handlers["fm"].adaptive_results[-1]), handlers["fm"].adaptive_results[-1].shape),
                         (np.ndarray, ()))
        self.assertIs(type(handlers["ber"].adaptive_results[-1]), np.float64)
        self.assertEqual({type(v) for v in handlers["all"].binary_results.values()}, {int})
        self.assertEqual((type(ms.dynamic_results[-1]), len(ms.dynamic_results[-1])), (list, 257))

    def test_float32_stays_float32(self):
        rng = np.random.default_rng(0)
        pred, gt = rng.random((80, 90), np.float32), rng.random((80, 90)) > 0.7
        mae, sm = psm.MAE(), psm.Smeasure()
        for metric in (mae, sm):
            metric.step(pred, gt, normalize=False)
        self.assertIs(type(mae.maes[-1]), np.float32)
        self.assertEqual(mae.maes[-1], np.mean(np.abs(pred - gt)))

    def test_custom_handlers_get_counts(self):
        seen = []

        class Mine(psm.fmeasurev2._BaseHandler):
            def __call__(self, tp, fp, tn, fn):
                seen.append((tp, fp, tn, fn))
                return self.divide(tp, tp + fn)

        v2 = psm.FmeasureV2()
        v2.add_handler("mine", Mine(True, True, with_binary=True))
        v2.add_handler("rec", psm.RecallHandler(True, True, with_binary=True))
        v2.step(PRED, GT)
        self.assertEqual([type(counts[0]) for counts in seen], [np.ndarray, int, int])
        self.assertEqual((seen[0][0].dtype, seen[0][0].shape), (np.int64, (256,)))
        results = v2.get_results()
        for key in ("dynamic", "adaptive", "binary"):
            np.testing.assert_array_equal(results["mine"][key], results["rec"][key])

    def test_a_subclass_is_called(self):
        class Half(psm.MAE):
            def cal_mae(self, pred, gt):
                return super().cal_mae(pred, gt) / 2

        whole, half = psm.MAE(), Half()
        for metric in (whole, half):
            metric.step(PRED, GT)
        self.assertAlmostEqual(half.get_results()["mae"], whole.get_results()["mae"] / 2, delta=1e-15)

    def test_empty_state_is_nan_with_a_warning(self):
        with self.assertWarns(RuntimeWarning):
            self.assertTrue(np.isnan(psm.MAE().get_results()["mae"]))
        with self.assertWarns(UserWarning):
            psm.Fmeasure()

    def test_strides_do_not_matter(self):
        wide = np.zeros((PRED.shape[0], 2 * PRED.shape[1]), np.uint8)
        wide[:, ::2] = PRED
        upside = PRED[::-1].copy()[::-1]
        reference = psm.Smeasure()
        reference.step(PRED, GT)
        for pred in (wide[:, ::2], upside, np.asfortranarray(PRED)):
            metric = psm.Smeasure()
            metric.step(pred, GT)
            self.assertEqual(metric.sms, reference.sms)


class Errors(unittest.TestCase):
    def test_as_in_py_sod_metrics(self):
        for metric in (psm.MAE(), psm.Smeasure(), psm.Emeasure(), psm.WeightedFmeasure()):
            with self.assertRaisesRegex(ValueError, "Shape mismatch"):
                metric.step(PRED, GT[1:])
            with self.assertRaisesRegex(TypeError, "float32 or float64, got uint8"):
                metric.step(PRED, GT, normalize=False)
            with self.assertRaisesRegex(TypeError, "must be boolean, got uint8"):
                metric.step(PRED / 255, GT, normalize=False)
            with self.assertRaisesRegex(ValueError, "range"):
                metric.step(PRED / 254 + 1, GT > 128, normalize=False)
            with self.assertRaises(ValueError):
                metric.step(np.full(GT.shape, np.nan), GT > 128, normalize=False)
        with self.assertRaisesRegex(ValueError, "add your metric handler"):
            psm.FmeasureV2().step(PRED, GT)
        full = np.full((9, 9), 255, np.uint8)
        with self.assertRaises(AssertionError):
            psm.SizeInvarianceMAE().step(full, full)

    def test_strict_refuses_what_would_pass_silently(self):
        ones = (GT > 128).astype(np.uint8)
        psm.MAE().step(PRED, ones)  # counts as empty, as in py_sod_metrics
        with self.assertRaisesRegex(ValueError, "no level above 128"):
            psm.MAE(strict=True).step(PRED, ones)
        with self.assertRaisesRegex(ValueError, "pair 1: .*no level above 128"):
            psm.evaluate([(PRED, GT), (PRED, ones)], strict=True, threads=2)
        with self.assertRaisesRegex(ValueError, "no numbers"):
            psm.Smeasure(strict=True).step(np.full(GT.shape, np.nan), GT)

    def test_evaluate_tells_which_pair(self):
        with self.assertRaisesRegex(TypeError, "pair 0: the prediction must be uint8, got float64"):
            psm.evaluate([(PRED / 255, GT)])
        with self.assertRaisesRegex(ValueError, "pair 1: .*differ in size"):
            psm.evaluate([(PRED, GT), (PRED[1:], GT)])
        with self.assertRaisesRegex(ValueError, "there is no metric 'Z'"):
            psm.evaluate([], metrics="Z")
        with self.assertRaisesRegex(ValueError, "threads is 0"):
            psm.evaluate([], threads=0)

    def test_a_record_is_checked(self):
        from sam2unet import _native

        scores = _native.Scorer(0).score(PRED, GT, None)
        make, (data,) = scores.__reduce__()
        np.testing.assert_array_equal(make(data).values(), scores.values())
        for wrong in (b"", data[:-1], b"x" + data[1:], data[:20] + b"\xff" * (len(data) - 20)):
            with self.assertRaises(sam2unet.Error):
                make(wrong)


class Together(unittest.TestCase):
    def test_merge_is_one_run(self):
        makers = (psm.MAE, psm.Smeasure, psm.Emeasure, lambda: psm.MSIoU(True, False),
                  lambda: psm.FmeasureV2({"a": psm.IOUHandler(**SAMPLE),
                                          "b": psm.IOUHandler(False, False, with_binary=True, sample_based=False)}))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for make in makers:
                whole, parts = make(), [make(), make()]
                for i, (pred, gt, *_) in enumerate(MAPS[:8]):
                    whole.step(pred, gt)
                    parts[0 if i < 5 else 1].step(pred, gt)
                merged = psm.merge(pickle.loads(pickle.dumps(parts)))
                np.testing.assert_equal(merged.get_results(), whole.get_results())
        with self.assertRaises(TypeError):
            psm.MAE().merge(psm.Smeasure())

    def test_merge_of_evaluations(self):
        pairs = [m[:2] for m in MAPS]
        whole = psm.evaluate(pairs, bootstrap=50, seed=3)
        parts = [psm.evaluate(pairs[:7], bootstrap=50, seed=3), psm.evaluate(pairs[7:], bootstrap=50, seed=3)]
        merged = psm.merge(pickle.loads(pickle.dumps(parts)))
        np.testing.assert_equal(dict(merged), dict(whole))
        np.testing.assert_equal(merged.intervals, whole.intervals)
        self.assertEqual(parts[0].count, 7)  # merge() leaves its parts alone
        low, high = whole.intervals["MAE"]
        self.assertTrue(low <= whole["MAE"] <= high)

    def test_threads_give_the_same(self):
        pairs = [m[:2] for m in MAPS] * 3
        one = psm.evaluate(pairs, threads=1)
        np.testing.assert_equal(dict(psm.evaluate((lambda p=p: p for p in pairs), threads=4)), dict(one))
        results = [None] * 4

        def work(k):
            metric = psm.WeightedFmeasure()
            for pred, gt in pairs:
                metric.step(pred, gt)
            results[k] = metric.get_results()["wfm"]

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(set(results)), 1)
        self.assertAlmostEqual(results[0], one["wF"], delta=1e-12)

    def test_after_a_fork(self):
        pairs = [m[:2] for m in MAPS]
        expected = psm.evaluate(pairs, threads=2, bootstrap=20)  # the parent has used threads
        context = multiprocessing.get_context("fork")
        with context.Pool(2) as pool:
            found = pool.map_async(_in_child, [pairs] * 4).get(timeout=120)
        for values, threads in found:
            self.assertEqual(threads, 1)
            np.testing.assert_equal(values, dict(expected))

    def test_the_command_line_of_python(self):
        code = "import sam2unet; print(sam2unet.__version__, sam2unet.metrics.MAE.__name__)"
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        self.assertRegex(out, r"^\d+\.\d+\.\d+ MAE\n$")


def _in_child(pairs):
    from sam2unet import _native

    return dict(psm.evaluate(pairs, bootstrap=20)), _native.default_threads()


if __name__ == "__main__":
    unittest.main()
