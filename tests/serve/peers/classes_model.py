"""A model of three classes made of one of one class, as a file of weights.   classes_model.py IN.safetensors OUT.safetensors

The first class (background) has the one class's logit negated, the second has it, the third wins between them, at edges: its
logit is 1.5 everywhere. Heads of int8 with a scale for each class, as `convert --dtype int8` writes them. The standard library alone."""
import json
import struct
import sys

with open(sys.argv[1], "rb") as f:
    size = struct.unpack("<Q", f.read(8))[0]
    header, data = json.loads(f.read(size)), f.read()
metadata = header.pop("__metadata__")
metadata["classes"] = json.dumps({"classes": [{"id": 0, "name": "background", "color": "#000000"}, {"id": 1, "name": "thing", "color": "#e6194b"},
                                              {"id": 2, "name": "edge", "color": "#4363d8"}], "ignore": 255, "ignore_color": "#ffffff"})


def three(name, raw):
    """The values of three classes, of one class's."""
    if name.endswith(".weight"):
        values = struct.unpack(f"{len(raw)}b", raw)
        return struct.pack(f"{3 * len(raw)}b", *(-v for v in values), *values, *(0 for _ in values))
    value = struct.unpack("<f", raw)[0]
    return struct.pack("<3f", value, value, value) if name.endswith(".scale") else struct.pack("<3f", -value, value, 1.5)


tensors, out = {}, b""
for name, tensor in sorted(header.items(), key=lambda t: -{"I64": 8, "F32": 4, "BF16": 2, "I8": 1}[t[1]["dtype"]]):
    begin, end = tensor["data_offsets"]
    raw = data[begin:end]
    if name.split(".")[0] in ("head", "side1", "side2"):
        raw, tensor["shape"][0] = three(name, raw), 3
    tensor["data_offsets"] = [len(out), len(out) + len(raw)]
    out += raw
    tensors[name] = tensor
text = json.dumps({"__metadata__": metadata, **tensors}).encode()
text += b" " * (-len(text) % 8)
with open(sys.argv[2], "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + out)
