import re
from pathlib import Path

import pytest

from airflow_provider_arm.sandbox.api.titles import HANDLERS
from airflow_provider_arm.sandbox.state.faults import FAULT_KINDS
from airflow_provider_arm.sandbox.state.switches import SWITCHES

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "sandbox-differences.md"


def test_every_test_named_on_the_page_exists():
    """Each difference on the page is shown by a test."""
    sources = [*(ROOT / "tests" / "unit" / "sandbox").rglob("*.py"), *(ROOT / "tests" / "faults").rglob("*.py")]
    texts = [source.read_text("utf-8") for source in sources]
    defined = {name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text("utf-8")))
    assert named
    assert named - defined == set()


def test_every_switch_and_every_fault_is_on_the_page():
    """The page contains its name."""
    text = PAGE.read_text("utf-8")
    assert [switch.name for switch in SWITCHES if f"`{switch.name}`" not in text] == []
    assert [kind for kind in FAULT_KINDS if f"`{kind}`" not in text] == []


def test_missing_operations_return_404(caller):
    """The body has ARM's format."""
    for path in ("nosuch", "insights", "files/1", "logitems/9"):
        response = caller.get(path)
        assert (response.status_code, response.json()["status"]) == (404, "FAILED")


@pytest.mark.parametrize("path", HANDLERS)
def test_lists_named_by_title_have_a_few_invented_records(caller, path):
    """One page; another one, or a filter, is refused."""
    body = caller.get(path).json()
    (key,) = set(body) - {"summary"}
    assert body["summary"]["totalCount"] == len(body[key])
    assert caller.get(f"{path}?pageno=2").status_code == caller.get(f"{path}?x=1").status_code == 400


@pytest.mark.parametrize("path", ["logitems/1", "documentbundles/B-1", "clientconfigs/currency", "glmovements/latest"])
def test_record_named_by_title_is_one_of_its_list(caller, path):
    """The identifier is the first field of a record."""
    response = caller.get(path)
    body = caller.get(path.partition("/")[0]).json()
    (key,) = set(body) - {"summary"}
    assert response.status_code == 200
    assert response.json() in body[key]


@pytest.mark.parametrize(("path", "key"), [("actions", "action"), ("actions/reports", "report")])
def test_action_named_by_title_is_accepted_without_an_effect(caller, box, path, key):
    """Anything but an object is refused."""
    totals = box.totals()
    assert caller.write("POST", path, key, {"type": "REMINDER"}).json()["status"] == "PROCESSED"
    assert caller.write("POST", path, key, []).status_code == 422
    assert box.totals() == totals


def test_expand_and_language_have_no_effect(caller):
    """Both are accepted."""
    plain = caller.get("customers/543210").content
    assert caller.get("customers/543210?expand=all&userid=x", headers={"Accept-Language": "no"}).content == plain


def test_pending_polls_return_202(box, caller, customer):
    """The number of polls counts, whatever time has passed."""
    box.behave(pending_polls=2)
    uuid = caller.write("POST", "customers/batches", "customers", [customer]).json()["batchUuid"]
    assert [caller.get(f"batches/{uuid}").status_code for _ in range(3)] == [202, 202, 200]


def test_changed_address_sets_its_date(box, caller, customer):
    """An unchanged address does not."""
    caller.write("POST", "customers", "customer", customer)
    caller.write("PUT", "customers", "customer", customer)
    assert "postalAddressChanged" not in caller.get("customers/700001").json()
    caller.write("PUT", "customers", "customer", {"customerNo": "700001", "postalAddress": {"cityName": "Bergen"}})
    assert caller.get("customers/700001").json()["postalAddressChanged"] == box.now().date().isoformat()


def test_invoice_in_another_currency_is_booked_in_both(caller, document):
    """The rate is fixed."""
    caller.write("POST", "documents", "document", document | {"currency": "eur"})
    (item,) = caller.get("aritems", params={"documentno": document["documentNo"]}).json()["arItems"]
    assert (item["currency"], item["currencyAmount"], item["glAmount"]) == ("EUR", 1000, 11500)


def test_uploaded_files_have_a_status_each(caller):
    """207 if they differ; the list of files has those that are stored."""
    good, bad = {"fileName": "a.pdf", "content": "QUJD"}, {"fileName": "b.pdf", "content": "?"}
    response = caller.write("POST", "files", "files", [good, bad])
    assert (response.status_code, [file["status"] for file in response.json()["files"]]) == (
        207,
        ["PROCESSED", "FAILED"],
    )
    assert caller.write("POST", "files", "files", [bad]).status_code == 422
    assert caller.write("POST", "files", "files", []).status_code == 422
    (stored,) = caller.get("files").json()["files"]
    assert (stored["fileName"], stored["size"]) == ("a.pdf", 3)
    assert "content" not in stored
    assert caller.get(f"files/{stored['fileId']}").json()["content"] == "QUJD"
