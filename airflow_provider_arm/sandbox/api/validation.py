"""Validation of one record against a table of fields."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from airflow_provider_arm.sandbox.api.numbers import kid_problem, organization_problem
from airflow_provider_arm.sandbox.messages import Problem, pascal_case
from airflow_provider_arm.sandbox.record_fields import Field

#: Maximum length of a text. The reference gives no lengths; this limit only stops absurd input. # assumed
MAX_TEXT = 4000

#: An amount has at most 15 digits before and 4 after the decimal point, as a ledger's money column. # assumed
MAX_INTEGER_DIGITS = 15
MAX_DECIMALS = 4
#: The absolute value of an amount must be below this.
AMOUNT_LIMIT = 10**MAX_INTEGER_DIGITS

#: ARM's integers (accountNo, referenceNo) fit in 64 bits.
MAX_INTEGER = 2**63 - 1

#: The documented warning ends in "... was s": ARM truncates it to 75 characters.
MAX_WARNING_LENGTH = 75

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
#: ``""`` clears the country; an address is replaced as a whole.
_COUNTRY = re.compile(r"([A-Za-z]{2})?")
_TWO_LETTERS, _THREE_LETTERS = re.compile(r"[A-Za-z]{2}"), re.compile(r"[A-Za-z]{3}")


@dataclass(slots=True)
class ValidatedRecord:
    """A record after validation: its accepted fields, the errors and the warnings."""

    record: dict[str, Any] = field(default_factory=dict)
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    creating: bool = True
    strict: bool = True


def validate(fields: tuple[Field, ...], record: Any, *, creating: bool = True, strict: bool = True) -> ValidatedRecord:
    """Validate *record*.

    :param creating: whether required fields must be present; an update may leave out every field but the key.
    :param strict: report unknown fields and wrong check digits as errors; otherwise unknown fields are dropped with a
        warning, and check digits are not checked.
    """
    result = ValidatedRecord(creating=creating, strict=strict)
    _validate_object(fields, record, "Record", result.record, result)
    return result


def _validate_object(
    fields: tuple[Field, ...], value: Any, label: str, target: dict[str, Any], result: ValidatedRecord
) -> None:
    """Copy the valid fields of *value* to *target*, and add errors and warnings to *result*."""
    if not isinstance(value, dict):
        result.errors.append(Problem(label, f"must be an object, not {_type_name(value)}"))
        return
    known = {f.name: f for f in fields}
    for name in value:
        if name not in known:
            problems = result.errors if result.strict else result.warnings
            problems.append(Problem(pascal_case(str(name))[:MAX_TEXT], "unknown field"))
    for name, f in known.items():
        field_value = value.get(name)
        if field_value is None:  # missing or null: an update keeps the stored value
            if f.required and result.creating:
                result.errors.append(Problem(pascal_case(name), "required"))
        elif f.read_only:
            result.warnings.append(Problem(pascal_case(name), "read-only field ignored"))
        elif f.required and field_value == "":
            result.errors.append(Problem(pascal_case(name), "must not be empty"))
        else:
            _validate_value(f, field_value, target, result)


def _validate_value(f: Field, value: Any, target: dict[str, Any], result: ValidatedRecord) -> None:
    label = pascal_case(f.name)
    if f.kind == "object":
        target[f.name] = {}
        _validate_object(f.fields, value, label, target[f.name], result)
    elif f.kind in {"objects", "texts", "emails"} and not isinstance(value, list):
        result.errors.append(Problem(label, f"must be a list, not {_type_name(value)}"))
    elif f.kind == "objects":
        target[f.name] = []
        for item in value:
            accepted: dict[str, Any] = {}
            _validate_object(f.fields, item, label, accepted, result)
            target[f.name].append(accepted)
    elif f.kind in {"texts", "emails"}:
        _validate_texts(f, value, target, result)
    elif f.kind == "anything":
        target[f.name] = value
    else:
        problem = _SCALAR_CHECKS[f.kind](value)
        if problem is None and result.strict and value and f.kind in _CHECK_DIGITS:
            problem = _CHECK_DIGITS[f.kind](value)
        if problem:
            result.errors.append(Problem(label, problem))
        else:
            target[f.name] = value


def _validate_texts(f: Field, value: list[Any], target: dict[str, Any], result: ValidatedRecord) -> None:
    label = pascal_case(f.name)
    accepted: list[str] = []
    for item in value:
        problem = _text_problem(item)
        if problem is None and f.kind == "emails":
            sanitized = "".join(item.split())
            if not _EMAIL.fullmatch(sanitized):
                problem = "is not an email address"
            elif sanitized != item:  # documented: sanitized, with a warning
                warning = f"Email address {item} was sanitized: {sanitized} was saved"
                result.warnings.append(Problem(label, warning[:MAX_WARNING_LENGTH]))
                item = sanitized  # noqa: PLW2901 - the sanitized address is stored
        if problem:
            result.errors.append(Problem(label, problem))
        else:
            accepted.append(item)
    target[f.name] = accepted


def _text_problem(value: Any) -> str | None:
    if not isinstance(value, str):
        return f"must be text, not {_type_name(value)}"
    return None if len(value) <= MAX_TEXT else f"is longer than {MAX_TEXT} characters"


def _integer_problem(value: Any) -> str | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return f"must be a whole number, not {_type_name(value)}"
    return None if abs(value) <= MAX_INTEGER else "is out of range"


def _number_problem(value: Any) -> str | None:
    """Return why *value* is not a valid amount, or ``None`` if it is."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return f"must be a number, not {_type_name(value)}"
    exact = Decimal(value)
    if not exact.is_finite():
        return "must be a finite number"
    if exact and exact.adjusted() >= MAX_INTEGER_DIGITS:
        return f"has more than {MAX_INTEGER_DIGITS} digits before the point"
    exponent = exact.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > MAX_DECIMALS:
        return f"has more than {MAX_DECIMALS} decimals"
    return None


def _boolean_problem(value: Any) -> str | None:
    return None if isinstance(value, bool) else f"must be true or false, not {_type_name(value)}"


def parse_day(text: str) -> dt.date | None:
    """Return the date that *text* contains as ``YYYY-MM-DD``, or ``None`` if it contains none."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def _date_problem(value: Any) -> str | None:
    return _text_problem(value) or (None if parse_day(value) else "must be a date, YYYY-MM-DD")


def _pattern_check(pattern: re.Pattern[str], message: str) -> Callable[[Any], str | None]:
    def pattern_problem(value: Any) -> str | None:
        return _text_problem(value) or (None if pattern.fullmatch(value) else message)

    return pattern_problem


def _type_name(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", int: "a number", Decimal: "a number"}
    return names.get(type(value), "null")


_SCALAR_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "text": _text_problem,
    "integer": _integer_problem,
    "number": _number_problem,
    "boolean": _boolean_problem,
    "date": _date_problem,
    "time": _text_problem,
    "currency": _pattern_check(_THREE_LETTERS, "must be an ISO 4217 code of three letters"),
    "country": _pattern_check(_COUNTRY, "must be an ISO 3166 code of two letters"),
    "language": _pattern_check(_TWO_LETTERS, "must be an ISO 639 code of two letters"),
    "organization": _text_problem,
    "kid": _text_problem,
}

#: Check digits: not checked when the switch ``strict`` is off.
_CHECK_DIGITS: dict[str, Callable[[str], str | None]] = {"organization": organization_problem, "kid": kid_problem}
