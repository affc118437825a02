"""sam2unet.Segmenter and its neighbours with numpy alone: what is taken, what is given, errors, pickling, threads, fork,
weights as arrays. Weights are made of the default model's, so nothing else is needed."""
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import warnings
from unittest import mock

import numpy as np

import sam2unet

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
CAT = os.path.join(ROOT, "samples", "cat.jpg")
MODEL = os.path.join(ROOT, "models", "sam2unet_t_duts_int8.safetensors")
SMALL = 64

try:
    from PIL import Image
except ImportError:
    Image = None


def picture(height=30, width=41, channels=3):
    values = np.arange(height * width * channels, dtype=np.uint64) * 37 // 11 % 256
    return values.astype(np.uint8).reshape((height, width, channels) if channels > 1 else (height, width))


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.one = sam2unet.Segmenter(MODEL, threads=1)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)


class Pictures(Case):
    def test_every_kind_of_picture_is_the_same_one(self):
        with open(CAT, "rb") as file:
            data = file.read()
        expected = self.one(CAT, size=SMALL)
        self.assertEqual(expected.map.shape, (300, 451))
        self.assertEqual(expected.map.dtype, np.float32)
        self.assertTrue(0 <= expected.map.min() and expected.map.max() <= 1)
        for same in (data, bytearray(data), memoryview(data)):
            np.testing.assert_array_equal(self.one(same, size=SMALL).map, expected.map)
        if Image is None:
            self.skipTest("no PIL here")
        image = Image.open(CAT)
        for same in (image, np.asarray(image), image.convert("RGBA")):
            np.testing.assert_array_equal(self.one(same, size=SMALL).map, expected.map)
        for mode in ("1", "P", "CMYK", "LA", "I", "F"):
            np.testing.assert_array_equal(self.one(image.convert(mode), size=SMALL).map,
                                          self.one(image.convert(mode).convert("RGB"), size=SMALL).map)

    def test_strides_do_not_matter(self):
        a = picture(60, 80)
        big = np.zeros((120, 300, 4), np.uint8)
        big[::2, 10:250:3, 1:] = a
        readonly = a.copy()
        readonly.flags.writeable = False
        expected = self.one(a, size=SMALL).map
        for same in (np.asfortranarray(a), big[::2, 10:250:3, 1:], a[::-1].copy()[::-1], a[:, ::-1].copy()[:, ::-1],
                     a[:, :, ::-1].copy()[:, :, ::-1], readonly, a.transpose(1, 0, 2).copy().transpose(1, 0, 2)):
            np.testing.assert_array_equal(self.one(same, size=SMALL).map, expected)
        gray = picture(60, 80, 1)
        np.testing.assert_array_equal(self.one(gray, size=SMALL).map, self.one(gray[:, :, None], size=SMALL).map)
        np.testing.assert_array_equal(self.one(gray, size=SMALL).map,
                                      self.one(np.repeat(gray[:, :, None], 3, axis=2), size=SMALL).map)
        self.assertEqual(self.one(picture(1, 1), size=SMALL).map.shape, (1, 1))

    def test_lists_of_any_sizes(self):
        pictures = [CAT, picture(), picture(50, 20, 1)]
        single = [self.one(p, size=SMALL) for p in pictures]
        for batch in (0, 2, 3):
            for one, many in zip(single, self.one(pictures, size=SMALL, batch=batch)):
                self.assertEqual(one.map.shape, many.map.shape)
                np.testing.assert_allclose(one.map, many.map, atol=1e-5)
        self.assertEqual(self.one([], size=SMALL), [])
        stack = np.stack([picture(), picture()[::-1]])
        self.assertEqual([r.map.shape for r in self.one(stack, size=SMALL)], [(30, 41)] * 2)

    def test_what_is_no_picture(self):
        for bad, error, word in ((np.zeros((4, 4)), TypeError, "uint8"), (np.zeros((3, 9, 9), np.uint8), ValueError, "last"),
                                 (np.zeros((0, 4, 3), np.uint8), ValueError, "no pixels"), (5, TypeError, "uint8"),
                                 (np.zeros((2, 2, 2, 2, 2), np.uint8), ValueError, "shape"), (None, TypeError, "uint8"),
                                 (b"no picture", sam2unet.ImageError, "format"), (b"", sam2unet.ImageError, ""),
                                 ("nowhere.jpg", sam2unet.FileError, "nowhere.jpg")):
            with self.assertRaisesRegex(error, word):
                self.one(bad)
            with self.assertRaisesRegex(error, word):
                self.one([picture(), bad])

    def test_options(self):
        r = self.one(picture(), size=(64, 96))
        self.assertEqual(r.logits.shape, (1, 64, 96))
        self.assertFalse(np.array_equal(self.one(picture(), size=64).map, self.one(picture(), size=64, fit="letterbox").map))
        official = self.one(picture(), size=64, official=True)
        self.assertTrue(official.official)
        self.assertAlmostEqual(float(official.map.max()), 1, delta=1e-4)
        self.assertEqual(float(official.map.min()), 0)
        for options, word in ((dict(size=33), "32"), (dict(fit="x"), "squash"), (dict(output="x"), "ids"), (dict(batch=-1), "batch"),
                              (dict(pillow=11), "12"), (dict(size=2**20), "from 32 to 8192")):
            with self.assertRaisesRegex(ValueError, word):
                self.one(picture(), **options)
        with self.assertRaises(ValueError):
            self.one(picture(), size=(64, 64, 3))


class Results(Case):
    def test_maps_masks_and_ids(self):
        r = self.one(CAT, size=SMALL)
        np.testing.assert_array_equal(r.maps[0], r.map)
        np.testing.assert_array_equal(r.mask(), r.map >= 0.5)
        self.assertEqual(r.mask().dtype, bool)
        edge = float(r.map[100, 100])
        self.assertTrue(r.mask(edge)[100, 100])
        self.assertFalse(r.mask(np.nextafter(edge, 2))[100, 100])  # of doubles, not of floats
        np.testing.assert_array_equal(r.ids, r.mask().astype(np.uint8))
        np.testing.assert_array_equal(r.confidence, np.maximum(r.map, 1 - r.map))
        ids = self.one(CAT, size=SMALL, output="ids")
        self.assertIsNone(ids.maps)
        np.testing.assert_array_equal(ids.ids, r.ids)
        np.testing.assert_array_equal(ids.confidence, r.confidence)
        for unknown in (lambda: ids.map, ids.mask, ids.gray, ids.polygons):
            with self.assertRaisesRegex(ValueError, "without probabilities"):
                unknown()

    def test_polygons_enclose_the_mask(self):
        mask = np.zeros((12, 14), np.uint8)
        mask[2:9, 3:12] = 1
        mask[4:6, 5:8] = 0
        mask[10:12, 0:2] = 1
        from sam2unet.segmenter import polygons

        found = polygons(mask)
        self.assertEqual([[len(ring) for ring in part] for part in found], [[4, 4], [4]])
        self.assertEqual(found[0][0].dtype, np.int32)

        def area(ring):
            x, y = ring[:, 0].astype(int), ring[:, 1].astype(int)
            return (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2

        self.assertEqual(sum(area(ring) for part in found for ring in part), mask.sum())
        self.assertEqual(polygons(np.zeros((3, 3))), [])
        with self.assertRaises(ValueError):
            polygons(mask, tolerance=-1)
        with self.assertRaises(ValueError):
            polygons(mask[None])

    def test_regions(self):
        r = self.one(CAT, size=SMALL)
        whole, = r.regions()
        self.assertEqual((whole.id, whole.area), (1, int(r.mask().sum())))
        parts = r.regions(instances=True)
        self.assertEqual(sum(p.area for p in parts), whole.area)
        self.assertAlmostEqual(whole.confidence, float(r.map[r.mask()].mean(dtype=np.float64)), places=5)
        x, y, w, h = whole.box
        inside = np.zeros_like(r.mask())
        inside[y:y + h, x:x + w] = True
        self.assertFalse((r.mask() & ~inside).any())
        none = sam2unet.Segmentation(np.zeros((1, 4, 5), np.float32), np.zeros((1, 2, 2), np.float32), 4, 5, False, ())
        self.assertEqual((none.regions()[0].box, none.regions()[0].area), (None, 0))

    def test_gray_is_what_the_program_writes(self):
        program = os.environ.get("SAM2UNET_PROGRAM")
        if not program or Image is None:
            self.skipTest("no program or no PIL here")
        for options, flags in ((dict(), []), (dict(official=True), ["--official"])):
            command = [program, "predict", CAT, "-o", self.folder.name, "--weights", MODEL, "--size", str(SMALL), *flags]
            subprocess.run(command, check=True, capture_output=True)
            written = np.asarray(Image.open(self.path("cat.png")))
            np.testing.assert_array_equal(self.one(CAT, size=SMALL, **options).gray(), written)
            os.remove(self.path("cat.png"))

    def test_pickled(self):
        r = self.one(CAT, size=SMALL)
        again = pickle.loads(pickle.dumps(r))
        np.testing.assert_array_equal(again.map, r.map)
        self.assertEqual(again.regions()[0].area, r.regions()[0].area)


class Classes(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        full = os.path.join(cls.folder.name, "f32.safetensors")
        sam2unet.weights.convert(MODEL, full, precision="f32")
        tensors = sam2unet.weights.load(full)
        rng = np.random.default_rng(5)
        for name in ("head", "side1", "side2"):
            weight = np.repeat(tensors[f"{name}.weight"], 3, axis=0)
            tensors[f"{name}.weight"] = weight + rng.normal(0, 0.3, weight.shape).astype(np.float32)
            tensors[f"{name}.bias"] = np.repeat(tensors[f"{name}.bias"], 3)
        cls.file = os.path.join(cls.folder.name, "three.safetensors")
        table = ('{"classes": [{"id": 0, "name": "background", "color": "#000000"}, {"id": 1, "name": "Straße", '
                 '"color": "#804080"}, {"id": 2, "name": "sky", "color": "#4682b4"}], "ignore": 255, "ignore_color": "#e0e0c0"}')
        sam2unet.weights.save(cls.file, tensors, {"classes": table, "input_size": "64"})
        cls.three = sam2unet.Segmenter(cls.file, threads=1)

    def test_names_colours_and_maps(self):
        s = self.three
        self.assertEqual((s.channels, s.size, s.variant, s.device, s.precision), (3, (64, 64), "t", "cpu", "f32"))
        self.assertEqual([(c.id, c.name, c.color) for c in s.classes],
                         [(0, "background", (0, 0, 0)), (1, "Straße", (128, 64, 128)), (2, "sky", (70, 130, 180))])
        r = s(CAT)
        self.assertEqual(r.maps.shape, (3, 300, 451))
        np.testing.assert_allclose(r.maps.sum(0), 1, atol=1e-5)
        np.testing.assert_array_equal(r.ids, r.maps.argmax(0))
        np.testing.assert_array_equal(r.confidence, r.maps.max(0))
        ids = s(CAT, output="ids")
        np.testing.assert_array_equal(ids.ids, r.ids)
        np.testing.assert_array_equal(ids.confidence, r.confidence)
        self.assertEqual([region.area for region in r.regions()], [int((r.ids == i).sum()) for i in (1, 2)])
        np.testing.assert_array_equal(r.mask(0.3, 2), r.maps[2] >= 0.3)
        with self.assertRaisesRegex(ValueError, "maps"):
            r.map
        with self.assertRaisesRegex(ValueError, "one foreground"):
            s(CAT, official=True)

    def test_pickled_with_classes(self):
        again = pickle.loads(pickle.dumps(self.three))
        self.assertEqual(again.classes, self.three.classes)
        np.testing.assert_array_equal(again(CAT).maps, self.three(CAT).maps)


class Together(Case):
    def test_pickled_of_bytes_and_options(self):
        with open(MODEL, "rb") as file:
            s = sam2unet.Segmenter(file.read(), threads=1, precision="f32")
        again = pickle.loads(pickle.dumps(s))
        self.assertEqual(again._arguments, s._arguments)
        np.testing.assert_array_equal(again(picture(), size=SMALL).map, self.one(picture(), size=SMALL).map)

    def test_threads_at_once(self):
        expected = self.one(picture(), size=SMALL).map
        found = []
        threads = [threading.Thread(target=lambda: found.append(self.one(picture(), size=SMALL).map)) for _ in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(len(found), 6)
        for map_ in found:
            np.testing.assert_array_equal(map_, expected)

    def test_other_threads_of_python_run_meanwhile(self):
        ticks, stop = [0], threading.Event()

        def tick():
            while not stop.is_set():
                ticks[0] += 1
                time.sleep(0)

        thread = threading.Thread(target=tick)
        before = sys.getswitchinterval()
        sys.setswitchinterval(100)  # nobody is made to give the interpreter up
        try:
            thread.start()
            start = ticks[0]
            self.one([picture()] * 8, size=256)
            self.assertGreater(ticks[0] - start, 100)
        finally:
            stop.set()
            sys.setswitchinterval(before)
            thread.join()

    def test_after_a_fork(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of threads, which are OpenMP's here
            shared = sam2unet.Segmenter(MODEL, threads=2)
            expected = shared(picture(), size=SMALL).map  # OpenMP's threads exist
            _children["shared"] = shared
            with multiprocessing.get_context("fork").Pool(2) as pool:
                found = pool.map_async(_in_child, range(4)).get(timeout=180)
        for inherited, own, regions, doctor in found:
            np.testing.assert_array_equal(inherited, expected)
            np.testing.assert_array_equal(own, expected)
            self.assertEqual(regions, 1)
            self.assertTrue(doctor)

    def test_spawned_workers_take_it_pickled(self):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found = pool.apply_async(_segmented, (self.one, picture())).get(timeout=180)
        np.testing.assert_array_equal(found.map, self.one(picture(), size=SMALL).map)

    def test_errors_of_opening(self):
        with self.assertRaisesRegex(sam2unet.FileError, "nowhere"):
            sam2unet.Segmenter("nowhere.pth")
        with self.assertRaisesRegex(sam2unet.FormatError, "safetensors"):
            sam2unet.Segmenter(CAT)
        with self.assertRaises(sam2unet.FormatError):
            sam2unet.Segmenter(b"")
        with self.assertRaisesRegex(ValueError, "bf16"):
            sam2unet.Segmenter(MODEL, precision="f64")
        with self.assertRaisesRegex(ValueError, "tf32: the device cpu computes in f32, bf16 or int8"):
            sam2unet.Segmenter(MODEL, precision="tf32")
        self.assertEqual(sam2unet.Segmenter(MODEL, precision="int8").precision, "int8")
        with self.assertRaisesRegex(ValueError, "1024"):
            sam2unet.Segmenter(MODEL, threads=-1)
        with self.assertRaisesRegex(ValueError, "abacus"):
            sam2unet.Segmenter(MODEL, device="abacus")
        with self.assertRaises(Exception):
            sam2unet.Segmenter(5)


    def test_by_the_name_of_a_model(self):
        models = self.path("models")
        os.mkdir(models)
        shutil.copy(MODEL, os.path.join(models, "mine.safetensors"))
        with mock.patch.dict(os.environ, SAM2UNET_MODELS=models):
            by_name = sam2unet.Segmenter("mine")
            again = pickle.loads(pickle.dumps(by_name))
            self.assertEqual(sam2unet.weights.info("mine")["contents"], sam2unet.weights.info(MODEL)["contents"])
            self.assertEqual(sam2unet.weights.metadata("mine"), sam2unet.weights.metadata(MODEL))
            with self.assertRaisesRegex(sam2unet.FileError, "SAM2-UNet-COD.pth.*models add"):
                sam2unet.Segmenter("sam2unet-cod")
            with self.assertRaisesRegex(sam2unet.FileError, "no such file.*sam2unet-t-duts"):
                sam2unet.Segmenter("nmie")
        want = sam2unet.Segmenter(MODEL)(CAT, size=SMALL).map
        for segmenter in (by_name, again, sam2unet.Segmenter("sam2unet-t-duts")):
            np.testing.assert_array_equal(segmenter(CAT, size=SMALL).map, want)


class Weights(Case):
    def test_arrays_and_back(self):
        tensors = sam2unet.weights.load(MODEL)
        metadata = sam2unet.weights.metadata(MODEL)
        copy = self.path("copy.safetensors")
        sam2unet.weights.save(copy, tensors, metadata)
        with open(MODEL, "rb") as a, open(copy, "rb") as b:
            self.assertEqual(a.read(), b.read())
        info = sam2unet.weights.info(copy)
        self.assertEqual((info["variant"], info["contents"], info["out_channels"]), ("t", "full SAM2-UNet", 1))

    def test_types_and_strides(self):
        types = (np.float64, np.float32, np.float16, np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_)
        tensors = {f"t{i}": (np.arange(24).reshape(2, 3, 4) % 7).astype(t) for i, t in enumerate(types)}
        tensors["strided"] = np.arange(60, dtype=np.float32).reshape(6, 10)[::2, ::-3]
        tensors["big endian"] = np.arange(5, dtype=">f4")
        tensors["scalar"] = np.float32(3)
        tensors["empty"] = np.zeros((0, 4), np.float32)
        for name in ("a.safetensors", "a.pth"):
            sam2unet.weights.save(self.path(name), tensors, {"who": "äöü"} if name.endswith("s") else None)
            again = sam2unet.weights.load(self.path(name))
            self.assertEqual(list(again), list(tensors))
            for key, value in tensors.items():
                np.testing.assert_array_equal(again[key], value)
                self.assertEqual(again[key].shape, np.shape(value))
                self.assertEqual(again[key].dtype, np.asarray(value).dtype.newbyteorder("="))
        self.assertEqual(sam2unet.weights.metadata(self.path("a.safetensors")), {"who": "äöü"})
        self.assertEqual(sam2unet.weights.metadata(self.path("a.pth")), {})
        with self.assertRaisesRegex(TypeError, "complex"):
            sam2unet.weights.save(self.path("b.pth"), {"c": np.zeros(3, complex)})
        with self.assertRaisesRegex(ValueError, "extension"):
            sam2unet.weights.save(self.path("b.npz"), {})
        with self.assertRaises(sam2unet.FileError):
            sam2unet.weights.save(os.path.join(self.path("nowhere"), "b.pth"), {})

    def test_conversion_and_task_files(self):
        f32, bf16, task, joined = (self.path(n + ".safetensors") for n in ("f32", "bf16", "task", "joined"))
        self.assertEqual(sam2unet.weights.convert(MODEL, f32, precision="f32"), [])
        sam2unet.weights.convert(f32, bf16, precision="bf16")
        a, b = sam2unet.weights.load(f32), sam2unet.weights.load(bf16)
        self.assertEqual(list(a), list(b))
        name = "head.weight"
        self.assertEqual(b[name].dtype, np.float32)
        np.testing.assert_allclose(b[name], a[name], rtol=2**-8)
        self.assertTrue((b[name].view(np.uint32) & 0xFFFF == 0).all())
        sam2unet.weights.convert(f32, task, task_only=True)
        self.assertLess(os.path.getsize(task), os.path.getsize(f32) / 2)
        with self.assertRaises(sam2unet.WeightsError):
            sam2unet.Segmenter(task)
        sam2unet.weights.convert(task, joined, trunk=f32)
        np.testing.assert_array_equal(sam2unet.Segmenter(joined, threads=1)(picture(), size=SMALL).map,
                                      sam2unet.Segmenter(f32, threads=1)(picture(), size=SMALL).map)
        self.assertNotEqual(sam2unet.weights.convert(f32, self.path("t.pth"), task_only=True), [])  # notes
        for bad in (lambda: sam2unet.weights.convert(f32, self.path("x.pth"), precision="int8"),
                    lambda: sam2unet.weights.convert(f32, f32), lambda: sam2unet.weights.convert(f32, bf16, precision="f8")):
            with self.assertRaises(ValueError):
                bad()


class Others(Case):
    def test_doctor(self):
        images, masks = self.path("images"), self.path("masks")
        os.mkdir(images), os.mkdir(masks)
        for i in range(3):
            for folder, array in ((images, picture(30, 40 + i)), (masks, np.eye(30, 40 + i, dtype=np.uint8))):
                header = f"P{6 if array.ndim == 3 else 5} {array.shape[1]} {array.shape[0]} 255\n".encode()
                with open(os.path.join(folder, f"{i}.{'ppm' if array.ndim == 3 else 'pgm'}"), "wb") as file:
                    file.write(header + array.tobytes())
        seen = []
        found = sam2unet.doctor(images, masks, progress=lambda done, total: seen.append((done, total)))
        self.assertEqual((found["images"], found["pairs"], found["clean"]), (3, 3, False))
        self.assertIn("zero-one-mask", [f["kind"] for f in found["findings"]])
        self.assertTrue(seen and seen[-1][0] <= seen[-1][1])
        self.assertNotIn("zero-one-mask", [f["kind"] for f in sam2unet.doctor(images, masks, classes=2)["findings"]])
        with self.assertRaises(KeyError):
            sam2unet.doctor(images, masks, progress=lambda done, total: {}[done])
        with self.assertRaises(sam2unet.FileError):
            sam2unet.doctor(images, self.path("nowhere"))

    def test_resize(self):
        for channels in (1, 3, 4):
            a = picture(30, 41, channels)
            for filter_ in ("bilinear", "bicubic"):
                version = tuple(map(int, Image.__version__.split(".")[:2])) if Image is not None else (12, 3)
                out = sam2unet.resize_pillow(a, 17, 50, filter=filter_, pillow=min(max(version[0], 12), 13))
                self.assertEqual(out.shape, (50, 17) + a.shape[2:])
                if Image is not None and version >= (12, 3):
                    want = Image.fromarray(a).resize((17, 50), getattr(Image, filter_.upper()))
                    np.testing.assert_array_equal(out, np.asarray(want))
        np.testing.assert_array_equal(sam2unet.resize_pillow(picture(), 41, 30), picture())
        for bad in ((0, 5), (2**31 + 1, 5), (2**20, 2**20)):
            with self.assertRaises(ValueError):
                sam2unet.resize_pillow(picture(), *bad)

    def test_the_metrics_load_no_network(self):
        code = ("import sam2unet; from sam2unet import metrics; maps = open('/proc/self/maps').read(); "
                "print([n for n in ('dnnl', 'gomp', 'libsam2unet.so') if n in maps])")
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        self.assertEqual(out, "[]\n")

    def test_nothing_that_draws_is_loaded(self):
        # NumPy by itself brings LAPACK on some systems: what comes after it counts.
        code = ("import numpy; read = lambda: open('/proc/self/maps').read().lower(); before = read(); "
                "import sam2unet; sam2unet.Segmenter; maps = read(); "
                "print([n for n in ('libx11', 'libgl', 'lapack', 'blas', 'gfortran', 'opencv') "
                "if n + '.' in maps and n + '.' not in before])")
        env = dict(os.environ, OPENBLAS_NUM_THREADS="1")
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
        self.assertEqual(out, "[]\n")

    def test_every_public_thing_has_its_text(self):
        for name in sam2unet.__all__:
            if name != "__version__":
                self.assertTrue(getattr(sam2unet, name).__doc__, name)
        with self.assertRaises(AttributeError):
            sam2unet.nothing


_children = {}


def _in_child(_):
    s = _children["shared"]
    r = s(picture(), size=SMALL)
    own = sam2unet.Segmenter(MODEL)(picture(), size=SMALL).map
    with tempfile.TemporaryDirectory() as folder:
        try:
            sam2unet.doctor(folder, folder)
            is_told = False
        except (ValueError, sam2unet.Error):
            is_told = True
    return r.map, own, len(r.regions()), is_told


def _segmented(segmenter, array):
    return segmenter(array, size=SMALL)


if __name__ == "__main__":
    unittest.main()
