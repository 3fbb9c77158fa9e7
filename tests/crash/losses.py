"""A thousand submissions of documents, each of which loses one answer: in every way, at every place."""

from __future__ import annotations

from collections import Counter
from itertools import cycle, islice, product
from typing import TYPE_CHECKING

from tests.unit.submission.sending.sandbox_task import LOST, Loss, suffer

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_arm.sandbox import ArmSandbox

#: Every way; first, middle and last chunk; looked for or not; ARM at work at once or for an hour; requests in flight.
LOSSES = [Loss(*each) for each in product(LOST, (1, 2, 3), (True, False), (0.0, 3600.0), (1, 3))]


def lose_answers(box: ArmSandbox, count: int, say: Callable[[str], None]) -> int:
    """Lose so many answers, print what became of the chunks, and count the submissions that went wrong."""
    doubled = bad = 0
    ends: Counter[str] = Counter()
    for loss in islice(cycle(LOSSES), count):
        verdict = suffer(box, loss)
        doubled += verdict.doubled
        ends.update(str(state) for state in verdict.states)
        if verdict.doubled or verdict.wrong:
            bad += 1
            say(f"{loss} went wrong: {verdict}")
    states = ", ".join(f"{number} {state}" for state, number in sorted(ends.items()))
    say(f"{count} submissions with a lost answer, {len(LOST)} ways to lose it: {states} chunks; doubled: {doubled}")
    return bad
