"""Error of a chunk with an unknown outcome: its message, and whether a retry may help."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmError, ArmPermissionError, ArmUnavailableError
from airflow_provider_arm.submission.errors import OutcomePendingError, ResolutionRequiredError
from airflow_provider_arm.submission.journal.entries import ChunkEntry, ChunkState
from airflow_provider_arm.submission.sending.lookup import LookupResult
from airflow_provider_arm.submission.sending.unknown_outcome import MAX_NAMED, UnresolvedChunk, format_keys

ENTRY = ChunkEntry(1, "f" * 64, ChunkState.UNKNOWN, 0, reason="ARM answered 503", chunk_id="0a1b2c3d")
NAME, KEYS = "chunk 2 (rows 11 to 20)", "documentNo 11, 12"

positions = st.lists(st.integers(1, 50), max_size=9, unique=True).map(sorted).map(tuple)
lookups = st.none() | st.builds(LookupResult, matching=positions, absent=positions, conflicting=positions)
#: Positions that an earlier lookup missed while it found others.
missing = st.sampled_from([None, (2,)])
lookup_errors = st.sampled_from([None, ArmUnavailableError("down"), ArmPermissionError("403")])
unresolved_chunks = st.builds(
    UnresolvedChunk,
    entry=st.builds(
        ENTRY.with_state, st.just(ChunkState.UNKNOWN), missing_since=st.none() | st.floats(0, 2e9), missing=missing
    ),
    name=st.just(NAME),
    keys=st.sampled_from(["", KEYS]),
    lookup=lookups,
    lookup_error=lookup_errors,
    assume_absent_after=st.none() | st.floats(0, 1e6),
)


@given(unresolved=unresolved_chunks)
def test_message_names_chunk_reason_and_next_step(unresolved):
    """It has the chunk, the reason, that it is not sent again, and how to resolve it."""
    message = str(unresolved.error())
    assert message.startswith(f"{NAME}, {KEYS}," if unresolved.keys else NAME)
    assert "may or may not have reached ARM (ARM answered 503). It is not sent again." in message
    assert 'resolve chunk_id 0a1b2c3d as "accepted" or "absent" (resolutions)' in message


@given(unresolved=unresolved_chunks)
def test_resend_is_offered_only_if_arm_has_no_record(unresolved):
    """If ARM has or had any of the records, or others under their keys, the message does not offer resend."""
    has_records = unresolved.entry.missing is not None or (
        unresolved.lookup is not None and (unresolved.lookup.matching or unresolved.lookup.conflicting)
    )
    assert unresolved.has_records_in_arm == bool(has_records)
    assert ("resend" in str(unresolved.error())) == (not has_records)


@given(unresolved=unresolved_chunks)
def test_error_is_retryable_only_if_a_retry_can_help(unresolved):
    """It is if ARM is only down, or the lookup had no conflict; else a manual resolution is required."""
    disappeared = (
        unresolved.entry.missing is not None and unresolved.lookup is not None and not unresolved.lookup.matching
    )
    is_undecided = unresolved.lookup is not None and not unresolved.lookup.conflicting and not disappeared
    helps = is_undecided or (unresolved.lookup_error is not None and not unresolved.lookup_error.permanent)
    error = unresolved.error()
    assert type(error) is (OutcomePendingError if helps else ResolutionRequiredError)
    assert error.permanent != helps


@given(unresolved=unresolved_chunks)
def test_as_json_is_small_and_contains_no_record(unresolved):
    """The value for XCom consists of four texts."""
    assert unresolved.error().unresolved_chunks == [unresolved.as_json()]
    assert unresolved.as_json() == {
        "chunk_id": "0a1b2c3d",
        "what": NAME,
        "records": unresolved.keys,
        "reason": "ARM answered 503",
    }


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({}, "Check in ARM whether its records are there."),
        ({"lookup_error": ArmUnavailableError("down")}, "The lookup of its records in ARM failed (down)."),
        (
            {"lookup": LookupResult(absent=(1, 2))},
            "ARM has none of its 2 records, which proves nothing while it may still be",
        ),
        (
            {"lookup": LookupResult(matching=(1,), absent=(2, 3))},
            "ARM has 1 of its 3 records; record 2, 3 may have been refused, or",
        ),
        (
            {"lookup": LookupResult(matching=(1,), conflicting=(2,))},
            "What ARM has under the key of record 2 (of 2) differs from what was sent",
        ),
        ({"lookup": LookupResult(absent=(1,))}, "A later try repeats the lookup."),
        ({"lookup": LookupResult(absent=(1,)), "assume_absent_after": 60.0}, "A later try repeats the lookup."),
        (
            {
                "lookup": LookupResult(absent=(1,)),
                "assume_absent_after": 60.0,
                "entry": ENTRY.with_state(ENTRY.state, missing_since=0.0),
            },
            "A try after 1970-01-01T00:01:00+00:00 assumes that ARM has not accepted what is still absent (assume",
        ),
        (
            {"lookup": LookupResult(absent=(1, 2)), "entry": ENTRY.with_state(ENTRY.state, missing=(2,))},
            "ARM has none of its 2 records, although an earlier lookup found some: find out why.",
        ),
        (
            {"entry": ENTRY.with_state(ENTRY.state, reason=None)},
            "may or may not have reached ARM (the journal has no reason)",
        ),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_message_contains_result_of_lookup(more, text):
    """Each possible result of a lookup has its own sentence."""
    assert text in str(UnresolvedChunk(**{"entry": ENTRY, "name": NAME, **more}).error())


@given(count=st.integers(1, 300))
def test_long_lists_are_cut_and_counted(count):
    """Messages list the first keys and positions, and count the rest."""
    named = format_keys("documentNo", [f"D{number}" for number in range(count)])
    assert named.count("D") == min(count, MAX_NAMED)
    assert named.endswith(f" and {count - MAX_NAMED} more") == (count > MAX_NAMED)
    message = str(UnresolvedChunk(ENTRY, NAME, lookup=LookupResult(conflicting=tuple(range(1, count + 1)))).error())
    assert (f" and {count - MAX_NAMED} more (of {count})" in message) == (count > MAX_NAMED)


def test_errors_are_arm_errors_and_differ_in_permanence():
    """The Airflow layer distinguishes permanent errors from retryable ones by their class."""
    assert issubclass(ResolutionRequiredError, ArmError)
    assert not OutcomePendingError.permanent
