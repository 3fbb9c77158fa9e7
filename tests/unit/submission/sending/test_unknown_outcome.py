"""What a person is told of a chunk of which nobody knows, and whether a later try may help."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmError, ArmPermissionError, ArmUnavailableError
from airflow_provider_arm.submission.errors import OutcomePendingError, ResolutionRequiredError
from airflow_provider_arm.submission.journal.entries import ChunkEntry, ChunkState
from airflow_provider_arm.submission.sending.lookup import LookupResult
from airflow_provider_arm.submission.sending.unknown_outcome import MAX_NAMED, UnresolvedChunk, format_keys

LINE = ChunkEntry(1, "f" * 64, ChunkState.UNKNOWN, 0, reason="ARM answered 503", chunk_id="0a1b2c3d")
WHAT, KEYS = "chunk 2 (rows 11 to 20)", "documentNo 11, 12"

places = st.lists(st.integers(1, 50), max_size=9, unique=True).map(sorted).map(tuple)
looks = st.none() | st.builds(LookupResult, same=places, absent=places, other=places)
#: What an earlier look has missed, where it has found some.
missing = st.sampled_from([None, (2,)])
troubles = st.sampled_from([None, ArmUnavailableError("down"), ArmPermissionError("403")])
cases = st.builds(
    UnresolvedChunk,
    line=st.builds(LINE.to, st.just(ChunkState.UNKNOWN), missed_since=st.none() | st.floats(0, 2e9), missing=missing),
    what=st.just(WHAT),
    keys=st.sampled_from(["", KEYS]),
    seen=looks,
    trouble=troubles,
    assume_absent_after=st.none() | st.floats(0, 1e6),
)


@given(case=cases)
def test_every_message_says_what_why_and_the_next_step(case):
    """The chunk, the reason, that nothing is sent again, and how a person releases the very case."""
    message = str(case.error())
    assert message.startswith(f"{WHAT}, {KEYS}," if case.keys else WHAT)
    assert "may or may not have reached ARM (ARM answered 503). It is not sent again." in message
    assert 'releases case 0a1b2c3d as "accepted" or "absent" (resolutions)' in message


@given(case=cases)
def test_leave_to_send_again_is_offered_only_where_nothing_is_there(case):
    """Over records that ARM has or has had, in whole or in part or otherwise, nobody is invited to send."""
    there = case.line.missing is not None or (case.seen is not None and (case.seen.same or case.seen.other))
    assert case.is_there == bool(there)
    assert ("resend" in str(case.error())) == (not there)


@given(case=cases)
def test_a_later_try_is_promised_only_where_one_can_help(case):
    """ARM is only down, or was asked and has nothing that contradicts: else a person must come first."""
    vanished = case.line.missing is not None and case.seen is not None and not case.seen.same
    looked = case.seen is not None and not case.seen.other and not vanished
    helps = looked or (case.trouble is not None and not case.trouble.permanent)
    error = case.error()
    assert type(error) is (OutcomePendingError if helps else ResolutionRequiredError)
    assert error.permanent != helps


@given(case=cases)
def test_the_case_is_small_and_holds_no_record(case):
    """What goes into XCom: four texts of our own."""
    assert case.error().unresolved_chunks == [case.as_json()]
    assert case.as_json() == {"chunk_id": "0a1b2c3d", "what": WHAT, "records": case.keys, "reason": "ARM answered 503"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "Look in ARM whether its records are there."),
        ({"trouble": ArmUnavailableError("down")}, "ARM cannot be asked for its records now (down)."),
        (
            {"seen": LookupResult(absent=(1, 2))},
            "ARM has none of its 2 records, which proves nothing while they may be",
        ),
        (
            {"seen": LookupResult(same=(1,), absent=(2, 3))},
            "ARM has 1 of its 3 records; number 2, 3 may be refused, or",
        ),
        ({"seen": LookupResult(same=(1,), other=(2,))}, "Under the key of number 2 of its 2 records ARM has something"),
        ({"seen": LookupResult(absent=(1,))}, "A later try looks again."),
        ({"seen": LookupResult(absent=(1,)), "assume_absent_after": 60.0}, "A later try looks again."),
        (
            {
                "seen": LookupResult(absent=(1,)),
                "assume_absent_after": 60.0,
                "line": LINE.to(LINE.state, missed_since=0.0),
            },
            "A try after 1970-01-01T00:01:00+00:00 takes what is absent for not taken (assume_absent_after).",
        ),
        (
            {"seen": LookupResult(absent=(1, 2)), "line": LINE.to(LINE.state, missing=(2,))},
            "ARM has none of its 2 records, and an earlier look has found some: find out why.",
        ),
        ({"line": LINE.to(LINE.state, reason=None)}, "may or may not have reached ARM (the journal does not say why)"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_the_message_says_what_the_looks_showed(more, words):
    """Each thing that a look may show, in words."""
    assert words in str(UnresolvedChunk(**{"line": LINE, "what": WHAT, **more}).error())


@given(count=st.integers(1, 300))
def test_a_long_list_is_cut_and_counted(count):
    """Keys and places are named as far as a person reads, and the rest is counted."""
    named = format_keys("documentNo", [f"D{number}" for number in range(count)])
    assert named.count("D") == min(count, MAX_NAMED)
    assert named.endswith(f" and {count - MAX_NAMED} more") == (count > MAX_NAMED)
    message = str(UnresolvedChunk(LINE, WHAT, seen=LookupResult(other=tuple(range(1, count + 1)))).error())
    assert (f" and {count - MAX_NAMED} more of its {count} records" in message) == (count > MAX_NAMED)


def test_an_open_case_is_an_arm_error():
    """The Airflow layer tells a lasting error from a passing one by its class alone."""
    assert issubclass(ResolutionRequiredError, ArmError)
    assert not OutcomePendingError.permanent
