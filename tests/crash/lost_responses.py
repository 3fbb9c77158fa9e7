"""Submissions of documents, each of which loses one response: with every fault, at every position."""

from __future__ import annotations

from collections import Counter
from itertools import cycle, islice, product
from typing import TYPE_CHECKING

from tests.unit.submission.sending.sandbox_task import LOST, Loss, run_with_loss

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_arm.sandbox import ArmSandbox

#: Every fault; first, middle and last chunk; with and without lookup; ARM needs no time or an hour; requests in flight.
LOSSES = [Loss(*each) for each in product(LOST, (1, 2, 3), (True, False), (0.0, 3600.0), (1, 3))]


def lose_responses(box: ArmSandbox, count: int, report: Callable[[str], None]) -> int:
    """Run *count* submissions with a lost response, report the chunks' states, and count the wrong submissions."""
    doubled = bad = 0
    states: Counter[str] = Counter()
    for loss in islice(cycle(LOSSES), count):
        result = run_with_loss(box, loss)
        doubled += result.doubled
        states.update(str(state) for state in result.states)
        if result.doubled or result.wrong:
            bad += 1
            report(f"{loss} went wrong: {result}")
    listed = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
    report(f"{count} submissions with a lost response, {len(LOST)} faults: {listed} chunks; doubled: {doubled}")
    return bad
