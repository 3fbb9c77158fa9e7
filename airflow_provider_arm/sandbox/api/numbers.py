"""Check digits of organisation numbers and payment references (KID)."""

from __future__ import annotations

#: The reference's own example passes neither check; it is accepted because the reference uses it.
DOCUMENTED_KID = "500221850000200350786"

#: A KID has 2 to 25 digits (the banks' rule).
KID_LENGTHS = range(2, 26)


def mod10(digits: str) -> str:
    """Return the mod 10 (Luhn) check digit of *digits*."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 == 0 else 1)
        total += value if value < 10 else value - 9  # noqa: PLR2004 - the sum of its two digits
    return str(-total % 10)


def mod11(digits: str) -> str:
    """Return the mod 11 check digit of *digits* (weights 2 to 7 from the right); ``-`` if it is ten."""
    total = sum(int(digit) * (2 + position % 6) for position, digit in enumerate(reversed(digits)))
    remainder = -total % 11
    return "-" if remainder == 10 else str(remainder)  # noqa: PLR2004 - ten has no digit


def kid_problem(kid: str) -> str | None:
    """Return why *kid* is not a valid payment reference, or ``None`` if it is."""
    body, check = kid[:-1], kid[-1:]
    if not (kid.isascii() and body.isdigit() and len(kid) in KID_LENGTHS and (check.isdigit() or check == "-")):
        return "KID must be 2 to 25 digits"
    if kid == DOCUMENTED_KID or check in {mod10(body), mod11(body)}:
        return None
    return "KID has a wrong check digit (neither mod 10 nor mod 11)"


def organization_problem(number: str) -> str | None:
    """Return why *number* is not a valid Norwegian organisation number, or ``None`` if it is."""
    from stdnum.no import orgnr

    if orgnr.is_valid(number):
        return None
    if not (number.isascii() and number.isdigit() and len(number) == 9):  # noqa: PLR2004 - length fixed by law
        return "Organization number must be 9 digits"
    return "Organization number has a wrong check digit (mod 11)"
