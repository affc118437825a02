#!/usr/bin/env python3
"""ONNX Runtime, OpenVINO and PyTorch against `sam2unet bench` on the same network and processor, in one run.

  python3 -m venv engines && engines/bin/pip install -r bench/peers/requirements-engines.txt
  engines/bin/python bench/peers/engines.py build/release/bin/sam2unet [--weights t.safetensors --weights l.pth]

Prints a Markdown table: for each network and precision the fastest and the median pass of each engine, and how many times as
long as ours it takes. Each engine has a process of its own, all take turns `--rounds` times, so that no engine's waiting threads and no
moment of the machine's is another's. The peers get our exported ONNX file with the size fixed, batch 1; int8 is NNCF's
(OpenVINO) and quantize_static's (ONNX Runtime), calibrated on `--pictures` or on noise, which changes no times. PyTorch runs the
reference's own modules where SAM2UNET_REFERENCE and SAM2_REFERENCE name checkouts (docs/golden.md), which also make
random weights of `--variant`s that there is no file of. What an engine cannot do is told below the table.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
ENGINES = {"fp32": ["ONNX Runtime", "OpenVINO", "PyTorch"], "bf16": ["OpenVINO", "PyTorch"], "int8": ["ONNX Runtime", "OpenVINO"]}
CALIBRATION = 16  # pictures


# One engine, in a process of its own.


def inputs(size, pictures, count):
    """Normalised pictures [1,3,S,S], real ones where a folder is given."""
    import numpy as np

    random = np.random.default_rng(0)
    files = sorted(p for p in Path(pictures).iterdir() if p.is_file())[:count] if pictures else []
    for i in range(len(files) or count):
        if files:
            from PIL import Image

            pixels = np.asarray(Image.open(files[i]).convert("RGB").resize((size, size), Image.BILINEAR), np.float32) / 255
            values = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        else:
            values = random.normal(size=(size, size, 3))
        yield np.ascontiguousarray(values.transpose(2, 0, 1)[None], np.float32)


def onnx_runtime(job):
    import onnxruntime as ort

    ort.set_default_logger_severity(3)
    model = job["onnx"]
    if job["precision"] == "int8":
        model = job["onnx"].replace(".onnx", ".ort-int8.onnx")
        if not os.path.exists(model):
            from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
            from onnxruntime.quantization.shape_inference import quant_pre_process

            class Reader(CalibrationDataReader):
                def __init__(self, name):
                    self.left = ({name: x} for x in inputs(job["size"], job["pictures"], CALIBRATION))

                def get_next(self):
                    return next(self.left, None)

            prepared = job["onnx"].replace(".onnx", ".prepared.onnx")
            quant_pre_process(job["onnx"], prepared, skip_symbolic_shape=True, save_as_external_data=True)
            name = ort.InferenceSession(prepared, providers=["CPUExecutionProvider"]).get_inputs()[0].name
            quantize_static(prepared, model + ".partial", Reader(name), quant_format=QuantFormat.QDQ, per_channel=True,
                            use_external_data_format=True)
            os.replace(model + ".partial", model)
    options = ort.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return ort.__version__, lambda x: session.run(None, {name: x})


def openvino(job):
    import openvino as ov

    core = ov.Core()
    model = core.read_model(job["onnx"])
    model.reshape([1, 3, job["size"], job["size"]])
    if job["precision"] == "int8":
        file = job["onnx"].replace(".onnx", ".nncf.xml")
        if not os.path.exists(file):
            import nncf

            data = nncf.Dataset(list(inputs(job["size"], job["pictures"], CALIBRATION)))
            ov.save_model(nncf.quantize(model, data, preset=nncf.QuantizationPreset.PERFORMANCE, subset_size=CALIBRATION), file,
                          compress_to_fp16=False)
        model = core.read_model(file)
    # What is not quantised may be bf16, as in ours.
    hint = "f32" if job["precision"] == "fp32" else "bf16"
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": job["threads"],
                                                 "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1})
    request = compiled.create_infer_request()
    return ov.__version__.split("-")[0], lambda x: request.infer([x])


def reference_network(variant):
    sys.path.insert(0, str(HERE.parents[2] / "tools" / "golden"))
    import reference

    return reference.Reference().network(reference.config(variant)).eval()


def pytorch(job):
    import torch

    torch.set_num_threads(job["threads"])
    network = reference_network(job["variant"])
    if job["precision"] == "bf16":
        network = network.to(torch.bfloat16)

    def forward(x):
        with torch.inference_mode():
            return network(torch.from_numpy(x).to(next(network.parameters()).dtype))

    return torch.__version__, forward


def work(job):
    engine = {"ONNX Runtime": onnx_runtime, "OpenVINO": openvino, "PyTorch": pytorch}[job["engine"]]
    version, forward = engine(job)
    x = next(inputs(job["size"], None, 1))
    for _ in range(job["warm_up"]):
        forward(x)
    times = []
    for _ in range(job["passes"]):
        begin = time.perf_counter()
        forward(x)
        times.append(1e3 * (time.perf_counter() - begin))
    print(json.dumps({"ms": times, "version": version}))


# All of them, in turns.


def last_line(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no message"


def peer(job):
    done = subprocess.run([sys.executable, str(HERE), "--work", json.dumps(job)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(last_line(done.stderr))
    return json.loads(done.stdout.strip().splitlines()[-1])


def ours(program, weights, job):
    done = subprocess.run([program, "bench", "--weights", weights, "--size", str(job["size"]), "--precision", job["precision"],
                           "-n", str(job["passes"]), "-j", str(job["threads"]), "--json", "-"], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(last_line(done.stderr))
    told = json.loads(done.stdout)
    return {"ms": [told["latency_ms"]["min"], told["latency_ms"]["median"]], "version": told["arithmetic"], "told": told}


def networks(options, folder):
    """Name, file of weights."""
    for file in options.weights:
        yield Path(file).stem, file
    for variant in options.variant:
        import torch

        file = os.path.join(folder, f"{variant}.pth")
        torch.manual_seed(0)
        torch.save(reference_network(variant).state_dict(), file)
        yield variant, file


def measure(options, name, weights, folder):
    info = json.loads(subprocess.run([options.program, "info", weights, "--json"], check=True, capture_output=True, text=True).stdout)
    onnx = os.path.join(folder, f"{name}.onnx")
    subprocess.run([options.program, "export", onnx, "--weights", weights, "--size", str(options.size)], check=True,
                   capture_output=True)
    found, failed = {}, {}
    for turn in range(options.rounds):
        for precision in options.precisions.split(","):
            for engine in ["ours", *ENGINES[precision]]:
                key = (precision, engine)
                if key in failed or engine in options.without:
                    continue
                job = {"engine": engine, "precision": precision, "onnx": onnx, "size": options.size, "threads": options.threads,
                       "passes": options.passes, "warm_up": options.warm_up, "pictures": options.pictures,
                       "variant": info["variant"]}
                print(f"{name}: {engine} {precision}, turn {turn + 1} of {options.rounds}", file=sys.stderr, flush=True)
                try:
                    got = ours(options.program, weights, job) if engine == "ours" else peer(job)
                except RuntimeError as e:
                    failed[key] = str(e)
                    continue
                entry = found.setdefault(key, {"ms": [], "version": got["version"]})
                entry["ms"] += got["ms"]
                if "told" in got and got["told"]["latency_ms"]["min"] == min(entry["ms"]):
                    entry["floor"] = got["told"]["ratio_to_floor"]
    return found, failed


def print_table(name, found, failed):
    print(f"\n### {name}\n")
    print("| | precision | fastest ms | median ms | times ours | times the floor |")
    print("|---|---|---|---|---|---|")
    for (precision, engine), entry in sorted(found.items(), key=lambda f: (list(ENGINES).index(f[0][0]), min(f[1]["ms"]))):
        base = found.get((precision, "ours"))
        ratio = f"{min(entry['ms']) / min(base['ms']):.2f}" if base and engine != "ours" else ""
        title = f"ours: {entry['version']}" if engine == "ours" else f"{engine} {entry['version']}"
        floor = f"{entry['floor']:.2f}" if entry.get("floor") else ""
        print(f"| {title} | {precision} | {min(entry['ms']):.1f} | {statistics.median(entry['ms']):.1f} | {ratio} | {floor} |")
    for (precision, engine), why in failed.items():
        print(f"\n{engine} in {precision} did not run: {why}")


def processor():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", nargs="?", help="sam2unet")
    parser.add_argument("--weights", action="append", default=[], help="a network; may come several times")
    parser.add_argument("--variant", action="append", default=[], help="t, s, b+ or l with random weights, from the reference's modules")
    parser.add_argument("--precisions", default="fp32,bf16,int8")
    parser.add_argument("--without", action="append", default=[], help="an engine to leave out: PyTorch")
    parser.add_argument("--size", type=int, default=352)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3, help="turns of each engine")
    parser.add_argument("--passes", type=int, default=15, help="in each turn")
    parser.add_argument("--warm-up", type=int, default=3)
    parser.add_argument("--pictures", help="folder to calibrate int8 on")
    parser.add_argument("--json", help="file for all numbers")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(json.loads(options.work))
        return
    if not options.program or not (options.weights or options.variant):
        parser.error("which program, and which --weights or --variant?")
    options.program = os.path.abspath(options.program)
    print(f"{processor()}, {options.threads} threads, {options.size}x{options.size}, batch 1, "
          f"{options.rounds} turns of {options.passes} passes each")
    kept = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, weights in networks(options, folder):
            found, failed = measure(options, name, weights, folder)
            print_table(name, found, failed)
            kept[name] = {f"{e} {p}": v for (p, e), v in found.items()}
    if options.json:
        Path(options.json).write_text(json.dumps(kept, indent=2))


if __name__ == "__main__":
    main()
