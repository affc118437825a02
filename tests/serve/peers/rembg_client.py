"""As a script written against rembg's service (`rembg s`) does it.   rembg_client.py HOST:PORT PICTURE CUTOUT.png MAP.png"""
import io
import sys

import requests
from PIL import Image

url, picture, cutout, mask = sys.argv[1:5]
url = f"http://{url}/api/remove"
with open(picture, "rb") as f:
    r = requests.post(url, files={"file": f}, data={"a": "false", "af": 240, "ab": 10, "ae": 10, "om": "false", "ppm": "false"})
r.raise_for_status()
assert r.headers["content-type"] == "image/png"
assert r.content == open(cutout, "rb").read()
with open(picture, "rb") as f:
    assert requests.post(url, files={"file": f}, data={"om": "true"}).content == open(mask, "rb").read()
with open(picture, "rb") as f:
    r = requests.post(url, params={"bgc": "255,0,0,255"}, files={"file": f})
image = Image.open(io.BytesIO(r.content))
assert image.mode == "RGBA" and image.getextrema()[3] == (255, 255)
with open(picture, "rb") as f:
    r = requests.post(url, files={"file": f}, data={"model": "u2net"})
assert r.status_code == 422 and "u2net" in r.json()["detail"]
assert requests.get(url, params={"url": "http://example.org/a.jpg"}).status_code == 403
print("rembg's form: ok")
