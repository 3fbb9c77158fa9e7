import html.parser
import json

import requests

MARKUP = "<script>alert(1)</script>"


class Page(html.parser.HTMLParser):
    """Reads the ids and the addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.addresses = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Take note of one tag."""
        given = dict(attrs)
        self.ids |= {given["id"]} if "id" in given else set()
        self.addresses |= {given[name] for name in ("src", "href") if name in given}


def _overview(box):
    return requests.get(f"{box.url}/__sandbox__/overview", timeout=5).json()


def test_the_page_needs_nothing_from_elsewhere(box):
    """One file, with every element that its script fills."""
    answer = requests.get(f"{box.url}/", timeout=5)
    page = Page(answer.text)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert page.addresses <= {"/openapi.json", "data:,"}
    assert {
        "totals",
        "batches",
        "customers",
        "requests",
        "non_default",
        "connection",
        "reset",
        "fail",
        "lose",
    } <= page.ids
    assert "http://" not in answer.text
    assert "innerHTML" not in answer.text


def test_the_overview_shows_what_happened(box, caller, customer):
    """Batches, customers, sums, requests, switches and faults."""
    box.behave(batch_delay=30)
    box.fault({"do": "close", "match": {"method": "DELETE"}})
    caller.write("POST", "customers/batches", "customers", [customer])
    shown = _overview(box)
    assert shown["batches"][0]["state"] == "RECEIVED"
    assert shown["requests"][0]["template"].endswith("/customers/batches")
    assert shown["non_default"] == ["batch_delay = 30", "fault close before_accept (fired 0)"]
    assert {"NOK"} <= {line["currency"] for line in shown["totals"]}
    box.advance(31)
    shown = _overview(box)
    assert shown["batches"][0]["state"] == "PROCESSED"
    assert shown["customers"][0] == {"customerNo": "700001", "name": "K… S…", "accountNo": 500012, "open": 0}


def test_the_connection_on_the_page_is_the_sandbox_s(box):
    """What is pasted works."""
    assert json.loads(_overview(box)["connection"]) == box.connection()


def test_names_are_masked(box, caller, customer):
    """Neither names nor bodies show a person."""
    caller.write("POST", "customers", "customer", customer | {"name": f"Hemmelig {MARKUP}"})
    text = json.dumps(_overview(box))
    assert "Hemmelig" not in text
    assert MARKUP not in text


def test_a_page_from_elsewhere_changes_nothing(box):
    """The admin paths need no token, so a foreign origin is refused."""
    answer = requests.post(f"{box.url}/__sandbox__/reset", headers={"Origin": "https://else.example"}, timeout=5)
    assert answer.status_code == 403
    answer = requests.post(f"{box.url}/__sandbox__/reset", headers={"Origin": box.url}, timeout=5)
    assert answer.status_code == 200


def test_only_get_is_answered_for_the_page(box):
    """405 otherwise."""
    assert requests.post(f"{box.url}/", timeout=5).status_code == 405
    assert requests.post(f"{box.url}/openapi.json", timeout=5).status_code == 405
