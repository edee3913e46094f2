"""Drives the page of `moge serve` in headless Chromium, for check_page.py."""
import json
import time

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys


def chromium(downloads):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 "--window-size=1400,1000", "--hide-scrollbars", "--lang=en"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService("/usr/bin/chromedriver")
    driver = webdriver.Chrome(options=options, service=service)
    driver.execute_cdp_cmd("Browser.setDownloadBehavior",
                           {"behavior": "allow", "downloadPath": str(downloads)})
    return driver


class BrowserPage:
    def __init__(self, driver, url):
        self.driver, self.url = driver, url
        self.outside, self.errors = [], []

    def open(self):
        self.driver.get(self.url)
        self.until("page.meta !== null && page.conversation !== null", "the page does not connect")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def value(self, expression, *arguments):
        return self.run("return " + expression, *arguments)

    def until(self, expression, complaint, *arguments, seconds=60):
        end = time.monotonic() + seconds
        while not (found := self.value(expression, *arguments)):
            assert time.monotonic() < end, f"{complaint}: {expression}"
            time.sleep(0.03)
        return found

    def find(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def texts(self, css):
        return self.value("[...document.querySelectorAll(arguments[0])].map(e => e.textContent)", css)

    def press(self, *keys, alt=False):
        chain = ActionChains(self.driver)
        if alt:
            chain.key_down(Keys.ALT)
        chain.send_keys(*keys)
        if alt:
            chain.key_up(Keys.ALT)
        chain.perform()

    def send(self, text):
        self.find("#prompt").send_keys(text.replace("\n", Keys.SHIFT + Keys.ENTER + Keys.NULL))
        self.find("#prompt").send_keys(Keys.ENTER)

    def ask(self, text):
        self.send(text)
        return self.answer()

    def answer(self):
        """Waits for the end of the answer and what the page shows of it: (text, stats)."""
        self.until("page.generation === null && document.querySelector('.message.assistant')",
                   "no answer ends")
        self.settle()
        return self.texts(".message.assistant .body")[-1], self.texts(".message.assistant .stats")[-1]

    def settle(self):
        """Waits until what was asked to be painted is painted, and kept."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame("
            "() => setTimeout(done, 50)))")

    def set(self, name, text):
        """Types into a field of the settings."""
        self.run("""const input = document.getElementById("set-" + arguments[0]);
            input.value = arguments[1]; input.dispatchEvent(new Event("input"))""", name, text)

    def defaults(self):
        """The page's own settings, but no model ends before it has said something."""
        self.run("page.settings.set({...kDefaults, min_tokens: '12'})")

    def choose(self, css):
        self.find(css).find_element(By.XPATH, "..").click()
        self.settle()

    def emulate(self, width=None, height=None, dark=None):
        if width:
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
                "width": width, "height": height, "deviceScaleFactor": 2 if width < 600 else 1,
                "mobile": width < 600})
        if dark is not None:
            self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
                {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
        self.settle()

    def read_logs(self):
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                asked = message["params"]["request"]["url"]
                if asked.startswith("http") and not asked.startswith(self.url):
                    self.outside.append(asked)
        self.errors += [e for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]
