import html.parser
import json

import requests

MARKUP = "<script>alert(1)</script>"


class Page(html.parser.HTMLParser):
    """Parser of the ids and addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.addresses = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Store ids and addresses of one tag."""
        given = dict(attrs)
        self.ids |= {given["id"]} if "id" in given else set()
        self.addresses |= {given[name] for name in ("src", "href") if name in given}


def _overview(box):
    return requests.get(f"{box.url}/__sandbox__/overview", timeout=5).json()


def test_page_is_one_file_with_all_elements(box):
    """It has every element that its script fills, and loads nothing from other addresses."""
    response = requests.get(f"{box.url}/", timeout=5)
    page = Page(response.text)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
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
    assert "http://" not in response.text
    assert "innerHTML" not in response.text


def test_overview_has_the_current_state(box, caller, customer):
    """It contains batches, customers, sums, requests, switches and faults."""
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


def test_connection_on_the_page_works(box):
    """It is the connection of this sandbox."""
    assert json.loads(_overview(box)["connection"]) == box.connection()


def test_names_are_masked(box, caller, customer):
    """Neither names nor bodies contain personal data."""
    caller.write("POST", "customers", "customer", customer | {"name": f"Hemmelig {MARKUP}"})
    text = json.dumps(_overview(box))
    assert "Hemmelig" not in text
    assert MARKUP not in text


def test_admin_call_from_a_foreign_origin_is_refused(box):
    """The admin paths need no token."""
    response = requests.post(f"{box.url}/__sandbox__/reset", headers={"Origin": "https://else.example"}, timeout=5)
    assert response.status_code == 403
    response = requests.post(f"{box.url}/__sandbox__/reset", headers={"Origin": box.url}, timeout=5)
    assert response.status_code == 200


def test_page_returns_405_for_other_methods(box):
    """Only GET is allowed."""
    assert requests.post(f"{box.url}/", timeout=5).status_code == 405
    assert requests.post(f"{box.url}/openapi.json", timeout=5).status_code == 405
