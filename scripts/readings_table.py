"""Write the table of all entries of the readings profile into docs/readings.md."""

from __future__ import annotations

import json
from pathlib import Path

from airflow_provider_arm.client.readings import DEFAULT_READINGS, ENTRIES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "readings.md"
MARKER = "<!-- entries -->\n"


def table() -> str:
    """Return the table, a row for each entry."""
    lines = ["| entry | default | | meaning | if it is wrong |", "| --- | --- | --- | --- | --- |"]
    for name, field in ENTRIES.items():
        extra = field.json_schema_extra
        assert isinstance(extra, dict)  # noqa: S101 - every entry has one
        origin = "documented" if extra["documented"] else "assumed"
        question = f" (Q{extra['question']})" if extra["question"] else ""
        default = json.dumps(_default(name))
        lines.append(f"| `{name}` | `{default}` | {origin}{question} | {field.description} | {extra['if_wrong']} |")
    return "\n".join(lines) + "\n"


def _default(name: str) -> object:
    value: object = DEFAULT_READINGS.model_dump(mode="json")
    for part in name.split("."):
        assert isinstance(value, dict)  # noqa: S101 - sections are mappings
        value = value[part]
    return value


def main() -> None:
    """Write the table behind the marker of the page."""
    before, _, _ = PAGE.read_text(encoding="utf-8").partition(MARKER)
    PAGE.write_text(before + MARKER + table(), encoding="utf-8")


if __name__ == "__main__":
    main()
