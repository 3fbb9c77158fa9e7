"""In any order of runs, kills, clears, looks and people's words nothing is doubled and nothing is forgotten."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from airflow_provider_arm.submission.journal import resolution
from airflow_provider_arm.submission.journal.entries import ChunkEntry, ChunkState, NextStep
from airflow_provider_arm.submission.journal.file_journal import FileJournal
from airflow_provider_arm.submission.sending import lookup, transitions
from airflow_provider_arm.submission.sending.transitions import ChunkTransitions
from tests.unit.submission.sending.state_machine import Submissions
from tests.unit.submission.sending.world import OPEN


@pytest.fixture(autouse=True)
def _quiet(caplog):
    """Tens of thousands of tries that fail have nothing to tell in the log."""
    caplog.set_level(logging.CRITICAL, "airflow_provider_arm")


Submissions.TestCase.settings = settings(max_examples=300, stateful_step_count=25, deadline=None)
TestSubmissions = Submissions.TestCase
TestSubmissions.__doc__ = "In any order of events no document takes effect twice, and no batch is forgotten."


#: The same search each time, until a fault is found.
SEARCH = settings(deadline=None, database=None, derandomize=True, report_multiple_bugs=False, phases=[Phase.generate])


def forgets_what_unknown_means(monkeypatch):
    """Send whatever is not accepted."""
    monkeypatch.setattr(transitions, "next_step", lambda *_: NextStep.SEND)


def takes_absent_for_not_taken(monkeypatch):
    """Do not wait for ARM to work."""
    monkeypatch.setattr(transitions, "decide", lambda seen, **more: lookup.decide(seen, **{**more, "settled": True}))


def releases_another_case(monkeypatch):
    """Apply a person's word to the first case that is open."""
    release = resolution.apply_resolution

    def to_the_first(journal, word):
        unclear = [line for line in resolution.read_entries(journal) if line.state in OPEN]
        return release(journal, replace(word, chunk_id=unclear[0].chunk_id) if unclear else word)

    monkeypatch.setattr(resolution, "apply_resolution", to_the_first)


def sends_before_it_writes(monkeypatch):
    """Leave the line for later."""

    def begin(self, entry, index, sha256):
        return ChunkEntry(index, sha256, ChunkState.SENDING, self.clear_count, chunk_id="0" * 8)

    monkeypatch.setattr(ChunkTransitions, "begin", begin)


def does_not_look_who_else_works(monkeypatch):
    """Go on though another runner has taken over."""
    monkeypatch.setattr(FileJournal, "_check_held", lambda self: None)


def takes_a_part_for_the_whole(monkeypatch):
    """Count as refused what ARM has not come to yet."""

    def decide(seen, *, settled, was_there):
        return lookup.decide(seen, settled=settled or bool(seen.same), was_there=was_there)

    monkeypatch.setattr(transitions, "decide", decide)


@pytest.mark.parametrize(
    ("mutant", "caught"),
    [
        (forgets_what_unknown_means, "sent again|forgotten|booked twice"),
        (takes_absent_for_not_taken, "sent again|forgotten|wrongly found"),
        (releases_another_case, "sent again|forgotten|a stale word released|another batch|wrongly found"),
        (sends_before_it_writes, "forgotten|the journal does not know"),
        (does_not_look_who_else_works, "sent again|forgotten|the journal does not know"),
        (takes_a_part_for_the_whole, "wrongly found|found before ARM was done"),
    ],
)
def test_the_machine_can_tell(monkeypatch, mutant, caught):
    """A sender with such a fault is caught: the oracle is not blind."""
    mutant(monkeypatch)
    few = settings(SEARCH, max_examples=3000)
    with pytest.raises(AssertionError, match=caught):
        run_state_machine_as_test(Submissions, settings=few)
