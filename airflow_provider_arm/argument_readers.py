"""Readers of arguments: each returns the value that its argument means, or raises and names argument and valid values.

A number may be text, because a template gives text. Imports no Airflow, because triggers and operators share it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.files import check_absolute

#: Returns the value of the argument with this name.
Reader = Callable[[str, Any], Any]

#: Seconds of an argument at most: ten years. A longer time is a typo, and dates beyond the year 9999 do not exist.
MAX_SECONDS = 10 * 366 * 24 * 3600
#: End of the message about text that should be JSON, for example a rendered template.
NOT_JSON = "is text but not JSON: pass the other task's output itself, or set render_template_as_native_obj on the DAG"
#: Characters of a wrong value that a message shows.
_SHOWN_LENGTH = 80


def optional(read: Reader) -> Reader:
    """Return a reader for which ``None`` is no value."""
    return lambda name, value: None if value is None else read(name, value)


def may_be_empty(read: Reader) -> Reader:
    """Return a reader for which ``None``, and what a template makes of it (``""`` or ``"None"``), are no value."""
    return lambda name, value: None if value in (None, "", "None") else read(name, value)


def choice(*choices: str) -> Reader:
    """Return a reader of one of these texts."""

    def read(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ArmConfigurationError(f"{name} must be one of {', '.join(choices)}, not {_shown(value)}")
        return value

    return read


def whole_number(minimum: int, maximum: int) -> Reader:
    """Return a reader of a whole number between the two, both included."""

    def read(name: str, value: Any) -> int:
        number = int(value) if isinstance(value, str) and value.strip().isascii() and _is_digits(value) else value
        if not isinstance(number, int) or isinstance(number, bool) or not minimum <= number <= maximum:
            raise ArmConfigurationError(
                f"{name} must be a whole number between {minimum} and {maximum}, not {_shown(value)}"
            )
        return number

    return read


def seconds(*, positive: bool = False, maximum: int = MAX_SECONDS) -> Reader:
    """Return a reader of a duration: a number of seconds or a ``timedelta``.

    :param positive: whether 0 is refused.
    """

    def read(name: str, value: Any) -> float:
        number = value.total_seconds() if isinstance(value, timedelta) else value
        if isinstance(number, str) and number.isascii():
            try:
                number = float(number)
            except ValueError:
                number = None
        is_number = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
        if not is_number or not 0 <= number <= maximum or (positive and number == 0):
            least = "more than 0" if positive else "0 or more"
            raise ArmConfigurationError(
                f"{name} must be a number of seconds (or a timedelta), {least} and at most {maximum}, not "
                f"{_shown(value)}"
            )
        return number

    return read


def flag(name: str, value: Any) -> bool:
    """Return an argument that is true or false; a template gives it as text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    raise ArmConfigurationError(f"{name} must be True or False, not {_shown(value)}")


def text(name: str, value: Any) -> str:
    """Return an argument that is a text and not empty. The text "None" is what a template makes of a missing value."""
    if not isinstance(value, str) or not value.strip() or value == "None":
        raise ArmConfigurationError(f"{name} must be a text that is not empty, not {_shown(value)}")
    return value


def identifier(name: str, value: Any) -> str:
    """Return an argument such as a customer number: a text that is not empty, or a whole number."""
    return text(name, str(value) if isinstance(value, int) and not isinstance(value, bool) else value)


def path(*suffixes: str, absolute: bool = False) -> Reader:
    """Return a reader of the path of a file or folder, as text or a path object.

    :param suffixes: the path must end in one of these; none: in anything.
    :param absolute: whether each process must find it in the same place.
    """

    def read(name: str, value: Any) -> str:
        address = text(name, os.fspath(value) if isinstance(value, os.PathLike) else value)
        if suffixes and not address.lower().endswith(suffixes):
            raise ArmConfigurationError(f"{name} must end in {', '.join(suffixes)}, not {_shown(address)}")
        if absolute:
            check_absolute(address, name)
        return address

    return read


def texts(name: str, value: Any) -> list[str]:
    """Return an argument that is a list of texts, such as names of fields."""
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise ArmConfigurationError(f"{name} must be a list of names, not {_shown(value)}")
    return [text(name, member) for member in value]


def mapping(name: str, value: Any) -> Mapping[str, Any]:
    """Return an argument that is a mapping with texts as keys."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ArmConfigurationError(f"{name} must be a mapping with names as keys, not {_kind(value)}")
    return value


def record(name: str, value: Any) -> Any:
    """Return an argument that is one record: a mapping, its JSON text, or the path of a ``.json`` file."""
    if not isinstance(value, Mapping) and not (isinstance(value, str) and value.strip()):
        raise ArmConfigurationError(
            f"{name} must be a mapping of ARM's field names to values, its JSON text, or the path of a .json file, not "
            f"{_kind(value)}"
        )
    return value


def records(name: str, value: Any) -> Any:
    """Return an argument that is a list of records, or its JSON text. A message contains nothing of a record."""
    if isinstance(value, str):
        import msgspec

        try:
            msgspec.json.decode(value)
        except msgspec.DecodeError:
            raise ArmConfigurationError(f"{name} {NOT_JSON}") from None
    elif not isinstance(value, Sequence) or not all(isinstance(member, Mapping) for member in value):
        raise ArmConfigurationError(f"{name} must be a list of mappings of ARM's field names to values")
    return value


def _is_digits(value: str) -> bool:
    return value.strip().removeprefix("-").isdigit()


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN_LENGTH else f"{shown[:_SHOWN_LENGTH]}..."


def _kind(value: Any) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"
