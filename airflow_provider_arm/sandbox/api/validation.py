"""Checks one record against a table of fields: what it may hold, and what is wrong with it."""

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

#: No text of a customer or an invoice is longer; the reference gives no lengths, so this only stops nonsense. # assumed
MAX_TEXT = 4000

#: 15 digits before and 4 after the point: what a ledger's money column holds. # assumed
MAX_WHOLE_DIGITS = 15
MAX_DECIMALS = 4
LEAST_TOO_LARGE = 10**MAX_WHOLE_DIGITS

#: ARM's integers (accountNo, referenceNo) fit in 64 bits.
MAX_INTEGER = 2**63 - 1

#: The documented warning ends in "... was s": ARM cuts it after 75 characters.
WARNING_LENGTH = 75

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_CURRENCY = re.compile(r"[A-Za-z]{3}")
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_LANGUAGE = re.compile(r"[A-Za-z]{2}")


@dataclass(slots=True)
class ValidatedRecord:
    """A record after its check: what is kept of it, and what is to be said about it."""

    record: dict[str, Any] = field(default_factory=dict)
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    creating: bool = True
    strict: bool = True


def validate(fields: tuple[Field, ...], record: Any, *, creating: bool = True, strict: bool = True) -> ValidatedRecord:
    """Check *record*.

    :param creating: whether required fields must be there; an update may leave out all but its key.
    :param strict: refuse unknown fields and wrong check digits; else unknown ones are dropped with a warning.
    """
    checked = ValidatedRecord(creating=creating, strict=strict)
    _check_object(fields, record, "Record", checked.record, checked)
    return checked


def _check_object(
    fields: tuple[Field, ...], value: Any, label: str, into: dict[str, Any], checked: ValidatedRecord
) -> None:
    if not isinstance(value, dict):
        checked.errors.append(Problem(label, f"must be an object, not {_type_name(value)}"))
        return
    known = {f.name: f for f in fields}
    for name in value:
        if name not in known:
            target = checked.errors if checked.strict else checked.warnings
            target.append(Problem(pascal_case(str(name))[:MAX_TEXT], "unknown field"))
    for name, f in known.items():
        given = value.get(name)
        if given is None:  # missing or null: the stored value stays
            if f.required and checked.creating:
                checked.errors.append(Problem(pascal_case(name), "required"))
        elif f.read_only:
            checked.warnings.append(Problem(pascal_case(name), "read-only field ignored"))
        elif f.required and given == "":
            checked.errors.append(Problem(pascal_case(name), "must not be empty"))
        else:
            _check_value(f, given, into, checked)


def _check_value(f: Field, value: Any, into: dict[str, Any], checked: ValidatedRecord) -> None:
    label = pascal_case(f.name)
    if f.kind == "object":
        inner: dict[str, Any] = {}
        _check_object(f.fields, value, label, inner, checked)
        into[f.name] = inner
    elif f.kind == "objects":
        if not isinstance(value, list):
            checked.errors.append(Problem(label, f"must be a list, not {_type_name(value)}"))
            return
        into[f.name] = []
        for item in value:
            kept: dict[str, Any] = {}
            _check_object(f.fields, item, label, kept, checked)
            into[f.name].append(kept)
    elif f.kind in {"texts", "emails"}:
        _check_texts(f, value, into, checked)
    elif f.kind == "anything":
        into[f.name] = value
    else:
        problem = _SCALARS[f.kind](value)
        if problem is None and checked.strict and isinstance(value, str) and value:
            problem = _STRICT.get(f.kind, _no_problem)(value)
        if problem:
            checked.errors.append(Problem(label, problem))
        else:
            into[f.name] = value


def _check_texts(f: Field, value: Any, into: dict[str, Any], checked: ValidatedRecord) -> None:
    label = pascal_case(f.name)
    if not isinstance(value, list):
        checked.errors.append(Problem(label, f"must be a list, not {_type_name(value)}"))
        return
    kept: list[str] = []
    for item in value:
        problem = _text(item)
        if problem is None and f.kind == "emails":
            clean = "".join(item.split())
            if not _EMAIL.fullmatch(clean):
                problem = "is not an email address"
            elif clean != item:  # documented: sanitised, with a warning
                said = f"Email address {item} was sanitized: {clean} was saved"
                checked.warnings.append(Problem(label, said[:WARNING_LENGTH]))
                item = clean  # noqa: PLW2901 - the sanitised address is the one to keep
        if problem:
            checked.errors.append(Problem(label, problem))
        else:
            kept.append(item)
    into[f.name] = kept


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return f"must be text, not {_type_name(value)}"
    return None if len(value) <= MAX_TEXT else f"is longer than {MAX_TEXT} characters"


def _integer(value: Any) -> str | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return f"must be a whole number, not {_type_name(value)}"
    return None if abs(value) <= MAX_INTEGER else "is out of range"


def number_problem(value: Any) -> str | None:
    """Why *value* is no amount, or ``None``."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return f"must be a number, not {_type_name(value)}"
    exact = Decimal(value)
    if not exact.is_finite():
        return "must be a finite number"
    if exact and exact.adjusted() >= MAX_WHOLE_DIGITS:
        return f"has more than {MAX_WHOLE_DIGITS} digits before the point"
    exponent = exact.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > MAX_DECIMALS:
        return f"has more than {MAX_DECIMALS} decimals"
    return None


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else f"must be true or false, not {_type_name(value)}"


def day(text: str) -> dt.date | None:
    """The date that *text* writes as ``YYYY-MM-DD``, or ``None``."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def _date(value: Any) -> str | None:
    problem = _text(value)
    if problem:
        return problem
    return None if day(value) else "must be a date, YYYY-MM-DD"


def _pattern(pattern: re.Pattern[str], what: str) -> Callable[[Any], str | None]:
    def check_pattern(value: Any) -> str | None:
        problem = _text(value)
        if problem:
            return problem
        return None if pattern.fullmatch(value) else what

    return check_pattern


def _no_problem(_: str) -> str | None:
    return None


def _type_name(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", int: "a number", Decimal: "a number"}
    return names.get(type(value), "null")


_SCALARS: dict[str, Callable[[Any], str | None]] = {
    "text": _text,
    "integer": _integer,
    "number": number_problem,
    "boolean": _boolean,
    "date": _date,
    "time": _text,
    "currency": _pattern(_CURRENCY, "must be an ISO 4217 code of three letters"),
    "country": _pattern(_COUNTRY, "must be an ISO 3166 code of two letters"),
    "language": _pattern(_LANGUAGE, "must be an ISO 639 code of two letters"),
    "organization": _text,
    "kid": _text,
}

#: Check digits: left out when the sandbox is lenient.
_STRICT: dict[str, Callable[[str], str | None]] = {"organization": organization_problem, "kid": kid_problem}
