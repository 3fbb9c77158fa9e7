from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.batch_state import BatchState, BatchStatus
from airflow_provider_arm.client.errors import (
    ArmAuthenticationError,
    ArmConfigurationError,
    ArmError,
    ArmInvalidResponseError,
    ArmNotFoundError,
    ArmPermissionError,
    ArmRateLimitError,
    ArmUnavailableError,
    ArmValidationError,
    Phase,
)
from airflow_provider_arm.client.http.jitter import JITTER
from airflow_provider_arm.client.http.retry import MAX_COOLDOWN
from airflow_provider_arm.submission.results.batch_wait import (
    AGE_SHARE,
    MAX_FAILURES,
    MIN_OUTAGE_SECONDS,
    BatchWait,
    WaitTimeoutError,
    WaitTimes,
)

START = 1_700_000_000.0
#: Smallest difference in seconds between unix times that a float represents, rounded up.
CLOCK_STEP = 1e-6
PENDING, SUCCEEDED, PARTIAL, REJECTED, INVALID_RESPONSE = (BatchStatus(state, str(state)) for state in BatchState)
TRANSIENT_RESULTS = [
    ArmUnavailableError("down"),
    ArmRateLimitError("429"),
    ArmInvalidResponseError("html"),
    INVALID_RESPONSE,
]
PERMANENT_ERRORS = [
    ArmAuthenticationError,
    ArmPermissionError,
    ArmNotFoundError,
    ArmValidationError,
    ArmConfigurationError,
]


def wait_for(*uuids: str, timeout: float = 86_400, poll: float = 30, **more) -> BatchWait:
    """Build a wait."""
    return BatchWait(uuids or ("A",), START, START + timeout, poll, **{"uniform": lambda: 0.5, **more})


def test_batch_uuids_are_case_sensitive_and_unique():
    """A batchUuid is case-sensitive; a duplicate is polled once."""
    assert wait_for("Ab", "aB", "Ab").pending == ["Ab", "aB"]


@pytest.mark.parametrize("last", [SUCCEEDED, PARTIAL, REJECTED])
def test_finished_batch_is_not_pending_and_keeps_its_last_status(last):
    """Each of the three final states ends the wait for the batch."""
    wait = wait_for("A", "B")
    wait.record_poll("A", PENDING, START)
    wait.record_poll("A", last, START + 30)
    assert wait.pending == ["B"]
    assert wait.finished == {"A": last}


@pytest.mark.parametrize("result", [PENDING, *TRANSIENT_RESULTS], ids=str)
def test_batch_stays_pending_after_other_results(result):
    """After pending, an outage or an invalid response, the batch is polled again."""
    wait = wait_for("A")
    wait.record_poll("A", result, START)
    assert wait.pending == ["A"]
    assert wait.finished == {}


@pytest.mark.parametrize("error_type", PERMANENT_ERRORS)
def test_permanent_error_is_raised_at_once(error_type):
    """A wait does not last for a day with a wrong password, nor for a batch that ARM does not know."""
    wait, error = wait_for("A"), error_type("no")
    with pytest.raises(error_type) as caught:
        wait.record_poll("A", error, START)
    assert caught.value is error


@pytest.mark.parametrize("result", TRANSIENT_RESULTS, ids=str)
def test_outage_ends_the_wait_only_beyond_both_limits(result):
    """Many failures in a short time do not end it, nor few over a long time; a failure beyond both limits does."""
    short = wait_for("A")
    for poll_number in range(MAX_FAILURES * 5):
        short.record_poll("A", result, START + poll_number)
    long = wait_for("A")
    for poll_number in range(MAX_FAILURES - 1):
        long.record_poll("A", result, START + poll_number * MIN_OUTAGE_SECONDS)
    with pytest.raises(type(result) if isinstance(result, ArmError) else ArmInvalidResponseError):
        long.record_poll("A", result, START + MAX_FAILURES * MIN_OUTAGE_SECONDS)
    with pytest.raises(ArmError):
        short.record_poll("A", result, START + MIN_OUTAGE_SECONDS)


def test_one_successful_poll_ends_an_outage():
    """Both limits start again after a successful poll."""
    wait = wait_for("A")
    for outage in range(3):
        for poll_number in range(MAX_FAILURES - 1):
            wait.record_poll(
                "A", ArmUnavailableError("down"), START + outage * 86_400 + poll_number * MIN_OUTAGE_SECONDS
            )
        wait.record_poll("A", PENDING, START + outage * 86_400 + 80_000)
    assert wait.pending == ["A"]


def test_error_of_invalid_response_names_batch_and_reason():
    """The error beyond both limits names the batch and the reason."""
    wait = wait_for("A")
    invalid = BatchStatus(BatchState.INVALID_RESPONSE, "200 with a status word that is not known: X")
    for poll_number in range(MAX_FAILURES - 1):
        wait.record_poll("A", invalid, START + poll_number)
    with pytest.raises(ArmInvalidResponseError, match="batch A: ARM's response is invalid: 200 with a status word"):
        wait.record_poll("A", invalid, START + MIN_OUTAGE_SECONDS)


def test_failures_are_counted_per_batch():
    """A batch whose response is never valid ends the wait, although another batch can be polled."""
    wait = wait_for("A", "B")
    for minute in range(60):
        wait.record_poll("A", INVALID_RESPONSE, START + minute * 60)
        wait.record_poll("B", PENDING, START + minute * 60)
    with pytest.raises(ArmInvalidResponseError, match="batch A"):
        wait.record_poll("A", INVALID_RESPONSE, START + MIN_OUTAGE_SECONDS)


@pytest.mark.parametrize(("after", "known"), [(0, True), (9.9, True), (10, False), (3600, False)])
def test_not_found_is_allowed_within_grace_period_only(after, known):
    """A 404 within the grace period is neither an error nor a failed poll."""
    wait = wait_for("A", not_found_grace=10.0)
    if known:
        for _ in range(MAX_FAILURES * 2):
            wait.record_poll("A", ArmNotFoundError("404"), START + after)
        assert wait.pending == ["A"]
    else:
        with pytest.raises(ArmNotFoundError):
            wait.record_poll("A", ArmNotFoundError("404"), START + after)


def test_not_found_is_permanent_without_grace_period():
    """By default a 404 means that ARM does not know the batch."""
    with pytest.raises(ArmNotFoundError):
        wait_for("A").record_poll("A", ArmNotFoundError("404"), START)


@pytest.mark.parametrize("now", [START + 100, START + 101, START + 10**6])
def test_timeout_names_pending_batches(now):
    """The message counts them, names the first ones, and says that ARM continues to process them."""
    wait = wait_for(*"ABCDE", timeout=100)
    wait.record_poll("B", SUCCEEDED, START)
    with pytest.raises(
        WaitTimeoutError, match=r"^4 of 5 batches .* \(A, C, D, \.\.\.\); ARM continues to process them"
    ) as caught:
        wait.next_delay(now)
    assert not caught.value.permanent


def test_deadline_survives_a_restart():
    """A second wait with the same deadline ends at the same moment, whenever it was started."""
    for restarted_at in (0, 50, 99):
        again = wait_for("A", timeout=100)
        assert again.next_delay(START + restarted_at) <= 100 - restarted_at
        with pytest.raises(WaitTimeoutError):
            again.next_delay(START + 100)


@given(
    poll=st.floats(0, 3600),
    jitter=st.floats(0, 1, exclude_max=True),
    timeout=st.floats(0.001, 10**6),
    share=st.floats(0, 1, exclude_max=True),
)
def test_next_delay_is_the_interval_minus_jitter(poll, jitter, timeout, share):
    """For any numbers: within the jitter, never longer than the interval, never negative, never past the deadline."""
    wait = wait_for("A", timeout=timeout, poll=poll, uniform=lambda: jitter)
    now = START + timeout * share
    if now >= wait.deadline:
        with pytest.raises(WaitTimeoutError):
            wait.next_delay(now)
        return
    delay, left = wait.next_delay(now), wait.deadline - now
    assert 0 <= delay <= left
    assert delay <= poll
    assert delay >= min(left, poll * (1 - JITTER)) * (1 - 1e-9)


def test_delays_are_random_by_default():
    """A hundred tasks do not poll at the same moment."""
    wait = BatchWait(["A"], START, START + 86_400, 30.0)
    assert len({wait.next_delay(START) for _ in range(50)}) > 10


@given(
    poll=st.floats(0.01, 3600),
    ceiling=st.just(0.0) | st.floats(0, 7200),
    age=st.integers(0, 10**6),  # whole seconds: a float of unix time cannot represent small fractions
    more=st.integers(0, 10**6),
    jitter=st.floats(0, 1, exclude_max=True),
)
def test_delays_grow_with_the_age_of_the_batch(poll, ceiling, age, more, jitter):
    """The delay grows with the age from the interval to its maximum, and never exceeds a share of the age."""
    wait = wait_for("A", timeout=10**8, poll=poll, max_poll_interval=ceiling, uniform=lambda: jitter)
    young, old = wait.next_delay(START + age), wait.next_delay(START + age + more)
    assert young <= old * (1 + 1e-9)
    for delay, seconds in ((young, age), (old, age + more)):
        assert poll * (1 - JITTER) * (1 - 1e-9) <= delay <= max(poll, ceiling or 0.0)
        assert delay <= max(poll, AGE_SHARE * seconds) * (1 + 1e-9)


def test_delays_after_an_hour_and_a_day_by_default():
    """Polls are half a minute apart at first, three minutes after an hour, and five at most."""
    wait = wait_for("A", poll=30, max_poll_interval=300.0, timeout=10**6, uniform=lambda: 0.0)
    assert [wait.next_delay(START + age) for age in (0, 600, 3600, 86_400)] == [30, 30, 180, 300]


@given(poll=st.floats(0, 3600), left=st.floats(-(10**6), 10**6), share=st.floats(0, 1, exclude_max=True))
def test_first_delay_is_within_one_interval(poll, left, share):
    """It is random within the interval, never past the deadline, and 0 after the deadline."""
    delay = wait_for("A", timeout=0, poll=poll, uniform=lambda: share).first_delay(START - left)
    assert delay == pytest.approx(max(0.0, min(poll * share, left)), abs=CLOCK_STEP)


def test_first_delays_of_a_thousand_waits_are_spread():
    """After a restart there are polls in each tenth of the interval."""
    waits = [BatchWait(["A"], START, START + 86_400, 30.0) for _ in range(1000)]
    assert {int(wait.first_delay(START) / 3) for wait in waits} == set(range(10))


@given(
    retry_after=st.floats(0, 10**9) | st.just(float("inf")),
    passed=st.floats(0, 2 * MAX_COOLDOWN),
    share=st.floats(0, 1, exclude_max=True),
    timeout=st.floats(1, 10**5),
)
def test_retry_after_is_respected(retry_after, passed, share, timeout):
    """No poll comes before ``Retry-After`` is over, up to a quarter of an hour, and none past the deadline."""
    wait = wait_for("A", timeout=timeout, poll=30, uniform=lambda: share)
    wait.record_poll("A", ArmRateLimitError("429", retry_after=retry_after, phase=Phase.ANSWERED), START)
    now = START + passed
    if now >= wait.deadline:
        return
    remaining = min(retry_after, MAX_COOLDOWN) - passed
    if remaining > CLOCK_STEP:
        expected = min(remaining + 30 * share, wait.deadline - now)
        assert wait.next_delay(now) == pytest.approx(expected, abs=CLOCK_STEP)
    elif remaining < -CLOCK_STEP:
        assert wait.next_delay(now) <= 30


def test_poll_held_back_by_the_client_is_no_failure():
    """During a cooldown there is no poll, so however long it lasts, it is no outage."""
    wait = wait_for("A", timeout=10**6)
    for minute in range(MAX_FAILURES * 30):
        held = ArmRateLimitError("not sent", phase=Phase.NOT_SENT, retry_after=50.0)
        wait.record_poll("A", held, START + 60 * minute)
    assert wait.pending == ["A"]


polls = st.sampled_from([PENDING, SUCCEEDED, PARTIAL, REJECTED, *TRANSIENT_RESULTS, ArmNotFoundError("404")])


@settings(max_examples=150)
@given(
    steps=st.lists(st.tuples(st.integers(0, 3), polls, st.sampled_from([0.0, 30.0, 900.0])), max_size=60),
    grace=st.sampled_from([0.0, 300.0]),
)
def test_every_batch_is_pending_or_finished_or_the_wait_raises(steps, grace):
    """For any results in any order: each batch is pending, or finished with its last status, or the wait raises."""
    uuids = ["A", "B", "C", "D"]
    wait, now, finished, raised = wait_for(*uuids, not_found_grace=grace), START, {}, None
    for number, result, passed in steps:
        now += passed
        uuid = uuids[number]
        if uuid not in wait.pending:
            continue
        try:
            wait.record_poll(uuid, result, now)
        except ArmError as error:
            raised = error
            break
        if isinstance(result, BatchStatus) and result.state.finished:
            finished[uuid] = result
        assert wait.finished == finished
        assert sorted([*wait.pending, *wait.finished]) == uuids
    assert raised is None or raised.permanent or now - START >= MIN_OUTAGE_SECONDS


@pytest.mark.parametrize(
    ("max_poll_interval", "seconds"), [(None, 300.0), (0.0, 30.0), (30.0, 30.0), (120.0, 120.0)], ids=str
)
def test_wait_times_bound_the_back_off(max_poll_interval, seconds):
    """An old batch is polled every five minutes by default; 0 turns the back-off off, wherever the wait runs."""
    wait = WaitTimes(START, START + 86_400, 30.0, max_poll_interval).wait(["A"], {})
    wait.uniform = lambda: 0.0
    assert wait.next_delay(START + 80_000) == seconds
