"""The page in a real browser (Debian's chromium and chromium-driver): drop, paste, views, threshold, slider by
keyboard, download, zip, cancel, error, axe, no request to anywhere else.
browser.py http://HOST:PORT/ PREDICTED FOLDER [SCREENSHOTS]: PREDICTED holds predict's results of samples/, FOLDER takes downloads."""
import io
import pathlib
import sys
import time
import zipfile

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import page
from page import all_done, check_axe, check_origin, downloaded, give, open_page, pixels, samples, sent, states, view, wait

predicted = pathlib.Path(sys.argv[2])
shots = pathlib.Path(sys.argv[4]) if len(sys.argv) > 4 else None
page.use(sys.argv[1], sys.argv[3])


d = open_page(1280, 900)
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
    d = open_page(width, height, dark)
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
