"""A headless Chromium, told what to do through its DevTools protocol."""

import asyncio
import base64
import json
import shutil
import subprocess
import time
import urllib.request

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One page; a context manager that ends the browser."""

    def __init__(self, folder):
        self._folder = folder / "chromium"

    def __enter__(self):
        command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        command += [f"--user-data-dir={self._folder}", "--remote-debugging-port=0", "--window-size=1500,1100"]
        self._process = subprocess.Popen(
            [*command, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._port = int(self._wait_for(lambda: (self._folder / "DevToolsActivePort").read_text().split()[0]))
        return self

    def __exit__(self, *error):
        self._process.terminate()
        self._process.wait(20)

    def text(self, url, wanted, seconds=60, shot=None):
        """The text of the page at `url` as soon as it holds every one of `wanted`, or at last.

        `shot` is a file for a picture of the page.
        """
        return asyncio.run(self._text(url, wanted, seconds, shot))

    async def _text(self, url, wanted, seconds, shot):
        async with aiohttp.ClientSession() as session, session.ws_connect(self._page()) as socket:
            await _call(socket, "Page.navigate", url=url)
            text, deadline = "", time.monotonic() + seconds
            while time.monotonic() < deadline and not all(part in text for part in wanted):
                await asyncio.sleep(0.5)
                text = await _evaluate(socket, "document.body ? document.body.innerText : ''") or ""
            if shot is not None:
                picture = await _call(socket, "Page.captureScreenshot")
                shot.write_bytes(base64.b64decode(picture["data"]))
            return text

    def _page(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/json") as answer:
            pages = json.loads(answer.read())
        return next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")

    def _wait_for(self, ask):
        deadline = time.monotonic() + 30
        while True:
            try:
                return ask()
            except (OSError, IndexError):
                assert time.monotonic() < deadline, "chromium does not start"
                time.sleep(0.1)


async def _call(socket, method, **parameters):
    await socket.send_json({"id": 1, "method": method, "params": parameters})
    while True:
        answer = await socket.receive_json()
        if answer.get("id") == 1:
            return answer.get("result", {})


async def _evaluate(socket, code):
    answer = await _call(socket, "Runtime.evaluate", expression=code, returnByValue=True)
    return answer.get("result", {}).get("value")
