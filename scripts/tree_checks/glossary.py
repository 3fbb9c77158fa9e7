"""The table of retired words in CONTRIBUTING.md, and the sections that may hold retired words."""

from __future__ import annotations

import re
from dataclasses import dataclass

HEADING = "Retired words"
COLUMNS = ["retired", "use instead", "scope"]
SCOPES = ("names", "prose", "both")

_HEADING_LINE = re.compile(r"^(?P<level>#{1,6})\s+(?P<title>.*?)\s*#*\s*$")
_SEPARATOR_CELL = re.compile(r":?-+:?")
_UNESCAPED_PIPE = re.compile(r"(?<!\\)\|")
_WORD_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class GlossaryError(Exception):
    """The table of retired words is missing or one of its rows is malformed."""


@dataclass(frozen=True)
class RetiredWord:
    """One row of the table, with the patterns that find it.

    ``name`` is searched in a single identifier, ``prose`` in running text; None where the row's scope leaves it out.
    """

    text: str
    instead: str
    name: re.Pattern[str] | None
    prose: re.Pattern[str] | None

    @property
    def is_regex(self) -> bool:
        """Whether the row holds a regular expression."""
        return _is_regex(self.text)


def retired_words(text: str, source: str = "CONTRIBUTING.md") -> list[RetiredWord]:
    r"""Read the table under the heading "Retired words".

    Each row is ``retired | use instead | scope``. ``retired`` is a word, a phrase or a regular expression written as
    ``/regex/``, in backticks; a pipe in it is written as ``\|``. ``scope`` is ``names``, ``prose`` or ``both``.
    Raises GlossaryError, with the line, when there is no table or a row has another form.
    """
    lines = text.splitlines()
    start, end = _section(lines, HEADING, source)
    table = [(number, line) for number, line in enumerate(lines[start:end], start + 1) if line.lstrip().startswith("|")]
    header = "| " + " | ".join(COLUMNS) + " |"
    if not table:
        message = f'{source}: the section "{HEADING}" has no table; it must begin with {header}'
        raise GlossaryError(message)
    rows = [(f"{source}:{number}", _cells(line)) for number, line in table]
    if [cell.lower() for cell in rows[0][1]] != COLUMNS:
        message = f"{rows[0][0]}: the table must begin with the row {header}"
        raise GlossaryError(message)
    separators = rows[1][1] if len(rows) > 1 else []
    if len(separators) != len(COLUMNS) or not all(map(_SEPARATOR_CELL.fullmatch, separators)):
        message = f"{rows[0][0]}: the row after the table's first must be | --- | --- | --- |"
        raise GlossaryError(message)
    return [_retired_word(place, cells) for place, cells in rows[2:]]


def exempt_lines(name: str, text: str) -> set[int]:
    """Return the numbers of the lines of a file that may hold retired words.

    In CONTRIBUTING.md they are the whole section of level 2 that holds the table; in CHANGELOG.md the sections headed
    "Renamed".
    """
    if name not in {"CONTRIBUTING.md", "CHANGELOG.md"}:
        return set()
    exempt: set[int] = set()
    lines = text.splitlines()
    headings = _headings(lines)
    for index, level, title in headings:
        if name == "CHANGELOG.md" and title == "Renamed":
            exempt.update(range(index + 1, _end(headings, index, level, len(lines)) + 1))
        elif name == "CONTRIBUTING.md" and title == HEADING:
            parents = [heading for heading in headings if heading[0] < index and heading[1] < level]
            first, top, _ = parents[-1] if parents and parents[-1][1] > 1 else (index, level, title)
            exempt.update(range(first + 1, _end(headings, first, top, len(lines)) + 1))
    return exempt


def word_parts(identifier: str) -> str:
    """Split an identifier into its words: ``countAll``, ``count_all`` and ``COUNT_ALL`` have two.

    Returns the words joined and enclosed by underscores, so that a search for whole words is a search for text.
    """
    return f"_{'_'.join(_WORD_PARTS.findall(identifier))}_"


def _headings(lines: list[str]) -> list[tuple[int, int, str]]:
    """Return index, level and title of every heading, without the comments in code blocks."""
    headings = []
    fenced = False
    for index, line in enumerate(lines):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced and (found := _HEADING_LINE.match(line)):
            headings.append((index, len(found["level"]), found["title"]))
    return headings


def _end(headings: list[tuple[int, int, str]], index: int, level: int, last: int) -> int:
    """Return the index of the line after the section that begins at ``index``."""
    return next((other for other, depth, _ in headings if other > index and depth <= level), last)


def _section(lines: list[str], title: str, source: str) -> tuple[int, int]:
    """Return the first and the last line of a section, the last one excluded."""
    headings = _headings(lines)
    for index, level, found in headings:
        if found == title:
            return index + 1, _end(headings, index, level, len(lines))
    message = f'{source}: no heading "### {title}"; the check of retired words reads the table under it'
    raise GlossaryError(message)


def _cells(line: str) -> list[str]:
    r"""Split a row of a Markdown table at its pipes; ``\|`` is a pipe inside a cell."""
    return [cell.replace(r"\|", "|").strip() for cell in _UNESCAPED_PIPE.split(line.strip().strip("|"))]


def _retired_word(place: str, cells: list[str]) -> RetiredWord:
    if len(cells) != len(COLUMNS):
        message = f"{place}: {len(cells)} cells, {len(COLUMNS)} needed (write a pipe inside a cell as \\|)"
        raise GlossaryError(message)
    retired, instead, scope = cells
    if not re.fullmatch(r"`[^`]+`", retired):
        message = f"{place}: {retired!r} must be one word, phrase or /regex/ in backticks"
        raise GlossaryError(message)
    if not instead:
        message = f"{place}: {retired} has no word to use instead"
        raise GlossaryError(message)
    if scope not in SCOPES:
        message = f"{place}: the scope of {retired} is {scope!r}; it must be one of {', '.join(SCOPES)}"
        raise GlossaryError(message)
    retired = retired.strip("`").strip()
    try:
        name, prose = _patterns(retired)
    except re.error as error:
        message = f"{place}: {retired!r} is no regular expression: {error}"
        raise GlossaryError(message) from error
    return RetiredWord(retired, instead, name if scope != "prose" else None, prose if scope != "names" else None)


def _patterns(retired: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Build the pattern for identifiers and the one for text.

    A word or phrase is found as whole words, with any white space between them; a phrase in lower case whatever the
    case of the text, one with a capital letter as it is written. A regular expression is used as it is written.
    """
    if _is_regex(retired):
        pattern = re.compile(retired[1:-1])
        return pattern, pattern
    flags = re.IGNORECASE if retired == retired.lower() else re.NOFLAG
    words = r"\s+".join(map(re.escape, retired.split()))
    parts = re.escape(word_parts(retired))
    return re.compile(parts, flags), re.compile(rf"(?<!\w){words}(?!\w)", flags)


def _is_regex(retired: str) -> bool:
    return len(retired) > len("//") and retired.startswith("/") and retired.endswith("/")
