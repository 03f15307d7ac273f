# SPDX-License-Identifier: MIT
"""A headless Chromium, driven by chromedriver through the WebDriver protocol."""
import contextlib
import json
import re
import subprocess
import urllib.request

import tap

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--window-size=1200,1400"]
TAB, ENTER, LEFT, RIGHT, DOWN = "\ue004", "\ue007", "\ue012", "\ue014", "\ue015"  # keys, by the protocol
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's name for a reference

needed = tap.tool("chromedriver", "chromium")


class Browser:
    def __init__(self, port, profile):
        self.base = f"http://127.0.0.1:{port}/session"
        options = {"args": [*FLAGS, f"--user-data-dir={profile}"], "binary": tap.find_tool("chromium")}
        found = self._send("POST", "", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.base += "/" + found["sessionId"]

    def _send(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, path):
        self._send("POST", "/url", {"url": f"file://{path}"})

    def run(self, text, *arguments):
        """What a function body returns."""
        return self._send("POST", "/execute/sync", {"script": text, "args": list(arguments)})

    def find(self, selector):
        return self._send("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def text(self, selector):
        return self._send("GET", f"/element/{self.find(selector)}/text")

    def click(self, selector):
        self._send("POST", f"/element/{self.find(selector)}/click", {})

    def hover(self, x, y):
        """@x, @y: pixels of the window."""
        move = {"type": "pointerMove", "duration": 0, "x": round(x), "y": round(y)}
        self._send("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": [move]}]})

    def wheel(self, x, y, delta):
        scroll = {"type": "scroll", "x": round(x), "y": round(y), "deltaX": 0, "deltaY": delta, "duration": 0}
        self._send("POST", "/actions", {"actions": [{"type": "wheel", "id": "wheel", "actions": [scroll]}]})

    def press(self, *keys):
        """Types keys into what has the focus: characters, or TAB, ENTER and the like."""
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._send("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": strokes}]})

    def complaints(self):
        """Errors that the page's script made."""
        return [entry["message"] for entry in self._send("POST", "/se/log", {"type": "browser"})
                if entry["level"] == "SEVERE"]

    def close(self):
        self._send("DELETE", "")


@contextlib.contextmanager
def started(folder):
    with subprocess.Popen([tap.find_tool("chromedriver"), "--port=0"], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL) as driver:
        try:
            port = next(found[1] for found in (re.search(r"successfully on port (\d+)", line) for line in driver.stdout) if found)
            browser = Browser(port, folder)
            try:
                yield browser
            finally:
                browser.close()
        finally:
            driver.terminate()
