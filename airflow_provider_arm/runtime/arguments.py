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
        msg = f"{name} must be one of {', '.join(choices)}, not {value!r}"
        raise ArmConfigurationError(msg)


def check_range(name: str, value: Any, minimum: int, maximum: int) -> None:
    """Check that an argument is a whole number between *minimum* and *maximum*, both included.

    :raises ArmConfigurationError: it is not, and it is neither a template nor another task's output.
    """
    if is_rendered_later(value):
        return
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        msg = f"{name} must be a whole number between {minimum} and {maximum}, not {value!r}"
        raise ArmConfigurationError(msg)


def check_suffix(name: str, path: Any, suffixes: Sequence[str]) -> None:
    """Check that the address of a file has one of *suffixes*; ``None`` passes.

    :raises ArmConfigurationError: it has not, and it is neither a template nor another task's output.
    """
    if path is None or is_rendered_later(path) or str(path).lower().endswith(tuple(suffixes)):
        return
    msg = f"{name} must end in {', '.join(suffixes)}, not {path!r}"
    raise ArmConfigurationError(msg)


def check_exactly_one(**arguments: Any) -> None:
    """Check that exactly one of the arguments is given.

    :raises ArmConfigurationError: none or several are.
    """
    if sum(value is not None for value in arguments.values()) != 1:
        msg = f"give either {' or '.join(arguments)}, not both"
        raise ArmConfigurationError(msg)


def add_inherited_params(cls: type) -> None:
    """Add the ``:param`` entries of the base classes to the docstring of an operator class.

    An IDE then shows all arguments in the docstring of the class that a DAG author types. Entries of the class itself
    override inherited ones.
    """
    own = inspect.cleandoc(cls.__dict__.get("__doc__") or "")
    if not own:  # also under python -OO
        return
    known = {match[1] for match in _PARAM.finditer(own)}
    inherited = []
    for base in cls.__mro__[1:]:
        if not base.__module__.startswith("airflow_provider_arm."):
            continue
        for match in _PARAM.finditer(inspect.cleandoc(base.__dict__.get("__doc__") or "")):
            if match[1] not in known:
                known.add(match[1])
                inherited.append(match[0].rstrip())
    head, results = _split_before_results(own)
    bases = (inspect.cleandoc(base.__dict__.get("__doc__") or "") for base in cls.__mro__[1:])
    results = results or next(filter(None, (_split_before_results(text)[1] for text in bases)), "")
    gap = [] if known - {match[1] for match in _PARAM.finditer("\n".join(inherited))} else [""]
    cls.__doc__ = "\n".join([head, *gap, *inherited, results]).rstrip() + "\n"


def _split_before_results(text: str) -> tuple[str, str]:
    """Split a docstring before its first ``:return:`` or ``:raises``."""
    match = re.search(r"^:(?:return|raises)\b", text, re.MULTILINE)
    return (text, "") if match is None else (text[: match.start()].rstrip(), text[match.start() :])
