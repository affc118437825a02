#!/usr/bin/env python3
"""Packs a staged package into a wheel (the binary distribution format, PEP 427): make_wheel.py STAGE DIST."""
import base64
import hashlib
import os
import re
import sys
import time
import zipfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
TAG = "py3-none-manylinux_2_34_x86_64"
METADATA = """Metadata-Version: 2.1
Name: sam2unet
Version: {version}
Summary: SAM2-UNet without PyTorch: metrics of segmentation, a drop-in for py_sod_metrics
License: Apache-2.0
Requires-Python: >=3.9
Requires-Dist: numpy>=1.21
Description-Content-Type: text/markdown

{readme}"""


def read(*path: str) -> str:
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def main() -> None:
    stage, dist = sys.argv[1:]
    version = re.search(r"project\(sam2unet VERSION ([0-9.]+)", read("CMakeLists.txt")).group(1)
    info = f"sam2unet-{version}.dist-info"
    files = {}
    for folder, _, names in os.walk(stage):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                files[os.path.relpath(path, stage)] = file.read()
    files[f"{info}/METADATA"] = METADATA.format(version=version, readme=read("python", "README.md")).encode()
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: sam2unet\nRoot-Is-Purelib: false\nTag: {TAG}\n".encode()
    files[f"{info}/licenses/LICENSE"] = read("LICENSE").encode()

    def line(name: str, data: bytes) -> str:
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        return f"{name},sha256={digest},{len(data)}\n"

    record = "".join(line(n, d) for n, d in sorted(files.items())) + f"{info}/RECORD,,\n"
    files[f"{info}/RECORD"] = record.encode()

    os.makedirs(dist, exist_ok=True)
    target = os.path.join(dist, f"sam2unet-{version}-{TAG}.whl")
    date = time.gmtime(max(int(os.environ.get("SOURCE_DATE_EPOCH", "315532800")), 315532800))[:6]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in sorted(files.items(), key=lambda f: (f[0].startswith(info), f[0])):
            entry = zipfile.ZipInfo(name, date)
            entry.external_attr = (0o755 if ".so" in name else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, data)
    unpacked = sum(map(len, files.values()))
    print(f"{target}: {os.path.getsize(target) / 1e6:.1f} MB, {unpacked / 1e6:.1f} MB unpacked")


if __name__ == "__main__":
    main()
