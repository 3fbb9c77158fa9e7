"""Documented behaviour of reads, checked on the sandbox and on a real ARM."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_arm.client import ArmAuthenticationError, ArmClient, ArmNotFoundError, StaticToken
from tests.contract.observer.wire import get_token

UNKNOWN_CUSTOMER = "UNKNOWN-0-VERIFY"
LISTS = ["customers", "aritems", "glitems"]
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d")
DAY = re.compile(r"\d{4}-\d\d-\d\d")


def records(response):
    """Return the only list beside the summary."""
    (found,) = [value for name, value in response.object.items() if name != "summary"]
    return found


def pages(arm, resource, size, most):
    """Return page 1 and its summary; skip the test if the list has fewer than three pages."""
    first = arm.wire.get(resource, pagesize=size, maximumcount=most)
    summary = first.object["summary"]
    if summary["totalPages"] < 3:
        pytest.skip(f"{resource} of this client number do not fill three pages")
    return first, summary


# -- token ------------------------------------------------------------------------------------------------------------


def test_token_response_has_documented_structure(arm):
    """It has a Bearer JWT of three parts, and lifetimes in seconds that agree with each other."""
    response = get_token(arm.wire.target, arm.wire.readings.calls, arm.wire.target.scope)
    body = response.object
    assert response.status == 200
    assert {"access_token", "token_type", "not_before", "expires_in", "expires_on", "resource"} <= set(body)
    assert body["token_type"] == "Bearer"
    assert len(body["access_token"].split(".")) == 3
    assert all(isinstance(body[name], int) for name in ("not_before", "expires_in", "expires_on"))
    assert abs(body["expires_on"] - body["not_before"] - body["expires_in"]) <= 600


def test_token_can_be_reused(arm):
    """The same token is valid for several calls."""
    token = arm.wire.own_token()
    assert [arm.wire.get("customers", token=token, maximumcount=1).status for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("token", ["not.a.token", ""], ids=["bad", "none"])
def test_invalid_token_returns_401_without_data(arm, token):
    """The response contains no records."""
    response = arm.wire.get("customers", token=token, maximumcount=1)
    assert response.status == 401
    assert "customers" not in response.object


def test_client_raises_authentication_error_when_token_is_invalid(arm):
    """The client translates 401 to ArmAuthenticationError."""
    target = arm.wire.target
    with (
        ArmClient(target.base_url, StaticToken("not.a.token"), client_no=target.client_no) as client,
        pytest.raises(ArmAuthenticationError),
    ):
        client.check()


# -- not found --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", ["customers", "aritems", "documents", "glitems", "batches"])
def test_unknown_record_returns_404(arm, resource):
    """Every read of a single record returns 404."""
    unknown = "00000000-0000-4000-8000-000000000000" if resource == "batches" else UNKNOWN_CUSTOMER
    assert arm.wire.get(resource, unknown).status == 404


def test_client_raises_not_found_error_when_customer_is_unknown(arm):
    """The client translates 404 to ArmNotFoundError."""
    with pytest.raises(ArmNotFoundError):
        arm.client.get_customer(UNKNOWN_CUSTOMER)


def test_unknown_path_returns_404(arm):
    """There is neither a page nor a redirect."""
    assert arm.wire.get("nosuchresource").status == 404


def test_path_names_are_case_sensitive(arm):
    """ARM documents that the names in a path are case-sensitive and values are not."""
    assert arm.wire.get("CUSTOMERS", maximumcount=1).status == 404


# -- lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", LISTS)
def test_list_has_documented_summary_and_one_list_of_records(arm, resource):
    """The summary has all documented keys."""
    response = arm.wire.get(resource, pagesize=10)
    summary = response.object["summary"]
    assert response.status == 200
    known = {"pageNo", "currentPageSize", "pageSizeLimit", "totalPages", "totalCount", "maximumCount", "queryId"}
    assert known | {"lastPage"} <= set(summary)
    assert summary["pageNo"] == 1
    assert summary["currentPageSize"] == len(records(response)) <= 10


@pytest.mark.parametrize(
    ("requested", "used"), [(None, 100), (1, 10), (4, 10), (5, 5), (100, 100), (1000, 1000), (5000, 1000)]
)
def test_page_size_default_and_limits(arm, requested, used):
    """The default is 100, the maximum 1000, and values below 5 become 10."""
    params = {} if requested is None else {"pagesize": requested}
    if requested is not None:
        used = min(used, arm.wire.readings.lists.max_page_size)
    assert arm.wire.get("customers", **params).object["summary"]["pageSizeLimit"] == used


@pytest.mark.parametrize("resource", LISTS)
@pytest.mark.parametrize(("requested", "used"), [(None, 10_000), (20_000, 10_000), (7, 7)])
def test_maximum_count_default_and_cap(arm, resource, requested, used):
    """Both are 10,000."""
    params = {} if requested is None else {"maximumcount": requested}
    used = min(used, arm.wire.readings.lists.max_records)
    response = arm.wire.get(resource, pagesize=10, **params)
    assert response.object["summary"]["maximumCount"] == used
    assert len(records(response)) <= used


@pytest.mark.parametrize("resource", LISTS)
def test_pages_can_be_read_in_any_order(arm, resource):
    """After page 1, queryId and page number are enough; here the pages are read backwards."""
    first, summary = pages(arm, resource, 5, 18)
    numbers = range(summary["totalPages"], 0, -1)
    later = {no: arm.wire.get(resource, query=summary["queryId"], pageno=no) for no in numbers}
    assert [later[no].object["summary"]["pageNo"] for no in numbers] == list(numbers)
    assert records(later[1]) == records(first)
    one_page = arm.wire.get(resource, pagesize=100, maximumcount=18)
    assert [record for no in sorted(later) for record in records(later[no])] == records(one_page)


def test_pages_read_in_parallel_equal_pages_read_one_by_one(arm):
    """Parallel requests do not change the pages of a query."""
    _, summary = pages(arm, "aritems", 5, 18)
    numbers = list(range(1, summary["totalPages"] + 1))

    def fetch(number):
        return records(arm.wire.get("aritems", query=summary["queryId"], pageno=number))

    one_by_one = [fetch(number) for number in numbers]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fetch, numbers)) == one_by_one


def test_next_page_and_last_page_are_absolute_with_query_and_page_number(arm):
    """Both addresses can be requested as they are."""
    _, summary = pages(arm, "aritems", 5, 18)
    parameters = arm.wire.readings.lists.parameters
    for name, number in (("nextPage", 2), ("lastPage", summary["totalPages"])):
        assert summary[name].startswith("http")
        assert f"{parameters.query}={summary['queryId']}" in summary[name]
        assert f"{parameters.page_number}={number}" in summary[name]


def test_client_returns_each_item_of_a_list_once(arm):
    """The client returns as many different items as ``totalCount`` says."""
    filters = {arm.wire.readings.lists.parameters.maximum_count: 40}
    found = list(arm.client.list_ar_items(filters, page_size=10).items())
    total = arm.wire.get("aritems", maximumcount=40, pagesize=5).object["summary"]["totalCount"]
    assert len({item.ar_item_id for item in found}) == len(found) == min(total, 40)


# -- records ----------------------------------------------------------------------------------------------------------


def one(arm, resource):
    """Return the first record of a list; skip the test if it is empty."""
    found = records(arm.wire.get(resource, pagesize=5, maximumcount=5))
    if not found:
        pytest.skip(f"this client number has no {resource}")
    return found[0]


def test_ar_item_has_documented_types(arm):
    """Numbers of customers are texts, numbers of clients and accounts integers, dates ISO 8601."""
    item = one(arm, "aritems")
    assert item["clientNo"] == arm.wire.target.client_no
    assert isinstance(item["accountNo"], int)
    assert isinstance(item["customerNo"], str)
    assert not isinstance(item["currencyAmount"], str)
    assert DAY.fullmatch(item["voucherDate"])
    assert STAMP.fullmatch(item["createdTime"])


def test_single_read_returns_same_record_as_list(arm):
    """Id, customer number and amount are equal."""
    item = one(arm, "aritems")
    found = arm.client.get_ar_item(item["arItemId"])
    assert (found.ar_item_id, found.customer_no) == (item["arItemId"], item["customerNo"])
    assert found.currency_amount == item["currencyAmount"]


@pytest.mark.parametrize("language", ["no", "en"])
def test_single_read_accepts_a_language(arm, language):
    """``Accept-Language`` is documented for reads of single records."""
    number = one(arm, "customers")["customerNo"]
    assert arm.client.get_customer(number, language=language).customer_no == number
