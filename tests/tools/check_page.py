#!/usr/bin/env python3
"""Opens the page of a running `moge serve` in headless Chromium, asks, and looks.

    venv/bin/python tests/tools/check_page.py http://127.0.0.1:8080 SCREENSHOT.png PROMPT
"""
import json
import sys

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

url, screenshot, prompt = sys.argv[1:]
options = webdriver.ChromeOptions()
options.binary_location = "/usr/bin/chromium"
for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--window-size=1200,800", "--hide-scrollbars"):
    options.add_argument(word)
options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))


def requested():
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            yield message["params"]["request"]["url"]


def look():
    driver.get(url)
    wait = WebDriverWait(driver, 60)
    wait.until(lambda d: d.execute_script("return state.meta !== null"))
    driver.find_element(By.ID, "prompt").send_keys(prompt)
    driver.find_element(By.ID, "send").click()
    wait.until(lambda d: "(" in d.find_element(By.ID, "status").text)
    said = driver.find_element(By.ID, "status").text
    assert "tokens/s" in said, said
    assert len(driver.find_element(By.ID, "answer").text) > len(prompt), "no answer is shown"
    meta, counts = driver.execute_script("return [state.meta, Array.from(state.counts)]")
    cells = meta["num_layers"] * meta["num_experts"]
    assert len(counts) == cells and cells > 0, (len(counts), meta)
    assert sum(counts) > 0 and sum(counts) % (meta["num_layers"] * meta["num_experts_per_tok"]) == 0
    lit = driver.execute_script("""const c = document.getElementById("map"), seen = new Set();
        const p = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        for (let i = 0; i < p.length; i += 4) seen.add(p[i] << 16 | p[i + 1] << 8 | p[i + 2]);
        return seen.size""")
    assert lit > 3, f"the map has {lit} colors only"
    driver.save_screenshot(screenshot)
    errors = [e for e in driver.get_log("browser") if e["level"] == "SEVERE"]
    assert not errors, errors
    outside = [u for u in requested() if u.startswith("http") and not u.startswith(url)]
    assert not outside, outside
    print(f"page: {said}; {cells} cells, {sum(c > 0 for c in counts)} lit, no outside request, no error")


try:
    look()
finally:
    driver.quit()
