"""Check of retired words: the glossary of CONTRIBUTING.md holds in names and in text."""

from __future__ import annotations

import io
import keyword
import re
import tokenize
from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tree_checks.glossary import exempt_lines, retired_words, word_parts
from tree_checks.tree import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_checks.glossary import RetiredWord
    from tree_checks.tree import Tree

GLOSSARY = "CONTRIBUTING.md"
#: Text that is not ours: the licence, names of other packages, and ARM's own examples.
FOREIGN = re.compile(r"^(?:LICENSE|constraints[^/]*\.txt|tests/data/.*)$")

_COMMENT_MARK = re.compile(r"\A#[:!]?")
_ESCAPE = re.compile(r"\\[nrt]")
_STRING_EDGES = re.compile(r"\A[A-Za-z]*(?:\"\"\"|'''|[\"'])|(?:\"\"\"|'''|[\"'])\Z")
#: Replaces code between two strings or comments, so that no phrase is found across it.
_CODE = "\0"
#: Only Python 3.12 and newer split an f-string into tokens.
_FSTRING_EDGES = {getattr(tokenize, name, None) for name in ("FSTRING_START", "FSTRING_END")} - {None}
_FSTRING_TEXT = getattr(tokenize, "FSTRING_MIDDLE", None)


def check_words(tree: Tree) -> Iterator[Finding]:
    """Yield a finding for every retired word in a committed text file.

    ``names`` are the identifiers of Python code and the names of its files and folders; ``prose`` is the text of
    comments, docstrings and strings, and the whole text of every other file. Raises GlossaryError when the glossary
    cannot be read.
    """
    glossary = tree.root / GLOSSARY
    words = retired_words((tree.text(glossary) if glossary.is_file() else "") or "")

    @cache
    def words_in_name(identifier: str) -> list[RetiredWord]:
        parts = word_parts(identifier)
        return [word for word in words if word.name and word.name.search(identifier if word.is_regex else parts)]

    for path in tree.files:
        name, text = tree.name(path), tree.text(path)
        if text is None or FOREIGN.match(name):
            continue
        prose = text
        if path.suffix == ".py":
            identifiers, prose = split_python(text)
            identifiers += [(part, 0) for part in PurePosixPath(name).with_suffix("").parts]
            for identifier, line in identifiers:
                for word in words_in_name(identifier):
                    yield Finding(name, line, f"the name {identifier!r} contains {word.text!r}; use {word.instead}")
        yield from _check_prose(name, prose, words)


def _check_prose(name: str, prose: str, words: list[RetiredWord]) -> Iterator[Finding]:
    exempt = exempt_lines(name, prose)
    lowered = prose.lower()
    for word in words:
        # A search for a plain word is much faster than one for a pattern.
        if word.prose is None or (not word.is_regex and word.text.split()[0].lower() not in lowered):
            continue
        for found in word.prose.finditer(prose):
            line = prose.count("\n", 0, found.start()) + 1
            if line not in exempt:
                yield Finding(name, line, f"{' '.join(found.group().split())!r} is retired; use {word.instead}")


def split_python(text: str) -> tuple[list[tuple[str, int]], str]:
    """Separate the identifiers of Python code, each with its line, from its text.

    The text has the length and the line breaks of the code: whatever is neither comment nor string is blank where it
    is white space, else a mark that no phrase contains. So neighbouring comments and strings read as one text.
    """
    identifiers: list[tuple[str, int]] = []
    code = re.sub(r"\S", _CODE, text)
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    pieces: list[str] = []
    position = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
            identifiers.append((token.string, token.start[0]))
        elif (content := _text_of(token)) is not None:
            begin = starts[token.start[0] - 1] + token.start[1]
            pieces += [code[position:begin], content]
            position = begin + len(content)
    return identifiers, "".join([*pieces, code[position:]])


def _text_of(token: tokenize.TokenInfo) -> str | None:
    """Return the text of a comment or string, as long as the token, without marks and quotes; None for other tokens."""
    if token.type == tokenize.COMMENT:
        return _COMMENT_MARK.sub(_blank, token.string)
    if token.type == tokenize.STRING:
        return _ESCAPE.sub(_blank, _STRING_EDGES.sub(_blank, token.string))
    if token.type in _FSTRING_EDGES:
        return " " * len(token.string)
    if token.type == _FSTRING_TEXT:
        return _ESCAPE.sub(_blank, token.string)
    return None


def _blank(found: re.Match[str]) -> str:
    return " " * len(found.group())
