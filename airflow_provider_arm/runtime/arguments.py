"""Checks of the arguments of tasks, and the assembly of operator docstrings. Light to import."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_arm.client.errors import ArmConfigurationError

#: File name suffixes of sources and of rejects files.
SOURCE_SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")
REJECTS_SUFFIXES = (".jsonl", ".csv")
#: What a task does that finds no records: ``on_empty``.
ON_EMPTY = ("fail", "skip", "succeed")
#: Marks of a Jinja template, whose value is known only when the task runs.
_TEMPLATE_MARKS = ("{{", "{%")
_PARAM = re.compile(r"^:param (\w+):.*(?:\n(?:    .*|(?=\n    )))*", re.MULTILINE)


def is_rendered_later(value: Any) -> bool:
    """Return whether a value is known only when the task runs: a template, another task's output, or a function."""
    if isinstance(value, str):
        return any(mark in value for mark in _TEMPLATE_MARKS)
    # All that Airflow resolves, such as the argument of a mapped task group, has this method.
    return callable(value) or hasattr(value, "iter_references")


def _has_template(value: Any) -> bool:
    """Return whether a value, or a member of it, is rendered later."""
    if isinstance(value, Mapping):
        return any(map(_has_template, value.values()))
    if isinstance(value, list | tuple | set):
        return any(map(_has_template, value))
    return is_rendered_later(value)


def check_arguments(task: Any) -> None:
    """Check the arguments of a task when the DAG is parsed, as far as they are not templates.

    The task's ``argument_readers`` has the reader of each argument. Arguments that are not templated are replaced by
    the values that they mean; the others are replaced when they are rendered, by :func:`read_arguments`.

    :raises ArmConfigurationError: an argument is invalid, or is a template although it is not templated.
    """
    for name, read in task.argument_readers.items():
        if name not in vars(task):
            continue  # of a subclass, which sets it later and checks again
        value = getattr(task, name)
        if name in task.template_fields:
            if not _has_template(value):
                read(name, value)
        elif _has_template(value):
            raise ArmConfigurationError(
                f"{name} is not templated: it can be neither a template nor another task's output. Give a value"
            )
        else:
            setattr(task, name, read(name, value))


def read_arguments(task: Any) -> None:
    """Read the templated arguments of a task that runs, after they are rendered and before anything is sent.

    Arguments with personal data are read where they are used.

    :raises ArmConfigurationError: an argument is invalid.
    """
    for name, read in task.argument_readers.items():
        if name in task.template_fields and name not in getattr(task, "personal_fields", ()):
            setattr(task, name, read(name, getattr(task, name)))


def read_resolution_list(_: str, value: Any) -> Any:
    """Return the argument ``resolutions`` after its check."""
    if value is None:
        return None
    from airflow_provider_arm.runtime.resolutions import read_resolutions

    read_resolutions(value)
    return value


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
