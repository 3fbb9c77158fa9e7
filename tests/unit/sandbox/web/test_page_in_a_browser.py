"""The page in a headless browser, controlled by its debugging protocol."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess

import aiohttp
import pytest

from airflow_provider_arm.sandbox import ArmSandbox

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None
)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine")


class Tab:
    """Page of a browser, in which expressions can be evaluated."""

    def __init__(self, socket):
        self._socket = socket
        self._number = 0
        self.errors = []

    async def call(self, method, **parameters):
        """Send a command of the debugging protocol."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json()
            if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.errors.append(message["params"])
            if message.get("id") == self._number:
                return message.get("result", {})

    async def value(self, expression):
        """Return the value of *expression*; ``None`` if it fails, as while the page is loading."""
        found = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        return found.get("result", {}).get("value") if "exceptionDetails" not in found else None

    async def until(self, expression):
        """Wait until *expression* is true."""
        while not await self.value(f"Boolean({expression})"):
            pass


async def _browse(folder, url, work):
    command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    command += [f"--user-data-dir={folder}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:  # noqa: ASYNC220
        try:
            port_file = folder / "DevToolsActivePort"
            while not (port_file.exists() and port_file.read_text().count("\n")):
                assert browser.poll() is None, "the browser did not start"
                await asyncio.sleep(0.01)
            port = port_file.read_text().split()[0]
            async with aiohttp.ClientSession() as session:
                async with session.put(f"http://127.0.0.1:{port}/json/new?{url}") as response:
                    tab = await response.json()
                async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    page = Tab(socket)
                    await page.call("Runtime.enable")
                    await page.call("Log.enable")
                    await page.until("document.querySelectorAll('#customers tbody tr').length")
                    await work(page)
        finally:
            browser.terminate()


def _text(selector):
    return f"document.querySelector({json.dumps(selector)}).innerText"


def test_page_shows_the_state_and_its_buttons_work(box, tmp_path):
    """It shows customers, sums and the connection; batch, clock, faults and reset work."""

    async def work(page):
        assert await page.value("document.title") == "ARM sandbox"
        assert await page.value("document.getElementById('client').hidden")
        assert "airflow connections add arm_default" in await page.value(_text("#connection"))
        assert "NOK" in await page.value(_text("#totals"))
        await page.value("document.getElementById('slow').click()")
        await page.until(f"{_text('#non_default')}.includes('batch_delay = 30')")
        await page.value("document.getElementById('sample').click()")
        await page.until(f"{_text('#batches')}.includes('RECEIVED')")
        await page.value("document.querySelector('[data-advance=\"60\"]').click()")
        await page.until(f"{_text('#batches')}.includes('PARTIAL')")
        await page.value("document.getElementById('fail').click()")
        await page.until(f"{_text('#non_default')}.includes('fault status')")
        await page.value("document.getElementById('sample').click()")
        await page.until(f"{_text('#message')}.includes('refused with 503')")
        await page.value("document.getElementById('clear').click()")
        await page.until(f"!{_text('#non_default')}.includes('fault')")
        await page.value("document.getElementById('lose').click()")
        await page.until(f"{_text('#non_default')}.includes('fault status after_accept')")
        await page.value("document.getElementById('sample').click()")
        await page.until(f"{_text('#message')}.includes('refused with 504')")
        await page.value("document.getElementById('reset').click()")
        await page.until(f"{_text('#batches')}.includes('none yet')")
        assert [one for one in page.errors if "exceptionDetails" in one] == []

    asyncio.run(_browse(tmp_path, f"{box.url}/", work))
    assert box.ledger()["customers"] == {}


def test_page_shows_the_chosen_client_number(tmp_path):
    """The sample batch is sent under it; with one client number there is no choice."""

    async def work(page):
        client = "document.getElementById('client')"
        assert await page.value(f"{client}.innerText.split(/\\s+/).join(' ')") == "client 2218 client 2219"
        await page.value(f"{client}.value = 2219; {client}.dispatchEvent(new Event('change'))")
        await page.until(f"{_text('#connection')}.includes('\"client_no\": 2219')")
        await page.value("document.getElementById('sample').click()")
        await page.until(f"{_text('#batches')}.includes('customers')")

    with ArmSandbox(ar_items=10, clients=[2218, 2219], batch_delay=0) as box:
        asyncio.run(_browse(tmp_path, f"{box.url}/", work))
        assert [len(box.ledger(number)["customers"]) for number in box.clients] == [0, 4]


def test_markup_in_a_record_is_shown_as_text(box, caller, tmp_path):
    """A customer number that contains a tag stays text."""
    caller.write(
        "POST", "customers", "customer", {"customerNo": "<img src=x onerror=document.title='hit'>", "name": "x"}
    )

    async def work(page):
        await page.until(f"{_text('#customers')}.includes('<img')")
        assert await page.value("document.title") == "ARM sandbox"
        assert await page.value("document.querySelectorAll('main img').length") == 0

    asyncio.run(_browse(tmp_path, f"{box.url}/", work))
