#!/usr/bin/env python3
"""Packs a staged package into a wheel (the binary distribution format, PEP 427): make_wheel.py NAME STAGE DIST
[LICENSES]. NAME is "sam2unet" or "sam2unet-model-t", LICENSES a folder of files that go into the wheel's metadata."""
import base64
import hashlib
import os
import re
import sys
import time
import zipfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
KINDS = {
    "sam2unet": {
        "tag": "py3-none-manylinux_2_34_x86_64",
        "summary": "SAM2-UNet without PyTorch: segments pictures, and a drop-in for py_sod_metrics",
        "readme": ("python", "README.md"),
        "more": "Requires-Dist: numpy>=1.21\nProvides-Extra: model\nRequires-Dist: sam2unet-model-t; extra == \"model\"\n",
        "scripts": "[console_scripts]\nsam2unet = sam2unet._program:main\n",
        "license": "Apache-2.0",
    },
    "sam2unet-model-t": {
        "tag": "py3-none-any",
        "summary": "The default model of sam2unet (Hiera-T, trained on DUTS-TR, int8): research use",
        "readme": ("models", "README.md"),
        "more": "",
        "scripts": "",
        "license": "LicenseRef-research-use",
    },
}
METADATA = """Metadata-Version: 2.1
Name: {name}
Version: {version}
Summary: {summary}
License: {license}
Requires-Python: >=3.9
{more}Description-Content-Type: text/markdown

{readme}"""


def read(*path: str) -> str:
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def files_below(folder: str, prefix: str = "") -> dict:
    """Bytes by name."""
    out = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                out[prefix + os.path.relpath(path, folder)] = file.read()
    return out


def main() -> None:
    name, stage, dist = sys.argv[1:4]
    kind = KINDS[name]
    version = re.search(r"project\(sam2unet VERSION ([0-9.]+)", read("CMakeLists.txt")).group(1)
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    files = files_below(stage)
    files[f"{info}/METADATA"] = METADATA.format(name=name, version=version, **{**kind, "readme": read(*kind["readme"])}).encode()
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: sam2unet\nRoot-Is-Purelib: {str(kind['tag'].endswith('any')).lower()}\nTag: {kind['tag']}\n".encode()
    if kind["scripts"]:
        files[f"{info}/entry_points.txt"] = kind["scripts"].encode()
    files[f"{info}/licenses/LICENSE"] = read("LICENSE").encode()
    for folder in sys.argv[4:]:
        files.update(files_below(folder, f"{info}/licenses/"))

    def line(path: str, data: bytes) -> str:
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        return f"{path},sha256={digest},{len(data)}\n"

    record = "".join(line(n, d) for n, d in sorted(files.items())) + f"{info}/RECORD,,\n"
    files[f"{info}/RECORD"] = record.encode()

    os.makedirs(dist, exist_ok=True)
    target = os.path.join(dist, f"{stem}-{kind['tag']}.whl")
    date = time.gmtime(max(int(os.environ.get("SOURCE_DATE_EPOCH", "315532800")), 315532800))[:6]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:
        for path, data in sorted(files.items(), key=lambda f: (f[0].startswith(info), f[0])):
            entry = zipfile.ZipInfo(path, date)
            is_program = data[:4] == b"\x7fELF"
            entry.external_attr = (0o100755 if is_program else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, data)
    unpacked = sum(map(len, files.values()))
    print(f"{target}: {os.path.getsize(target) / 1e6:.1f} MB, {unpacked / 1e6:.1f} MB unpacked")


if __name__ == "__main__":
    main()
