"""Synthetic customers: none of their data can belong to a real person.

National identity numbers are of Skatteetaten's synthetic series (month + 80), organisation numbers of the synthetic
series that starts with 3, e-mail addresses under ``example.com``, and telephone numbers start with zeros.
"""

from __future__ import annotations

import random
from typing import Any

from stdnum.no import fodselsnummer, orgnr

_FIRST = "Anne Bjørn Camilla Dag Eli Frode Gro Håkon Ingrid Jonas Kari Maja Oda Øyvind Åse".split()  # noqa: SIM905 - shorter than a list
_LAST = "Armstrøm Bakke Dal Eide Fjell Granli Haug Indrebø Kvam Moen Rød Solås Østby Ås".split()  # noqa: SIM905 - as above
_TRADES = ("Rør", "Bygg", "Regnskap", "Transport", "Frukt", "Elektro", "Maling", "Data", "Kontor", "Hage")
_PLACES = (("0150", "Oslo"), ("5003", "Bergen"), ("7010", "Trondheim"), ("4005", "Stavanger"), ("9008", "Tromsø"))
_STREETS = ("Storgata", "Kirkeveien", "Skolegata", "Havnegata", "Bjørkeveien", "Åsveien", "Fjordgata")

#: One in so many customers is a company.
_COMPANY_INTERVAL = 10

_IDENTITY_NO_LENGTH = 11


def build_customer(client_no: int, account_no: int, customer_no: str, rng: random.Random) -> dict[str, Any]:
    """Build one customer in the form of a GET response."""
    company = rng.randrange(_COMPANY_INTERVAL) == 0
    first, last = rng.choice(_FIRST), rng.choice(_LAST)
    name = f"{last} {rng.choice(_TRADES)} AS" if company else f"{first} {last}"
    code, city = rng.choice(_PLACES)
    record: dict[str, Any] = {
        "clientNo": client_no,
        "accountNo": account_no,
        "customerNo": customer_no,
        "name": name,
        "customerCategory": "BUS" if company else "CONS",
        "phoneNo": f"000{rng.randrange(100_000):05d}",
    }
    if company:
        record |= {"organizationNo": build_organization_no(rng), "organizationNoScheme": "0192"}
    else:
        record |= _birth_fields(rng)
    return record | {
        "language": "no",
        "usingLanguage": "no",
        "currency": "NOK",
        "dueDays": rng.choice((10, 14, 30)),
        "vatLiable": company,
        "limitAmount": rng.choice((0, 2000, 5000, 25000)),
        "postalAddress": {
            "addressLine1": f"{rng.choice(_STREETS)} {rng.randint(1, 99)}",
            "addressLine2": "",
            "addressLine3": "",
            "postalCode": code,
            "cityName": city,
            "countryText": "Norway",
            "countryCode": "NO",
        },
        "emailAddressDocument": [f"customer{customer_no}@example.com"],
        "distribution": {"type": "M", "einvoiceCode": 0},
    }


def _birth_fields(rng: random.Random) -> dict[str, Any]:
    year, month, day = rng.randint(1950, 1999), rng.randint(1, 12), rng.randint(1, 28)
    return {
        "dateOfBirth": f"{year}-{month:02d}-{day:02d}",
        "yearOfBirth": year,
        "ssn": build_identity_no(year, month, day, rng),
        "ssnCountry": "NO",
    }


def build_identity_no(year: int, month: int, day: int, rng: random.Random) -> str:
    """Build a national identity number of the synthetic series, with valid check digits."""
    while True:
        digits = f"{day:02d}{month + 80:02d}{year % 100:02d}{rng.randrange(500):03d}"
        digits += fodselsnummer.calc_check_digit1(digits)
        digits += fodselsnummer.calc_check_digit2(digits)
        if len(digits) == _IDENTITY_NO_LENGTH:  # otherwise a check digit is 10: such numbers are not issued
            return digits


def build_organization_no(rng: random.Random) -> str:
    """Build an organisation number of the synthetic series, with a valid check digit."""
    while True:
        digits = f"3{rng.randrange(10_000_000):07d}"
        check = -orgnr.checksum(f"{digits}0") % 11
        if check != 10:  # noqa: PLR2004 - ten has no digit: such numbers are not issued
            return f"{digits}{check}"
