import pytest

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox import ArmSandbox


def test_documented_item_is_returned_with_exact_digits(caller, example):
    """625 stays 625 and 124.37 stays 124.37, in the documented order of keys."""
    text = money.encode(money.decode(example("aritem_get_200.json")))
    assert caller.get("aritems/2218-500002-35078-0").content == text
    assert text in caller.get("aritems").content


def test_pages_contain_each_item_once(caller):
    """Following nextPage returns all items in order."""
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


def test_pages_can_be_read_in_any_order(caller):
    """Only ``queryId`` and the page number are needed."""
    summary = caller.get("aritems", params={"pagesize": "25", "onlyopen": "true"}).json()["summary"]
    later = {"query": summary["queryId"], "pageno": str(summary["totalPages"])}
    assert caller.get("aritems", params=later).json()["summary"]["pageNo"] == summary["totalPages"]
    assert caller.get(summary["lastPage"]).status_code == 200


@pytest.mark.parametrize(
    ("requested", "used"), [("4", 10), ("-3", 10), ("5", 5), ("1000", 1000), ("5000", 1000), ("100", 100)]
)
def test_page_size_limits_are_the_documented_ones(caller, requested, used):
    """Values below 5 become 10, values above 1,000 become 1,000."""
    assert caller.get("aritems", params={"pagesize": requested}).json()["summary"]["pageSizeLimit"] == used


def test_default_page_size_is_a_hundred(caller):
    """The default is documented."""
    assert caller.get("customers").json()["summary"]["pageSizeLimit"] == 100


def test_maximumcount_limits_the_list(caller):
    """The list has no more records than requested, and neither has the total."""
    summary = caller.get("aritems", params={"maximumcount": "7"}).json()["summary"]
    assert (summary["totalCount"], summary["maximumCount"], summary["currentPageSize"]) == (7, 7, 7)


def test_query_is_limited_to_ten_thousand_records(caller_of):
    """With the switch, the total is the true one."""
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
    """The bounds of every filter of the contract are inclusive."""
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
def test_filters_of_other_lists_select_records(caller, path, filters):
    """Each one returns at least one record, and fewer than without it."""
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
def test_invalid_parameter_returns_400_with_its_name(caller, query):
    """So does a plus sign that the caller did not quote."""
    response = caller.get(f"aritems?{query}")
    assert (response.status_code, response.json()["status"]) == (400, "FAILED")
    assert response.json()["errors"]


def test_unknown_filter_is_ignored_with_the_switch(box, caller):
    """This is the variant of row 7."""
    box.behave(q07_unknown_filter="ignore")
    assert caller.get("aritems?nope=1").json()["summary"]["totalCount"] == 60


def test_unknown_page_or_query_returns_404(caller):
    """Neither is an empty page."""
    query = caller.get("aritems").json()["summary"]["queryId"]
    assert caller.get(f"aritems?query={query}&pageno=2").status_code == 404
    assert caller.get(f"aritems?query={query}&pageno=0").status_code == 404
    assert caller.get("aritems?query=nope&pageno=1").status_code == 404
    assert caller.get(f"customers?query={query}&pageno=1").status_code == 404


def test_query_is_a_snapshot(box, caller, document):
    """Changes after page 1 are not visible on later pages."""
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


def test_query_expires_after_ten_minutes(box, caller):
    """The time is that of the sandbox's clock."""
    page = caller.get("aritems", params={"pagesize": "50"}).json()["summary"]["nextPage"]
    box.advance(599)
    assert caller.get(page).status_code == 200
    box.behave(token_life=3600)
    box.advance(1)
    assert caller.get(page).status_code == 410


def test_empty_list_returns_200(caller):
    """It has no records and no next page."""
    body = caller.get("aritems", params={"customerno": "none"}).json()
    assert (body["arItems"], body["summary"]["totalCount"], body["summary"]["nextPage"]) == ([], 0, None)
