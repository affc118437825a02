"""The page of a service that asks for a token and has a second model, of several classes.
browser_token.py http://HOST:PORT/ TOKEN PREDICTED FOLDER [SCREENSHOTS]: PREDICTED holds predict's results of that model of samples/cat.jpg"""
import pathlib
import sys

from selenium.webdriver.common.by import By

import page
from page import all_done, check_axe, check_origin, downloaded, give, open_browser, pixels, view, wait

token, predicted = sys.argv[2], pathlib.Path(sys.argv[3])
page.use(sys.argv[1], sys.argv[4])
shots = pathlib.Path(sys.argv[5]) if len(sys.argv) > 5 else None


def answer(d, text):
    wait(d, lambda d: d.execute_script("return document.getElementById('token-box').open"))
    box = d.find_element(By.ID, "token")
    box.clear()
    box.send_keys(text)
    d.find_element(By.CSS_SELECTOR, "#token-box button").click()


d = open_browser(1280, 900)
wait(d, lambda d: d.execute_script("return document.getElementById('token-box').open"))
check_axe(d, "asking for the token")
answer(d, "not the token")
answer(d, token)
wait(d, lambda d: len(d.find_elements(By.CSS_SELECTOR, "#model option")) == 2)
assert not d.execute_script("return document.getElementById('token-box').open")
assert token not in d.current_url and token not in d.execute_script("return JSON.stringify([localStorage, sessionStorage, document.cookie])")
print("token: asked for, a wrong one asked for again, kept nowhere: ok")

d.execute_script("const m = document.getElementById('model'); m.value = 'parts'; m.dispatchEvent(new Event('change'))")
give(d, "drop", ["cat.jpg"])
all_done(d, 1)
legend = [e.text for e in d.find_elements(By.CSS_SELECTOR, "#legend li")]
assert legend == ["background", "thing", "edge"], legend
assert [e.get_attribute("value") for e in d.find_elements(By.CSS_SELECTOR, "#views input")] == ["classes", "mask", "cutout"]
assert not d.find_element(By.ID, "threshold").is_displayed(), "a threshold means nothing for several classes"
first = pixels(d)
check_axe(d, "with classes")
if shots:
    d.save_screenshot(str(shots / "service-classes.png"))
for name, file in (("classes", "cat_overlay.png"), ("mask", "cat_mask.png"), ("cutout", "cat_cutout.png")):
    view(d, name)
    assert name == "classes" or pixels(d) != first, name
    wait(d, lambda d: d.find_element(By.ID, "save").is_enabled())
    d.find_element(By.ID, "save").click()
    assert downloaded(file) == (predicted / file).read_bytes(), file
print("classes: legend, views, downloads are predict's bytes: ok")

# The other model again, in the same page.
d.execute_script("const m = document.getElementById('model'); m.value = 'sam2unet'; m.dispatchEvent(new Event('change'))")
give(d, "drop", ["coffee.jpg"])
all_done(d, 2)
d.find_elements(By.CSS_SELECTOR, "#list .pick")[1].click()
wait(d, lambda d: [e.get_attribute("value") for e in d.find_elements(By.CSS_SELECTOR, "#views input")] == ["overlay", "map", "mask", "cutout"])
assert not d.find_element(By.ID, "legend").is_displayed()
check_origin(d)
d.quit()
print("both models in one page: ok")
