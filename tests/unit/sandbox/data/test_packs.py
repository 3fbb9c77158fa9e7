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
    """And its totals tie out."""
    with ArmSandbox(pack="tiny") as box:
        totals = box.totals()
        assert (totals["customers"], totals["arItems"]) == (10, 30)
        assert len(_everything(caller_of(box), "customers", "customers")) == 10


def test_month_end_has_five_thousand_invoices(caller_of):
    """With credit notes, payments in part, several currencies, documents, and sums that tie out."""
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


def test_edge_cases_pack_is_served_exactly(caller_of):
    """Every name, amount and date comes back exactly, and every customer can be asked for."""
    with ArmSandbox(pack="edge-cases") as box:
        caller = caller_of(box)
        items = [item for item in _everything(caller, "aritems", "arItems") if item["createdTime"] == CREATED]
        assert [str(item["currencyAmount"]) for item in items[: len(AMOUNTS)]] == list(AMOUNTS)
        assert {item["voucherDate"] for item in items} == set(DATES)
        for number, name in CUSTOMERS:
            quoted = "".join(f"%{byte:02X}" for byte in number.encode())
            assert caller.get(f"customers/{quoted}").json()["name"] == name


def test_large_fits(tmp_path, caller_of):
    """The pack's machinery at a tenth of its size: no documents, a tenth of a GiB at most."""
    with ArmSandbox(ar_items=100_000, customers=2000, state_dir=tmp_path) as box:
        totals = box.totals()
        assert (totals["arItems"], totals["documents"]) == (100_000, 0)
        assert all(one["currencyAmount"] == one["currencyBalance"] for one in totals["currencies"].values())
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 2**30 / 10


@pytest.mark.parametrize("ar_items", [0, 1, 2, 3, 17])
def test_the_ledger_has_exactly_as_many_items_as_asked_for(ar_items):
    """Whatever settles what."""
    with ArmSandbox(ar_items=ar_items, customers=3) as box:
        totals = box.totals()
        assert (totals["arItems"], totals["customers"]) == (ar_items, 3)


def test_synthetic_customers_have_no_real_identities(caller_of):
    """Identity numbers have month + 80 and valid check digits, organisations the synthetic series, mail example.com."""
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


def test_seeded_records_pass_the_sandbox_s_own_checks(caller_of):
    """What GET shows of a seeded customer can be written back."""
    with ArmSandbox(ar_items=0, customers=50) as box:
        caller = caller_of(box)
        for one in _everything(caller, "customers", "customers"):
            answer = caller.write("PUT", "customers", "customer", one)
            assert answer.status_code == 200, answer.text
            assert money.decode(caller.get(f"customers/{one['customerNo']}").content) == one


def test_another_client_number_is_used_throughout(caller_of):
    """Paths, ids and bodies."""
    with ArmSandbox(client_no=77, ar_items=20) as box:
        items = _everything(caller_of(box), "aritems", "arItems")
    assert {item["clientNo"] for item in items} == {77}
    assert all(item["arItemId"].startswith("77-") for item in items)
    assert items[0]["currencyBalance"] == Decimal("124.37")
