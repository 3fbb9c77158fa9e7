"""Text fields of a connection: white space around them is removed; what cannot be meant is an error that names them."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.get_provider_info import EXTRA_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A whole value that someone or something should have replaced: ``{auth_url}``, ``{{ var.value.x }}``, ``${SECRET}``,
#: ``<client id>``, ``%(secret)s``, and the asterisks and dots that a tool shows instead of a secret.
_PLACEHOLDER = re.compile(r"\$?\{+[^{}]*\}+|<[^<>]*>|%\([^()]*\)s|\*{3,}|\.{3}|…")
#: Characters that no URL has, but a template does.
_IN_NO_URL = re.compile(r"[{}<>]")
_LINE_BREAKS = "\n\r\v\f\x85\u2028\u2029"
#: Similarity (``difflib``) from which an unknown name of the extra counts as a typo of a known one: ``clientNo`` and
#: ``auth_uri`` do, ``client`` and ``url`` do not.
_TYPO_SIMILARITY = 0.82


def read_text(value: Any, name: str, *, is_url: bool = False) -> str | None:
    """Return a field without the white space and invisible characters around it, ``None`` if nothing is left.

    :param name: of the field and its connection, for the message, which never contains the value.
    :param is_url: whether the field is an address, which has no spaces at all.
    :raises ArmConfigurationError: it is neither text nor a number, is a placeholder, or has an invisible character or
        a line break inside.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ArmConfigurationError(f"{name} must be text or a number")
    text = strip_invisible(str(value))
    if _PLACEHOLDER.fullmatch(text) or (is_url and _IN_NO_URL.search(text)):
        raise ArmConfigurationError(
            f"{name} still holds a placeholder such as {{...}} or <...>: replace it by the value"
        )
    for character in text:
        if _is_invisible(character) and (is_url or unicodedata.category(character) != "Zs"):
            msg = f"{name} contains {_describe(character)}: enter it again, on one line, as it was issued"
            raise ArmConfigurationError(msg)
    return text or None


def strip_invisible(text: str) -> str:
    """Return *text* without white space, control characters and invisible characters (a BOM) at its ends."""
    start, end = 0, len(text)
    while start < end and _is_invisible(text[start]):
        start += 1
    while end > start and _is_invisible(text[end - 1]):
        end -= 1
    return text[start:end]


def check_extra(extra: Any, text: str | None, conn_name: str) -> Mapping[str, Any]:
    """Return the decoded extra of a connection.

    :param text: the extra as it is stored.
    :raises ArmConfigurationError: it is no JSON object, or has a name that looks like a typo of a known one.
    """
    if not isinstance(extra, dict) or (not extra and strip_invisible(text or "{}").strip("{} \t\r\n")):
        raise ArmConfigurationError(f'the extra of {conn_name} must be a JSON object such as {{"client_no": 2218}}')
    for name in extra.keys() - EXTRA_FIELDS.keys():
        from difflib import get_close_matches

        folded = strip_invisible(str(name)).lower().replace("-", "_")
        if close := get_close_matches(folded, EXTRA_FIELDS, 1, _TYPO_SIMILARITY):
            msg = f"{name!r} in the extra of {conn_name} is unknown: did you mean {close[0]!r}? Rename or remove it"
            raise ArmConfigurationError(msg)
    return extra


def _is_invisible(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) in {"Cc", "Cf"}


def _describe(character: str) -> str:
    if character in _LINE_BREAKS:
        return "a line break"
    if character.isspace():
        return "a tab" if character == "\t" else "a space"
    return f"an invisible character (U+{ord(character):04X})"
