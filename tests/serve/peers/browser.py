"""The page in a real browser (Debian's chromium and chromium-driver): drop, paste, views, threshold, slider by
keyboard, download, zip, cancel, error, axe, no request to anywhere else.
browser.py http://HOST:PORT/ PREDICTED FOLDER [SCREENSHOTS]: PREDICTED holds predict's results of samples/, FOLDER takes downloads."""
import base64
import io
import json
import os
import pathlib
import sys
import time
import zipfile

from axe_selenium_python import Axe
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

base, predicted, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
shots = pathlib.Path(sys.argv[4]) if len(sys.argv) > 4 else None
samples = pathlib.Path(__file__).resolve().parents[3] / "samples"


def open_browser(width, height, dark=False):
    o = webdriver.ChromeOptions()
    o.binary_location = "/usr/bin/chromium"
    for a in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--window-size={width},{height}", "--disable-background-networking",
              "--disable-component-update", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"):
        o.add_argument(a)
    if dark:
        o.add_argument("--force-dark-mode")
    o.add_experimental_option("prefs", {"download.default_directory": str(folder.resolve()), "download.prompt_for_download": False})
    o.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    d = webdriver.Chrome(service=webdriver.ChromeService("/usr/bin/chromedriver"), options=o)
    d.set_script_timeout(60)
    d.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
    if width < 500:
        d.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True})
    d.get(base)
    WebDriverWait(d, 60).until(lambda d: d.find_elements(By.CSS_SELECTOR, "#model option"))
    return d


def wait(d, what, seconds=120):
    return WebDriverWait(d, seconds).until(what)


def states(d):
    return d.execute_script("return items.map((i) => i.state)")


def all_done(d, n):
    wait(d, lambda d: states(d) == ["done"] * n)


def give(d, event, names):
    """Files as a drop or a paste brings them."""
    files = [[n, base64.b64encode((samples / n).read_bytes() if (samples / n).exists() else b"no picture at all").decode()] for n in names]
    d.execute_script(
        """const t = new DataTransfer();
        for (const [name, data] of arguments[1]) t.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], name, {type: 'image/jpeg'}));
        dispatchEvent(arguments[0] === 'drop' ? new DragEvent('drop', {dataTransfer: t, cancelable: true})
                                              : new ClipboardEvent('paste', {clipboardData: t, cancelable: true}));""", event, files)


def pixels(d):
    """The after side's bytes, summed in a way that tells any change."""
    time.sleep(0.3)
    return d.execute_script("""const c = document.getElementById('after'), v = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        let h = 0; for (const x of v) h = (h * 31 + x) >>> 0; return h;""")


def sent(d):
    return sum(1 for e in logged(d) if e["method"] == "Network.requestWillBeSent" and e["params"]["request"]["method"] == "POST")


seen = []


def logged(d):
    for entry in d.get_log("performance"):
        seen.append(json.loads(entry["message"])["message"])
    return seen


def downloaded(name):
    file = folder / name
    for _ in range(600):
        if file.exists() and not list(folder.glob("*.crdownload")):
            return file.read_bytes()
        time.sleep(0.1)
    raise AssertionError(f"{name} was not downloaded")


def view(d, name):
    d.execute_script("document.querySelector(`input[name=view][value=${arguments[0]}]`).click()", name)


def check_axe(d, what):
    axe = Axe(d)
    # The policy forbids scripts in the page; the driver's own are evaluated outside of it.
    axe.inject()
    results = axe.run()
    assert results["violations"] == [], what + ": " + axe.report(results["violations"])


def check_origin(d):
    for e in logged(d):
        if e["method"] != "Network.requestWillBeSent":
            continue
        url = e["params"]["request"]["url"]
        assert url.startswith((base, "blob:", "data:", "chrome", "about:", "devtools:")), url


d = open_browser(1280, 900)
check_axe(d, "empty page")
give(d, "drop", ["cat.jpg", "coffee.jpg"])
all_done(d, 2)
check_axe(d, "with results")
print("drop: ok")

before = sent(d)
first = pixels(d)
threshold = d.find_element(By.ID, "threshold")
for _ in range(30):
    threshold.send_keys(Keys.ARROW_RIGHT)
assert pixels(d) != first and d.find_element(By.ID, "threshold-value").text == "0.80"
d.execute_script("const c = document.getElementById('color'); c.value = '#00ff00'; c.dispatchEvent(new Event('input'))")
second = pixels(d)
for name in ("map", "mask", "cutout"):
    view(d, name)
    third, second = second, pixels(d)
    assert third != second, name
assert sent(d) == before, "a view asked the service"
print("views, threshold and colour without a request: ok")

slider = d.find_element(By.ID, "slider")
slider.send_keys(Keys.HOME)
clip = d.execute_script("return document.getElementById('after').style.clipPath")
slider.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
assert d.execute_script("return document.getElementById('after').style.clipPath") != clip
assert slider.get_attribute("aria-valuetext").startswith("2 %")
stage = d.find_element(By.ID, "stage")
stage.send_keys("+", "+", Keys.ARROW_LEFT)
assert "scale(2.25)" in d.execute_script("return document.getElementById('inner').style.transform")
stage.send_keys("0")
print("slider and zoom by keyboard: ok")

d.execute_script("document.getElementById('threshold').value = 0.5; document.getElementById('color').value = '#f000ff'")
for name, file in (("map", "cat.png"), ("mask", "cat_mask.png"), ("overlay", "cat_overlay.png"), ("cutout", "cat_cutout.png")):
    view(d, name)
    wait(d, lambda d: d.find_element(By.ID, "save").is_enabled())
    d.find_element(By.ID, "save").click()
    assert downloaded(file) == (predicted / file).read_bytes(), file
d.find_element(By.ID, "zip").click()
archive = zipfile.ZipFile(io.BytesIO(downloaded("sam2unet.zip")))
assert archive.namelist() == ["cat_cutout.png", "coffee_cutout.png"] and archive.testzip() is None
assert archive.read("coffee_cutout.png") == (predicted / "coffee_cutout.png").read_bytes()
print("downloads are predict's bytes, zip too: ok")

give(d, "paste", ["rocket.jpg"])
all_done(d, 3)
d.find_element(By.ID, "files").send_keys(str(samples / "pagoda.jpg"))
all_done(d, 4)
d.execute_cdp_cmd("Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]})
d.find_element(By.ID, "copy").click()
wait(d, lambda d: d.find_element(By.ID, "note").text == "Copied.")
d.find_element(By.ID, "camera").click()
wait(d, lambda d: d.execute_script("return document.getElementById('video').videoWidth") > 0)
d.find_element(By.ID, "shot").click()
all_done(d, 5)
print("paste, choose, clipboard, camera: ok")

d.execute_script("document.getElementById('clear').click()")
give(d, "drop", ["broken.jpg"])
wait(d, lambda d: states(d) == ["failed"])
assert "no picture" in d.find_element(By.ID, "note").text and "bad" in d.find_element(By.ID, "note").get_attribute("class")
check_axe(d, "with an error")
d.execute_script("document.getElementById('clear').click()")
give(d, "drop", ["cat.jpg", "coffee.jpg", "rocket.jpg", "pagoda.jpg", "astronaut.jpg"])
d.execute_script("document.getElementById('stop').click()")
wait(d, lambda d: "canceled" in states(d) and not {"waiting", "running"} & set(states(d)))
print("error in words, cancel: ok")
check_origin(d)
errors = [e["message"] for e in d.get_log("browser") if e["level"] == "SEVERE" and "415" not in e["message"]]
assert errors == [], errors
print("no request elsewhere, nothing in the console: ok")
d.quit()

for name, width, height, dark in (("light", 1280, 900, False), ("dark", 1280, 900, True), ("phone", 390, 844, False)):
    d = open_browser(width, height, dark)
    give(d, "drop", ["astronaut.jpg", "cat.jpg", "rocket.jpg"])
    all_done(d, 3)
    check_axe(d, name)
    if name == "dark":
        view(d, "cutout")
    assert d.execute_script("return document.documentElement.scrollWidth <= innerWidth"), name + " scrolls sideways"
    d.execute_script("scrollTo(0, 0)")
    time.sleep(0.5)
    if shots:
        d.save_screenshot(str(shots / f"service-{name}.png"))
    d.quit()
print("light, dark, phone: ok")
