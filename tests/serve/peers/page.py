"""What the tests of the page share: a browser (Debian's chromium and chromium-driver), and what people do in it."""
import base64
import json
import pathlib
import time

from axe_selenium_python import Axe
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

samples = pathlib.Path(__file__).resolve().parents[3] / "samples"
base, folder = "", pathlib.Path()  # of the service, and where downloads go


def use(address, downloads):
    global base, folder
    base, folder = address, pathlib.Path(downloads)


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
    return d


def open_page(width, height, dark=False):
    d = open_browser(width, height, dark)
    wait(d, lambda d: d.find_elements(By.CSS_SELECTOR, "#model option"))
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
