"""Print the coverage of each folder of the package, and fail where one is under its bar (scripts/test runs this).

Reads what the test run measured: lines and branches together, as coverage counts them. coverage itself has only one bar
for everything, --fail-under.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from coverage import Coverage
from coverage.exceptions import NoDataError

PACKAGE = "airflow_provider_arm"
#: Percent that a folder needs; the other folders are only reported.
BARS = {"client": 95.0, "export": 95.0, "reconcile": 95.0, "submission": 95.0}


def main() -> int:
    """Print one line per folder; 1 if a folder is under its bar."""
    coverage = Coverage()
    coverage.load()
    folders = sorted({path.parent.name for path in Path(PACKAGE).glob("*/*.py")} | set(BARS))
    failed = False
    for folder in folders:
        try:
            percent = coverage.report(include=[f"{PACKAGE}/{folder}/*"], file=io.StringIO())
        except NoDataError:
            percent = 0.0
        bar = BARS.get(folder)
        below = bar is not None and percent < bar
        failed |= below
        note = "" if bar is None else f"  under the bar of {bar:g} %" if below else f"  at least {bar:g} %"
        print(f"{PACKAGE}/{folder:15} {percent:6.2f} %{note}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
