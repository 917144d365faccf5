"""A headless Chromium, driven by chromedriver over W3C WebDriver's HTTP: for tests of pages, without a library."""
import base64
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest
import urllib.request

from .waiting import wait_until

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def found():
    """Both programs, or None."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver") or shutil.which("chromium.chromedriver")
    return (browser, driver) if browser and driver else None


def needs_browser(test):
    """Skips where there is no Chromium, and says so; where CI=true it has to be there."""
    if found() or os.environ.get("CI") == "true":
        return test
    return unittest.skip("no chromium and chromedriver here (Debian: chromium chromium-driver)")(test)


class Browser:
    """One window. Every call ends within its deadline; on exit all processes are gone."""

    def __init__(self, width=1100, height=900, dark=False):
        self.size = (width, height)
        self.dark = dark

    def __enter__(self):
        programs = found()
        if not programs:
            raise AssertionError("no chromium and chromedriver: ./dev setup test installs them")
        browser, driver = programs
        self.folder = tempfile.mkdtemp(prefix="sluice-browser-")
        self.log = open(os.path.join(self.folder, "driver.log"), "w+")
        self.process = subprocess.Popen([driver, "--port=0"], stdout=self.log, stderr=subprocess.STDOUT,
                                        stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            port = wait_until(self.port, lambda: "chromedriver listens:\n" + self.said(), 20)
            self.url = "http://127.0.0.1:%s" % port
            arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                         "--no-proxy-server", "--hide-scrollbars", "--window-size=%d,%d" % self.size,
                         "--user-data-dir=" + os.path.join(self.folder, "profile")]
            if self.dark:
                arguments.append("--blink-settings=preferredColorScheme=0")
            wanted = {"goog:chromeOptions": {"binary": browser, "args": arguments},
                      "goog:loggingPrefs": {"browser": "ALL"},
                      "timeouts": {"pageLoad": 20000, "script": 20000}}
            made = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}}, 60)
            self.url += "/session/" + made["sessionId"]
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        try:
            self.call("DELETE", "", None, 10)
        except (OSError, AssertionError):
            pass  # the driver is ended in any case, and what the test has found is what is told
        finally:
            self.end()

    def end(self):
        # The driver leads a session of its own: whatever is left of it goes with it.
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def said(self):
        self.log.flush()
        with open(self.log.name) as file:
            return file.read()

    def port(self):
        match = re.search(r"started successfully on port (\d+)", self.said())
        return match and match[1]

    def call(self, method, path, body=None, deadline_s=30):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method,
                                         headers={"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=deadline_s) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError("%s %s: %s" % (method, path, error.read().decode(errors="replace"))) from None

    # What a person does

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """What a function with this body returns."""
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector):
        return self.run("const e = document.querySelector(arguments[0]); return e && e.innerText", selector)

    def click(self, selector):
        element = self.call("POST", "/element", {"using": "css selector", "value": selector})
        self.call("POST", "/element/%s/click" % element[ELEMENT], {})

    def screenshot(self, path=None):
        """The PNG of what the window shows."""
        png = base64.b64decode(self.call("GET", "/screenshot"))
        if path:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(png)
        return png

    def errors(self):
        """What the console has said since the last call, but for mere information."""
        said = self.call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in said if entry["level"] not in ("INFO", "DEBUG")]
