"""Run of the submission's state machine that is much longer than a test may take."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.unit.submission.sending.state_machine import Submissions

if TYPE_CHECKING:
    from collections.abc import Callable


def run_state_machine(examples: int, report: Callable[[str], None]) -> int:
    """Run *examples* examples, report how their tries ended, and return the number of violations, 0 or 1."""
    outcomes: Counter[str] = Counter()

    class Counted(Submissions):
        def attempt(self, *arguments: Any, **more: Any) -> Any:
            result = super().attempt(*arguments, **more)
            if isinstance(result, list):
                lost = any(sent.batch_uuid is None for sent in result)
                outcomes["done, with recovered chunks" if lost else "done"] += 1
            else:
                outcomes[type(result).__name__.lstrip("_")] += 1
            return result

    many = settings(
        max_examples=examples,
        stateful_step_count=25,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(Counted, settings=many)
    except AssertionError as error:
        report(f"the state machine found a violation: {error}")
        return 1
    listed = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common())
    report(f"{examples} examples of the state machine, {sum(outcomes.values())} tries: {listed}; violations: 0")
    return 0
