"""In any order of runs, kills, clears, lookups and resolutions nothing takes effect twice or is forgotten."""

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
from tests.unit.submission.sending.delayed_arm import UNRESOLVED
from tests.unit.submission.sending.state_machine import Submissions


@pytest.fixture(autouse=True)
def _quiet(caplog):
    """Silence the log of tens of thousands of failing tries."""
    caplog.set_level(logging.CRITICAL, "airflow_provider_arm")


Submissions.TestCase.settings = settings(max_examples=300, stateful_step_count=25, deadline=None)
TestSubmissions = Submissions.TestCase
TestSubmissions.__doc__ = "In any order of events no document takes effect twice, and no batch is forgotten."


#: The same search each time, until a violation is found.
SEARCH = settings(deadline=None, database=None, derandomize=True, report_multiple_bugs=False, phases=[Phase.generate])


def send_whatever_is_not_accepted(monkeypatch):
    """Send chunks whose outcome is unknown, too."""
    monkeypatch.setattr(transitions, "next_step", lambda *_: NextStep.SEND)


def assume_absent_at_once(monkeypatch):
    """Do not wait until ARM has processed the batch."""
    monkeypatch.setattr(
        transitions, "decide", lambda result, **more: lookup.decide(result, **{**more, "assume_absent": True})
    )


def resolve_another_chunk(monkeypatch):
    """Apply a resolution to the first unresolved chunk."""
    apply_resolution = resolution.apply_resolution

    def apply_to_first(journal, each):
        unresolved = [entry for entry in resolution.read_entries(journal) if entry.state in UNRESOLVED]
        return apply_resolution(journal, replace(each, chunk_id=unresolved[0].chunk_id) if unresolved else each)

    monkeypatch.setattr(resolution, "apply_resolution", apply_to_first)


def send_before_writing(monkeypatch):
    """Do not write the entry in SENDING."""

    def record_sending(self, entry, index, sha256):
        return ChunkEntry(index, sha256, ChunkState.SENDING, self.clear_count, chunk_id="0" * 8)

    monkeypatch.setattr(ChunkTransitions, "record_sending", record_sending)


def ignore_other_writers(monkeypatch):
    """Continue although another writer has taken over."""
    monkeypatch.setattr(FileJournal, "_check_is_latest", lambda self: None)


def accept_partial_lookup(monkeypatch):
    """Count records that ARM has not processed yet as refused."""

    def decide(result, *, assume_absent, found_before):
        return lookup.decide(result, assume_absent=assume_absent or bool(result.matching), found_before=found_before)

    monkeypatch.setattr(transitions, "decide", decide)


@pytest.mark.parametrize(
    ("mutant", "violation"),
    [
        (send_whatever_is_not_accepted, "sent again|forgotten|took effect twice"),
        (assume_absent_at_once, "sent again|forgotten|wrongly recovered"),
        (resolve_another_chunk, "sent again|forgotten|a stale resolution changed|wrong batch|wrongly recovered"),
        (send_before_writing, "forgotten|without a journal entry"),
        (ignore_other_writers, "sent again|forgotten|without a journal entry"),
        (accept_partial_lookup, "wrongly recovered|recovered before ARM was done"),
    ],
)
def test_state_machine_detects_mutants(monkeypatch, mutant, violation):
    """Each mutant of the sender violates an invariant, so the invariants are strong enough."""
    mutant(monkeypatch)
    few = settings(SEARCH, max_examples=3000)
    with pytest.raises(AssertionError, match=violation):
        run_state_machine_as_test(Submissions, settings=few)
