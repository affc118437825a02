"""tritonclient[http] of PyPI, unmodified, against a running service: metadata, health, infer in binary and JSON,
compressed, batches, errors.   triton.py HOST:PORT PICTURE MAP.png"""
import sys

import numpy as np
import tritonclient.http as http
from PIL import Image
from tritonclient.utils import InferenceServerException

url, picture, expected = sys.argv[1:4]
client = http.InferenceServerClient(url)
assert client.is_server_live() and client.is_server_ready()
assert client.is_model_ready("sam2unet") and client.is_model_ready("sam2unet-picture", "1")
assert client.get_server_metadata()["name"] == "sam2unet"
assert client.get_model_metadata("sam2unet")["outputs"][0]["name"] == "logits"
assert client.get_model_config("sam2unet-picture")["input"][0]["data_type"] == "TYPE_STRING"
assert client.get_inference_statistics("sam2unet")["model_stats"]
assert len(client.get_model_repository_index()) == 2


def infer(model, name, values, kind, out, binary_in=True, binary_out=True, **options):
    tensor = http.InferInput(name, list(values.shape), kind)
    tensor.set_data_from_numpy(values, binary_data=binary_in)
    outputs = [http.InferRequestedOutput(out, binary_data=binary_out)]
    return client.infer(model, [tensor], outputs=outputs, request_id="7", **options).as_numpy(out)


x = np.random.default_rng(1).standard_normal((2, 3, 96, 64), dtype=np.float32)
first = infer("sam2unet", "input", x, "FP32", "logits")
assert first.shape == (2, 1, 96, 64) and np.isfinite(first).all()
for options in ({"binary_in": False}, {"binary_out": False}, {"request_compression_algorithm": "gzip"},
                {"request_compression_algorithm": "deflate", "response_compression_algorithm": "gzip"},
                {"response_compression_algorithm": "deflate"}):
    assert np.array_equal(infer("sam2unet", "input", x, "FP32", "logits", **options), first), options
for i in range(2):  # a batch is its pictures one by one
    assert np.array_equal(infer("sam2unet", "input", x[i : i + 1], "FP32", "logits")[0], first[i])
tensor = http.InferInput("input", list(x.shape), "FP32")
tensor.set_data_from_numpy(x)
assert np.array_equal(client.infer("sam2unet", [tensor]).as_numpy("logits"), first)  # no outputs named
assert np.array_equal(client.async_infer("sam2unet", [tensor]).get_result().as_numpy("logits"), first)

data = np.array([open(picture, "rb").read()], dtype=np.object_)
maps = infer("sam2unet-picture", "picture", data, "BYTES", "map")
want = np.asarray(Image.open(expected), dtype=np.float32)
assert maps.shape == (1, 1, *want.shape), maps.shape
assert np.abs(np.floor(maps[0, 0] * 255 + 0.5) - want).max() == 0  # predict's map
for wrong in (lambda: infer("sam2unet", "input", x[:, :2], "FP32", "logits"), lambda: infer("nobody", "input", x, "FP32", "logits"),
              lambda: infer("sam2unet", "inputs", x, "FP32", "logits"), lambda: infer("sam2unet", "input", x, "FP32", "maps"),
              lambda: infer("sam2unet-picture", "picture", np.array([b"no picture"], dtype=np.object_), "BYTES", "map")):
    try:
        wrong()
    except InferenceServerException as e:
        assert e.status() in ("400", "404", "415"), e.status()
    else:
        raise AssertionError("no error")
try:
    client.register_system_shared_memory("a", "/a", 1)
except InferenceServerException:
    pass
else:
    raise AssertionError("shared memory was taken")
print("tritonclient: ok")
