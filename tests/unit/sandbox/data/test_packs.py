import re
from decimal import Decimal

import pytest
from stdnum.no import fodselsnummer, orgnr

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox import ArmSandbox
from airflow_provider_arm.sandbox.data.edge_cases import AMOUNTS, CREATED, CUSTOMERS, DATES


def _everything(caller, path, key):
    page = money.decode(caller.get(path, params={"pagesize": "1000"}).content)
    found = list(page[key])
    while page["summary"]["nextPage"]:
        page = money.decode(caller.get(page["summary"]["nextPage"]).content)
        found += page[key]
    return found


def test_tiny_has_ten_customers(caller_of):
    """Its sums of amounts and balances are equal."""
    with ArmSandbox(pack="tiny") as box:
        totals = box.totals()
        assert (totals["customers"], totals["arItems"]) == (10, 30)
        assert len(_everything(caller_of(box), "customers", "customers")) == 10


def test_month_end_has_five_thousand_invoices(caller_of):
    """It has credit notes, part payments, several currencies, documents, and equal sums."""
    with ArmSandbox(pack="month-end") as box:
        items = _everything(caller_of(box), "aritems", "arItems")
        totals = box.totals()
    kinds = [item["voucherType"] for item in items]
    assert kinds.count(3) == 5001  # the documented one as well
    assert kinds.count(4) > 100
    assert sum(0 < item["currencyBalance"] < item["currencyAmount"] for item in items) > 500
    assert len(totals["currencies"]) == 4
    assert totals["documents"] == 5000 + kinds.count(4)
    assert {item["voucherDate"][:7] for item in items if item["voucherType"] == 3} == {"2025-11", "2025-02"}
    for column in ("currency", "gl"):
        assert sum(item[f"{column}Amount"] for item in items) == sum(item[f"{column}Balance"] for item in items)


def test_edge_cases_pack_is_returned_exactly(caller_of):
    """Every name, amount and date is returned unchanged, and every customer can be read."""
    with ArmSandbox(pack="edge-cases") as box:
        caller = caller_of(box)
        items = [item for item in _everything(caller, "aritems", "arItems") if item["createdTime"] == CREATED]
        assert [str(item["currencyAmount"]) for item in items[: len(AMOUNTS)]] == list(AMOUNTS)
        assert {item["voucherDate"] for item in items} == set(DATES)
        for number, name in CUSTOMERS:
            quoted = "".join(f"%{byte:02X}" for byte in number.encode())
            assert caller.get(f"customers/{quoted}").json()["name"] == name


def test_large_pack_needs_little_memory(tmp_path, caller_of):
    """At a tenth of its size, without documents, it needs a tenth of a GiB at most."""
    with ArmSandbox(ar_items=100_000, customers=2000, state_dir=tmp_path) as box:
        totals = box.totals()
        assert (totals["arItems"], totals["documents"]) == (100_000, 0)
        assert all(one["currencyAmount"] == one["currencyBalance"] for one in totals["currencies"].values())
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 2**30 / 10


@pytest.mark.parametrize("ar_items", [0, 1, 2, 3, 17])
def test_number_of_items_is_the_requested_one(ar_items):
    """Credit notes and payments are included."""
    with ArmSandbox(ar_items=ar_items, customers=3) as box:
        totals = box.totals()
        assert (totals["arItems"], totals["customers"]) == (ar_items, 3)


def test_synthetic_customers_have_no_real_identities(caller_of):
    """Identity numbers have month + 80, organisations the synthetic series, addresses example.com."""
    with ArmSandbox(ar_items=0, customers=300) as box:
        customers = _everything(caller_of(box), "customers", "customers")[1:]
    numbers = [one["ssn"] for one in customers if "ssn" in one]
    organizations = [one["organizationNo"] for one in customers if "organizationNo" in one]
    assert numbers
    assert organizations
    for number in numbers:
        assert 81 <= int(number[2:4]) <= 92
        assert number[9] == fodselsnummer.calc_check_digit1(number)
        assert number[10] == fodselsnummer.calc_check_digit2(number)
    assert all(orgnr.is_valid(number) and number[0] == "3" for number in organizations)
    assert all(re.fullmatch(r"000\d{5}", one["phoneNo"]) for one in customers)
    assert all(one["emailAddressDocument"][0].endswith("@example.com") for one in customers)


def test_seeded_records_pass_the_checks_of_writes(caller_of):
    """A seeded customer can be written as GET returns it."""
    with ArmSandbox(ar_items=0, customers=50) as box:
        caller = caller_of(box)
        for one in _everything(caller, "customers", "customers"):
            response = caller.write("PUT", "customers", "customer", one)
            assert response.status_code == 200, response.text
            assert money.decode(caller.get(f"customers/{one['customerNo']}").content) == one


def test_client_number_is_in_paths_ids_and_bodies(caller_of):
    """No other client number occurs."""
    with ArmSandbox(client_no=77, ar_items=20) as box:
        items = _everything(caller_of(box), "aritems", "arItems")
    assert {item["clientNo"] for item in items} == {77}
    assert all(item["arItemId"].startswith("77-") for item in items)
    assert items[0]["currencyBalance"] == Decimal("124.37")
