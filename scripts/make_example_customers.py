"""Write example_dags/data/customers.csv: synthetic customers, a few of which ARM refuses. The same file every time."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

from airflow_provider_arm.sandbox.data import people

TARGET = Path(__file__).parent.parent / "example_dags" / "data" / "customers.csv"
CUSTOMERS = 1200
FIRST_NUMBER = 100001
COLUMNS = (
    "customerNo",
    "name",
    "customerCategory",
    "organizationNo",
    "dateOfBirth",
    "ssn",
    "ssnCountry",
    "phoneNo",
    "emailAddressDocument",
    "language",
    "currency",
    "dueDays",
    "limitAmount",
    "postalAddress.addressLine1",
    "postalAddress.addressLine2",
    "postalAddress.addressLine3",
    "postalAddress.postalCode",
    "postalAddress.cityName",
    "postalAddress.countryText",
    "postalAddress.countryCode",
)
#: What is wrong with which row, from 1: well-formed for this package, so that it is ARM that refuses.
MISTAKES = {
    17: {"organizationNo": "312345678"},
    246: {"postalAddress.postalCode": "015"},
    501: {"emailAddressDocument": "kari.example.com"},
    777: {"currency": "NKR1"},
    1024: {"organizationNo": "998877665"},
    1111: {"postalAddress.postalCode": "OSLO"},
    1199: {"name": ""},
}


def row(number: int, rng: random.Random) -> dict[str, Any]:
    """One line of the file."""
    customer_no = str(FIRST_NUMBER + number - 1)
    customer = people.build_customer(0, 0, customer_no, rng)
    address = customer.pop("postalAddress")
    cells = {name: value for name, value in customer.items() if name in COLUMNS}
    cells |= {f"postalAddress.{name}": value for name, value in address.items()}
    cells["emailAddressDocument"] = "|".join(customer["emailAddressDocument"])
    return cells | MISTAKES.get(number, {})


def main() -> None:
    """Write the file."""
    rng = random.Random(2218)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    with TARGET.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(row(number, rng) for number in range(1, CUSTOMERS + 1))
    print(f"{CUSTOMERS} customers, {len(MISTAKES)} with a mistake, in {TARGET.name}")


if __name__ == "__main__":
    main()
