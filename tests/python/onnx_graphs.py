"""Exported graphs in ONNX Runtime and OpenVINO against this program, and the full graph's resizing against Pillow.

Run by scripts/onnx_tests.sh, which makes the environment: SAM2UNET_PROGRAM and SAM2UNET_REFERENCE name the built programs.
Arguments pick cases by their names ("t", "l-k4", "default"); without any, all run.
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import PIL
from PIL import Image

PROGRAM, REFERENCE = os.environ["SAM2UNET_PROGRAM"], os.environ["SAM2UNET_REFERENCE"]
SOURCE = Path(__file__).resolve().parents[2]
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
PICTURES = sorted((SOURCE / "samples").glob("*.jpg"))
# Of the logits' range. int8 is compared with the exact network, f16 computes in half precision.
TOLERANCE = {"f32": 2e-5, "int8": 0.05, "f16": 0.03}
failures = []


def say(what, worst, at_most):
    ok = worst <= at_most
    print(f"  {what:<58} {worst:9.3g} (at most {at_most:g})  {'ok' if ok else 'FAILED'}", flush=True)
    if not ok:
        failures.append(what)


def run(*command):
    subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)


class Runtimes:
    """One model in both runtimes, on float32: OpenVINO takes bfloat16 by itself, and 8-bit activations for 8-bit weights."""

    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.compiled = openvino.Core().compile_model(str(path), "CPU", {
            "INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"})

    def __call__(self, value):
        name = self.session.get_inputs()[0].name
        yield "onnxruntime", self.session.run(None, {name: value})
        result = self.compiled([value])
        yield "openvino", [result[o] for o in self.compiled.outputs]


def check_model(path, opset=17, ir=8):
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(str(path))
    assert model.opset_import[0].version == opset and model.ir_version == ir
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    for output in inferred.graph.output:
        assert len(output.type.tensor_type.shape.dim) > 0
    return model


def normalised(picture):  # [h,w,3] -> [1,3,h,w]
    return ((picture.astype(np.float32) / np.float32(255) - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)


def relative(got, want):
    return float(np.abs(got.astype(np.float64) - want).max() / (want.max() - want.min()))


def compare_core(folder, weights, name, size, channels, dtype):
    height, width = size
    path = folder / "core.onnx"
    run(PROGRAM, "export", path, "-w", weights, "--graph", "core", "--size", f"{height}x{width}", "--dtype", dtype)
    check_model(path)
    files, inputs = [], []
    for i, source in enumerate(PICTURES[:3]):
        picture = Image.open(source).convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
        files.append(folder / f"in{i}.png")
        picture.save(files[-1])
        inputs.append(normalised(np.asarray(picture)))
    run(REFERENCE, "run", weights, f"{height}x{width}", *files)
    want = np.stack([np.fromfile(f"{f}.logits", np.float32).reshape(channels, height, width) for f in files])
    runtimes = Runtimes(path)
    for batch in (1, 3):
        for runtime, (logits,) in runtimes(np.concatenate(inputs[:batch])):
            assert logits.shape == (batch, channels, height, width)
            worst = max(relative(logits[i], want[i]) for i in range(batch))
            say(f"{name} core {height}x{width} {dtype} batch {batch} {runtime}", worst, TOLERANCE[dtype])


def compare_full(folder, weights, name, size, channels, dtype):
    height, width = size
    path = folder / "full.onnx"
    run(PROGRAM, "export", path, "-w", weights, "--graph", "full", "--size", f"{height}x{width}", "--dtype", dtype)
    check_model(path)
    runtimes = Runtimes(path)
    for source, shrink in zip(PICTURES, (1.0, 0.61, 0.37)):
        picture = Image.open(source).convert("RGB")
        picture = picture.resize((int(picture.width * shrink) | 1, int(picture.height * shrink) | 1))
        file = folder / "picture.png"
        picture.save(file)
        run(REFERENCE, "run", weights, f"{height}x{width}", file)
        want = np.fromfile(f"{file}.map", np.float32).reshape(channels, picture.height, picture.width)
        logits = np.fromfile(f"{file}.logits", np.float32)
        # A logit that is off by d moves a sigmoid by d / 4 at most, a softmax by d / 2.
        scale = (4 if channels == 1 else 2) / float(logits.max() - logits.min())
        for runtime, outputs in runtimes(np.asarray(picture)):
            worst = float(np.abs(outputs[0].astype(np.float64) - want).max())
            say(f"{name} full {height}x{width} {dtype} picture {picture.width}x{picture.height} {runtime}", worst * scale,
                TOLERANCE[dtype])
            if channels > 1:
                differing = float((outputs[1] != want.argmax(axis=0)).mean())
                say(f"{name} full, share of ids that differ, {runtime}", differing, 1e-4 if dtype == "f32" else 0.05)


def only_resizing(path, out, size):
    """The part of a full graph up to the 8-bit levels of the resized picture, [1,3,H,W]."""
    model = onnx.load(str(path))
    constants = {i.name: i for i in model.graph.initializer}
    def divides_by_255(n):
        c = constants.get(n.input[1]) if n.op_type == "Div" else None
        return c is not None and list(onnx.numpy_helper.to_array(c).ravel()) == [255.0]
    result = next(n.input[0] for n in model.graph.node if divides_by_255(n))
    needed, kept = {result}, []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
    info = onnx.helper.make_tensor_value_info(result, onnx.TensorProto.FLOAT, [1, 3, *size])
    graph = onnx.helper.make_graph(kept[::-1], "resize", list(model.graph.input), [info],
                                   [i for i in model.graph.initializer if i.name in needed])
    small = onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    onnx.save(small, str(out))


def compare_resizing(folder, weights):
    if not PIL.__version__.startswith("12."):
        print(f"SKIPPED: Pillow {PIL.__version__} is not 12")
        return
    random = np.random.default_rng(14)
    for size in ((352, 352), (256, 384)):
        full, part = folder / "full.onnx", folder / "resize.onnx"
        run(PROGRAM, "export", full, "-w", weights, "--graph", "full", "--size", f"{size[0]}x{size[1]}", "--dtype", "int8")
        only_resizing(full, part, size)
        runtimes = Runtimes(part)
        sizes = [(1, 1), (2, 3), size, (size[0], 100), (77, size[1]), (1, 500), (99, 1), (1700, 17), (17, 2000),
                 (1365, 2047), (3000, 4000), (333, 5001)]
        sizes += [tuple(random.integers(1, 1500, 2)) for _ in range(50 - len(sizes))]
        differing = {}
        for height, width in sizes:
            picture = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
            want = np.asarray(Image.fromarray(picture).resize((size[1], size[0]), Image.Resampling.BILINEAR))
            for runtime, (levels,) in runtimes(picture):
                same = np.array_equal(levels[0].transpose(1, 2, 0), want.astype(np.float32))
                differing[runtime] = differing.get(runtime, 0) + (not same)
        for runtime, count in differing.items():
            say(f"pictures of {len(sizes)} that are not Pillow's, {size[0]}x{size[1]}, {runtime}", count, 0)


def main(chosen):
    print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}, openvino {openvino.__version__}, "
          f"Pillow {PIL.__version__}")
    default = SOURCE / "models" / "sam2unet_t_duts_int8.safetensors"
    shared = SOURCE.parent / "shared" / "weights" / "sam2unet_t_duts.pth"
    square, wide, large = (352, 352), (256, 384), (512, 512)
    cases = {  # name: (weights, K, [(size, dtype)])
        "default": (default, 1, [(square, "f32"), (square, "int8"), (square, "f16")]),
        "t": (("t", 1), 1, [(square, "f32"), (wide, "f32"), (large, "f32")]),
        "t-k4": (("t", 4), 4, [(square, "f32"), (wide, "f32")]),
        "l": (("l", 1), 1, [(square, "f32"), (wide, "f32"), (large, "f32")]),
        "l-k4": (("l", 4), 4, [(square, "f32")]),
    }
    if shared.exists():
        cases["duts"] = (shared, 1, [(square, "f32"), (wide, "f32"), (large, "f32"), (square, "f16")])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not chosen or "resize" in chosen:
            compare_resizing(folder, default)
        for case, (weights, channels, runs) in cases.items():
            if chosen and case not in chosen:
                continue
            if isinstance(weights, tuple):
                made = folder / "weights.safetensors"
                run(REFERENCE, "weights", weights[0], weights[1], made)
                weights = made
            for size, dtype in runs:
                compare_core(folder, weights, case, size, channels, dtype)
                compare_full(folder, weights, case, size, channels, dtype)
            subprocess.run([PROGRAM, "verify", folder / "core.onnx", folder / "full.onnx", "-w", weights]).returncode and \
                failures.append(f"{case} verify")
    print("FAILED: " + ", ".join(failures) if failures else "all ok")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
