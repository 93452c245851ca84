"""A headless Chromium, and what a person does with it: go somewhere, read, fill in, press."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.cloud.cloud import until

DRIVER = Path("/usr/bin/chromedriver")
WAIT_S = 15.0
DESKTOP, PHONE = (1360, 900), (390, 844)
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--force-device-scale-factor=1",
)  # fmt: skip


def start(profile: Path) -> webdriver.Chrome:
    """Start a Chromium whose profile is a folder of its own."""
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(str(DRIVER)))


@dataclass
class Browser:
    """One window on one cloud; `root` is the address of its web server, `pictures` where pictures go, if anywhere."""

    driver: webdriver.Chrome
    root: str
    pictures: Path | None = None

    def visit(self, path: str) -> None:
        """Go to a page of the cloud."""
        self.driver.get(self.root + path)

    @property
    def text(self) -> str:
        """Return what can be read on the page."""
        return str(self.run("return document.body ? document.body.innerText : ''"))

    @property
    def path(self) -> str:
        """Return the path and the query of the page."""
        parts = urlsplit(self.driver.current_url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def all(self, css: str) -> list[WebElement]:
        """Return what a CSS selector finds."""
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css: str) -> WebElement:
        """Return what a CSS selector finds, once it is there."""
        found: list[WebElement] = until(lambda: self.all(css), WAIT_S, f"{css} at {self.path}")
        return found[0]

    def button(self, words: str) -> WebElement:
        """Return the button or link with these words on it, once it can be seen."""
        quoted = json.dumps(words, ensure_ascii=False)
        says = f"[.//text()[normalize-space(.)={quoted}] or @value={quoted} or @title={quoted}]"
        path = f"//button{says} | //a{says} | //input[@type='submit']{says}"

        def seen() -> list[WebElement]:
            return [one for one in self.driver.find_elements(By.XPATH, path) if one.is_displayed()]

        found: list[WebElement] = until(seen, WAIT_S, f"a button or link {words!r} at {self.path}")
        return found[0]

    def press(self, words: str) -> None:
        """Press the button or link with these words on it, and wait until the page that follows is there."""
        self.follow(self.button(words))

    def follow(self, element: WebElement) -> None:
        """Click on something that leads to another page, and wait until that is there."""
        before = self.one("html")
        self._click(element)
        until(lambda: _is_gone(before), WAIT_S, f"the page after {self.path}")
        until(
            lambda: self.driver.execute_script("return document.readyState") == "complete",
            WAIT_S,
            "the whole page",
        )

    def press_here(self, css: str) -> None:
        """Click on what a CSS selector finds; the page stays."""
        self._click(self.one(css))

    def _click(self, element: WebElement) -> None:
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def fill(self, name: str, value: str) -> None:
        """Write into the field of this name."""
        field = self.one(f"[name={json.dumps(name)}]")
        field.clear()
        field.send_keys(value)

    def choose(self, name: str, value: str) -> None:
        """Choose, in a list, the option of this value."""
        self.one(f"select[name={json.dumps(name)}] option[value={json.dumps(value)}]").click()

    def wait_for(self, words: str, seconds: float = WAIT_S) -> None:
        """Wait until these words can be read."""
        until(lambda: words in self.text, seconds, f"{words!r} at {self.path}: {self.text[:2_000]}")

    def keys(self, *keys: str) -> None:
        """Press keys, one after another, wherever the focus is."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def log_in(self, user: str, password: str) -> None:
        """Log in at the operators' pages."""
        self.visit("/admin/login/?next=/admin/")
        self.fill("username", user)
        self.fill("password", password)
        self.follow(self.one("[type=submit]"))

    def log_in_as_tenant(self, user: str, password: str) -> None:
        """Log in at the tenants' pages, from wherever they ask for it."""
        if not self.path.startswith("/browse/login"):
            self.visit("/browse/login")
        self.fill("name", user)
        self.fill("password", password)
        self.press("Log in")

    def run(self, script: str) -> Any:
        """Return what a script answers."""
        return self.driver.execute_script(script)

    @contextmanager
    def without_reload(self) -> Iterator[None]:
        """Fail where the page is another one afterwards."""
        self.run("window.stays = true")
        yield
        assert self.run("return window.stays === true"), f"{self.path} was loaded anew"

    def darken(self, dark: bool) -> None:
        """Prefer a dark background, as a person may."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def resize(self, size: tuple[int, int]) -> None:
        """Give the page a size in pixels, such as a phone's."""
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def picture(self, name: str) -> None:
        """Keep a picture of the page, if pictures were asked for."""
        if self.pictures is not None:
            self.pictures.mkdir(parents=True, exist_ok=True)
            assert self.driver.save_screenshot(str(self.pictures / f"{name}.png"))

    def complaints(self) -> list[str]:
        """Return what pages wrote into the console as errors since this was asked last."""
        logged = self.driver.get_log("browser")
        return [entry["message"] for entry in logged if entry["level"] == "SEVERE"]

    def refused(self, status: int) -> None:
        """Expect that the console says of the pages since it was asked last that one was refused, and no more."""
        found = self.complaints()
        assert len(found) == 1, found
        assert f"the server responded with a status of {status} " in found[0]

    def strangers(self) -> list[str]:
        """Return what pages asked of anybody but the cloud since this was asked last."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [
            url for url in asked if not url.startswith((self.root, "data:", "blob:", "about:", "chrome:"))
        ]


def _is_gone(element: WebElement) -> bool:
    try:
        element.is_enabled()
    except WebDriverException:
        return True
    return False
