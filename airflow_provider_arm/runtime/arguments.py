"""Checks of operator arguments when a DAG is parsed, and the assembly of operator docstrings. Light to import."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg

from airflow_provider_arm.client.errors import ArmConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: File name suffixes of sources and of rejects files.
SOURCE_SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")
REJECTS_SUFFIXES = (".jsonl", ".csv")
#: What a task does that finds no records: ``on_empty``.
ON_EMPTY = ("fail", "skip", "succeed")
#: End of the message about text that should be JSON, for example a rendered template.
NOT_JSON = "is text but not JSON: pass the other task's output itself, or set render_template_as_native_obj on the DAG"
#: Marks of a Jinja template, whose value is known only when the task runs.
_TEMPLATE_MARKS = ("{{", "{%")
_PARAM = re.compile(r"^:param (\w+):.*(?:\n(?:    .*|(?=\n    )))*", re.MULTILINE)


def is_rendered_later(value: Any) -> bool:
    """Return whether a value is a template or another task's output: its value is known only when the task runs."""
    if isinstance(value, str):
        return any(mark in value for mark in _TEMPLATE_MARKS)
    return isinstance(value, XComArg)


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Check that an argument is one of *choices*.

    :raises ArmConfigurationError: it is not, and it is neither a template nor another task's output.
    """
    if not is_rendered_later(value) and value not in choices:
        raise ArmConfigurationError(f"{name} must be one of {', '.join(choices)}, not {value!r}")


def check_range(name: str, value: Any, minimum: int, maximum: int) -> None:
    """Check that an argument is a whole number between *minimum* and *maximum*, both included.

    :raises ArmConfigurationError: it is not, and it is neither a template nor another task's output.
    """
    if is_rendered_later(value):
        return
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise ArmConfigurationError(f"{name} must be a whole number between {minimum} and {maximum}, not {value!r}")


def check_suffix(name: str, path: Any, suffixes: Sequence[str]) -> None:
    """Check that the path of a file has one of *suffixes*; ``None`` passes.

    :raises ArmConfigurationError: it does not, and it is neither a template nor another task's output.
    """
    if path is None or is_rendered_later(path) or str(path).lower().endswith(tuple(suffixes)):
        return
    raise ArmConfigurationError(f"{name} must end in {', '.join(suffixes)}, not {path!r}")


def check_exactly_one(**arguments: Any) -> None:
    """Check that exactly one of the arguments is given.

    :raises ArmConfigurationError: none or several are.
    """
    if sum(value is not None for value in arguments.values()) != 1:
        raise ArmConfigurationError(f"give either {' or '.join(arguments)}, not both")


def add_inherited_params(cls: type) -> None:
    """Add the ``:param`` entries of the base class to the docstring of an operator class.

    An IDE then shows all arguments in the docstring of the class that a DAG author types. Entries of the class itself
    override inherited ones, and so does its block of ``:return:`` and ``:raises``.
    """
    own = inspect.cleandoc(cls.__dict__.get("__doc__") or "")
    if not own:  # also under python -OO
        return
    # The nearest base class has the entries of its own bases already.
    base = next((base for base in cls.__mro__[1:] if base.__module__.startswith("airflow_provider_arm.")), object)
    inherited = inspect.cleandoc(base.__doc__ or "")
    params = {match[1] for match in _PARAM.finditer(own)}
    missing = [match[0].rstrip() for match in _PARAM.finditer(inherited) if match[1] not in params]
    head, results = _split_before_results(own)
    gap = [] if params else [""]
    results = results or _split_before_results(inherited)[1]
    cls.__doc__ = "\n".join([head, *gap, *missing, results]).rstrip() + "\n"


def _split_before_results(text: str) -> tuple[str, str]:
    """Split a docstring before its first ``:return:`` or ``:raises``."""
    match = re.search(r"^:(?:return|raises)\b", text, re.MULTILINE)
    return (text, "") if match is None else (text[: match.start()].rstrip(), text[match.start() :])
