"""What the reference documents of reads, on the sandbox and on a real ARM."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from verify_real_wire import get_token

from airflow_provider_arm.client import ArmAuthenticationError, ArmClient, ArmNotFoundError, StaticToken

NOBODY = "NOBODY-0-VERIFY"
LISTS = ["customers", "aritems", "glitems"]
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d")
DAY = re.compile(r"\d{4}-\d\d-\d\d")


def records(seen):
    """The one list beside the summary."""
    (found,) = [value for name, value in seen.object.items() if name != "summary"]
    return found


def pages(arm, resource, size, most):
    """Page 1 of a list of several pages, and its summary; skips where there are too few records."""
    first = arm.wire.get(resource, pagesize=size, maximumcount=most)
    summary = first.object["summary"]
    if summary["totalPages"] < 3:
        pytest.skip(f"{resource} of this client number do not fill three pages")
    return first, summary


# -- token ------------------------------------------------------------------------------------------------------------


def test_the_token_answer_has_its_documented_shape(arm):
    """A Bearer JWT of three parts, with its life in seconds as numbers that agree with each other."""
    seen = get_token(arm.wire.target)
    body = seen.object
    assert seen.status == 200
    assert {"access_token", "token_type", "not_before", "expires_in", "expires_on", "resource"} <= set(body)
    assert body["token_type"] == "Bearer"
    assert len(body["access_token"].split(".")) == 3
    assert all(isinstance(body[name], int) for name in ("not_before", "expires_in", "expires_on"))
    assert abs(body["expires_on"] - body["not_before"] - body["expires_in"]) <= 600


def test_a_token_serves_more_than_one_call(arm):
    """It is reused until it ends."""
    arm.client.check()
    token = arm.wire.token
    assert [arm.wire.get("customers", token=token, maximumcount=1).status for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("token", ["not.a.token", ""], ids=["bad", "none"])
def test_a_bad_token_is_refused(arm, token):
    """401, and nothing of the ledger."""
    seen = arm.wire.get("customers", token=token, maximumcount=1)
    assert seen.status == 401
    assert "customers" not in seen.object


def test_the_client_says_that_a_bad_token_is_bad(arm):
    """The real client's error for it."""
    target = arm.wire.target
    with (
        ArmClient(target.base_url, StaticToken("not.a.token"), client_no=target.client_no) as client,
        pytest.raises(ArmAuthenticationError),
    ):
        client.check()


# -- what is not there ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", ["customers", "aritems", "documents", "glitems", "batches"])
def test_an_unknown_record_is_404(arm, resource):
    """Every single read answers so."""
    unknown = "00000000-0000-4000-8000-000000000000" if resource == "batches" else NOBODY
    assert arm.wire.get(resource, unknown).status == 404


def test_the_client_says_that_a_customer_is_unknown(arm):
    """The real client's error for it."""
    with pytest.raises(ArmNotFoundError):
        arm.client.get_customer(NOBODY)


def test_an_unknown_path_is_404(arm):
    """No page, no redirect."""
    assert arm.wire.get("nosuchresource").status == 404


def test_path_names_are_case_sensitive(arm):
    """Documented: names are, values are not."""
    assert arm.wire.get("CUSTOMERS", maximumcount=1).status == 404


# -- lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", LISTS)
def test_a_list_has_a_summary_and_its_records(arm, resource):
    """Every documented key of the summary, and exactly one list beside it."""
    seen = arm.wire.get(resource, pagesize=10)
    summary = seen.object["summary"]
    assert seen.status == 200
    known = {"pageNo", "currentPageSize", "pageSizeLimit", "totalPages", "totalCount", "maximumCount", "queryId"}
    assert known | {"lastPage"} <= set(summary)
    assert summary["pageNo"] == 1
    assert summary["currentPageSize"] == len(records(seen)) <= 10


@pytest.mark.parametrize(
    ("asked", "used"), [(None, 100), (1, 10), (4, 10), (5, 5), (100, 100), (1000, 1000), (5000, 1000)]
)
def test_page_sizes(arm, asked, used):
    """The default is 100, the cap 1000, and what is below 5 becomes 10."""
    params = {} if asked is None else {"pagesize": asked}
    assert arm.wire.get("customers", **params).object["summary"]["pageSizeLimit"] == used


@pytest.mark.parametrize("resource", LISTS)
@pytest.mark.parametrize(("asked", "used"), [(None, 10_000), (20_000, 10_000), (7, 7)])
def test_most_records_of_a_query(arm, resource, asked, used):
    """Default and cap are 10,000."""
    params = {} if asked is None else {"maximumcount": asked}
    seen = arm.wire.get(resource, pagesize=10, **params)
    assert seen.object["summary"]["maximumCount"] == used
    assert len(records(seen)) <= used


@pytest.mark.parametrize("resource", LISTS)
def test_pages_come_in_any_order(arm, resource):
    """After page 1 only the query's id and a number are needed, backwards as well."""
    first, summary = pages(arm, resource, 5, 18)
    numbers = range(summary["totalPages"], 0, -1)
    later = {no: arm.wire.get(resource, query=summary["queryId"], pageno=no) for no in numbers}
    assert [later[no].object["summary"]["pageNo"] for no in numbers] == list(numbers)
    assert records(later[1]) == records(first)
    whole = arm.wire.get(resource, pagesize=100, maximumcount=18)
    assert [record for no in sorted(later) for record in records(later[no])] == records(whole)


def test_pages_come_at_the_same_time(arm):
    """Several at once are the same pages as one after the other."""
    _, summary = pages(arm, "aritems", 5, 18)
    numbers = list(range(1, summary["totalPages"] + 1))

    def fetch(number):
        return records(arm.wire.get("aritems", query=summary["queryId"], pageno=number))

    one_by_one = [fetch(number) for number in numbers]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fetch, numbers)) == one_by_one


def test_page_addresses_are_absolute_and_carry_the_query(arm):
    """``nextPage`` and ``lastPage`` name the query and the page."""
    _, summary = pages(arm, "aritems", 5, 18)
    for name, number in (("nextPage", 2), ("lastPage", summary["totalPages"])):
        assert summary[name].startswith("http")
        assert f"query={summary['queryId']}" in summary[name]
        assert f"pageno={number}" in summary[name]


def test_the_client_walks_a_list_whole(arm):
    """The real client gives as many different items as ARM counts."""
    found = list(arm.client.list_ar_items({"maximumcount": 40}, page_size=10).items())
    total = arm.wire.get("aritems", maximumcount=40, pagesize=5).object["summary"]["totalCount"]
    assert len({item.ar_item_id for item in found}) == len(found) == min(total, 40)


# -- records ----------------------------------------------------------------------------------------------------------


def one(arm, resource):
    """The first record of a list; skips where there is none."""
    found = records(arm.wire.get(resource, pagesize=5, maximumcount=5))
    if not found:
        pytest.skip(f"this client number has no {resource}")
    return found[0]


def test_an_ar_item_has_its_documented_types(arm):
    """Numbers of clients and accounts are integers, of customers and documents texts, amounts numbers, dates ISO."""
    item = one(arm, "aritems")
    assert item["clientNo"] == arm.wire.target.client_no
    assert isinstance(item["accountNo"], int)
    assert isinstance(item["customerNo"], str)
    assert not isinstance(item["currencyAmount"], str)
    assert DAY.fullmatch(item["voucherDate"])
    assert STAMP.fullmatch(item["createdTime"])


def test_a_single_read_gives_the_record_of_the_list(arm):
    """The same id, number and amounts, by the real client."""
    item = one(arm, "aritems")
    found = arm.client.get_ar_item(item["arItemId"])
    assert (found.ar_item_id, found.customer_no) == (item["arItemId"], item["customerNo"])
    assert found.currency_amount == item["currencyAmount"]


@pytest.mark.parametrize("language", ["no", "en"])
def test_a_single_read_takes_a_language(arm, language):
    """``Accept-Language`` is documented there."""
    number = one(arm, "customers")["customerNo"]
    assert arm.client.get_customer(number, language=language).customer_no == number
