import pytest

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox import ArmSandbox


def test_the_documented_item_comes_back_digit_for_digit(caller, example):
    """625 stays 625 and 124.37 stays 124.37, in the documented order of keys."""
    text = money.encode(money.decode(example("aritem_get_200.json")))
    assert caller.get("aritems/2218-500002-35078-0").content == text
    assert text in caller.get("aritems").content


def test_pages_put_together_are_the_whole_list(caller):
    """Following nextPage gives every item once, in order."""
    page = caller.get("aritems", params={"pagesize": "25"}).json()
    assert page["summary"]["totalCount"] == 60
    assert page["summary"]["totalPages"] == 3
    found = [item["arItemId"] for item in page["arItems"]]
    while page["summary"]["nextPage"]:
        page = caller.get(page["summary"]["nextPage"]).json()
        found += [item["arItemId"] for item in page["arItems"]]
    assert page["summary"]["pageNo"] == 3
    assert page["summary"]["currentPageSize"] == 10
    assert len(found) == len(set(found)) == 60


def test_pages_can_be_asked_for_in_any_order(caller):
    """The server keeps the query: only its id and a page number are needed."""
    summary = caller.get("aritems", params={"pagesize": "25", "onlyopen": "true"}).json()["summary"]
    later = {"query": summary["queryId"], "pageno": str(summary["totalPages"])}
    assert caller.get("aritems", params=later).json()["summary"]["pageNo"] == summary["totalPages"]
    assert caller.get(summary["lastPage"]).status_code == 200


@pytest.mark.parametrize(
    ("asked", "used"), [("4", 10), ("-3", 10), ("5", 5), ("1000", 1000), ("5000", 1000), ("100", 100)]
)
def test_page_sizes_follow_the_reference(caller, asked, used):
    """Below 5 becomes 10, above 1000 becomes 1000."""
    assert caller.get("aritems", params={"pagesize": asked}).json()["summary"]["pageSizeLimit"] == used


def test_the_default_page_has_a_hundred(caller):
    """The documented default."""
    assert caller.get("customers").json()["summary"]["pageSizeLimit"] == 100


def test_maximumcount_cuts_the_list(caller):
    """No more records than asked for, and the total says so."""
    summary = caller.get("aritems", params={"maximumcount": "7"}).json()["summary"]
    assert (summary["totalCount"], summary["maximumCount"], summary["currentPageSize"]) == (7, 7, 7)


def test_a_query_is_cut_at_ten_thousand(caller_of):
    """The cap of the API, and its switch: the true total beside the cut records."""
    with ArmSandbox(ar_items=10_050, customers=10) as box:
        caller = caller_of(box)
        summary = caller.get("aritems", params={"pagesize": "1000"}).json()["summary"]
        assert (summary["totalCount"], summary["totalPages"], summary["maximumCount"]) == (10_000, 10, 10_000)
        box.behave(q09_total="true")
        summary = caller.get("aritems", params={"pagesize": "1000"}).json()["summary"]
        assert (summary["totalCount"], summary["totalPages"]) == (10_050, 10)


@pytest.mark.parametrize(
    "filters",
    [
        {"customerno": "543210"},
        {"documentno": "88776655"},
        {"kid": "500221850000200350786"},
        {"fromvoucherdate": "2025-02-27", "tovoucherdate": "2025-02-27"},
        {"fromduedate": "2025-04-01", "toduedate": "2025-04-01"},
        {"fromcreatedtime": "2025-02-27T17:03:36.176+01:00", "tocreatedtime": "2025-02-27T16:03:36.176Z"},
        {"fromcreatedtime": "2025-02-27", "tocreatedtime": "2025-02-27"},
        {"onlyopen": "TRUE", "customerno": "543210"},
    ],
)
def test_filters_find_the_documented_item(caller, filters):
    """Every filter of the contract, with inclusive bounds."""
    items = caller.get("aritems", params=filters).json()["arItems"]
    assert "2218-500002-35078-0" in [item["arItemId"] for item in items]
    assert len(items) < 60


@pytest.mark.parametrize(
    ("path", "filters"),
    [
        ("customers", {"customerno": "543210"}),
        ("customers", {"name": "armstr"}),
        ("customers", {"organizationno": "984842252"}),
        ("glitems", {"glyear": "2025", "glperiod": "2"}),
        ("documents", {"fromdocumentdate": "2025-01-01", "todocumentdate": "2025-01-31"}),
    ],
)
def test_the_other_lists_have_their_filters(caller, path, filters):
    """Fewer records than without the filter, and at least one."""
    found = caller.get(path, params=filters).json()["summary"]["totalCount"]
    assert 0 < found < caller.get(path).json()["summary"]["totalCount"]


@pytest.mark.parametrize(
    "query",
    [
        "voucherdate=2025-01-01",
        "Onlyopen=true",
        "onlyopen=yes",
        "fromvoucherdate=01.01.2025",
        "fromcreatedtime=noon",
        "fromcreatedtime=2025-02-27T17:03:36.176+01:00",
        "pagesize=ten",
        "maximumcount=0",
        "pageno=x",
        "pagesize=5&pagesize=6",
        "query=x&onlyopen=true",
    ],
)
def test_a_wrong_parameter_is_refused(caller, query):
    """400 with the parameter's name: also a plus sign that the caller forgot to quote."""
    answer = caller.get(f"aritems?{query}")
    assert (answer.status_code, answer.json()["status"]) == (400, "FAILED")
    assert answer.json()["errors"]


def test_an_unknown_filter_can_be_ignored(box, caller):
    """The variant of row 7."""
    box.behave(q07_unknown_filter="ignore")
    assert caller.get("aritems?nope=1").json()["summary"]["totalCount"] == 60


def test_an_unknown_page_or_query_is_404(caller):
    """Neither is an empty page."""
    query = caller.get("aritems").json()["summary"]["queryId"]
    assert caller.get(f"aritems?query={query}&pageno=2").status_code == 404
    assert caller.get(f"aritems?query={query}&pageno=0").status_code == 404
    assert caller.get("aritems?query=nope&pageno=1").status_code == 404
    assert caller.get(f"customers?query={query}&pageno=1").status_code == 404


def test_a_query_is_a_snapshot(box, caller, document):
    """What happens after page 1 is not seen by the pages that follow."""
    summary = caller.get("aritems", params={"pagesize": "50"}).json()["summary"]
    before = caller.get(summary["nextPage"]).content
    caller.write(
        "PUT",
        "aritems",
        "arItem",
        {"arItemId": caller.get(summary["nextPage"]).json()["arItems"][0]["arItemId"], "transactionText": "Changed"},
    )
    caller.write("POST", "documents", "document", document)
    assert caller.get(summary["nextPage"]).content == before


def test_a_query_expires_after_ten_minutes(box, caller):
    """On the sandbox's clock."""
    page = caller.get("aritems", params={"pagesize": "50"}).json()["summary"]["nextPage"]
    box.advance(599)
    assert caller.get(page).status_code == 200
    box.behave(token_life=3600)
    box.advance(1)
    assert caller.get(page).status_code == 410


def test_an_empty_list_is_200(caller):
    """No records, no next page."""
    body = caller.get("aritems", params={"customerno": "none"}).json()
    assert (body["arItems"], body["summary"]["totalCount"], body["summary"]["nextPage"]) == ([], 0, None)
