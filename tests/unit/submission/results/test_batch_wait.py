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
#: Unix seconds of today tell no smaller steps apart.
CLOCK_STEP = 1e-6
PENDING, SUCCEEDED, PARTIAL, REJECTED, INVALID_RESPONSE = (BatchStatus(state, str(state)) for state in BatchState)
TRANSIENT = [ArmUnavailableError("down"), ArmRateLimitError("429"), ArmInvalidResponseError("html"), INVALID_RESPONSE]
PERMANENT = [ArmAuthenticationError, ArmPermissionError, ArmNotFoundError, ArmValidationError, ArmConfigurationError]


def wait_for(*uuids: str, timeout: float = 86_400, poll: float = 30, **more) -> BatchWait:
    """Begin a wait."""
    return BatchWait(uuids or ("A",), START, START + timeout, poll, **{"uniform": lambda: 0.5, **more})


def test_uuids_are_kept_as_they_are_and_once():
    """A batchUuid is case-sensitive; one that is given twice is looked at once."""
    assert wait_for("Ab", "aB", "Ab").pending == ["Ab", "aB"]


@pytest.mark.parametrize("last", [SUCCEEDED, PARTIAL, REJECTED])
def test_a_finished_batch_is_no_longer_pending_and_its_last_word_is_kept(last):
    """Each of the three ends is an end."""
    wait = wait_for("A", "B")
    wait.record_poll("A", PENDING, START)
    wait.record_poll("A", last, START + 30)
    assert wait.pending == ["B"]
    assert wait.finished == {"A": last}


@pytest.mark.parametrize("seen", [PENDING, *TRANSIENT], ids=str)
def test_whatever_is_no_end_leaves_the_batch_pending(seen):
    """Pending, an outage and an answer that cannot be read: the batch is looked at again."""
    wait = wait_for("A")
    wait.record_poll("A", seen, START)
    assert wait.pending == ["A"]
    assert wait.finished == {}


@pytest.mark.parametrize("kind", PERMANENT)
def test_an_error_that_will_not_pass_comes_out_at_once(kind):
    """Nobody waits a day for a wrong password, nor for a batch that ARM does not know."""
    wait, error = wait_for("A"), kind("no")
    with pytest.raises(kind) as caught:
        wait.record_poll("A", error, START)
    assert caught.value is error


@pytest.mark.parametrize("seen", TRANSIENT, ids=str)
def test_an_outage_is_given_up_only_beyond_both_limits(seen):
    """Many failures in a short time are survived, and few over a long time; the look beyond both limits raises."""
    short = wait_for("A")
    for look in range(MAX_FAILURES * 5):
        short.record_poll("A", seen, START + look)
    long = wait_for("A")
    for look in range(MAX_FAILURES - 1):
        long.record_poll("A", seen, START + look * MIN_OUTAGE_SECONDS)
    with pytest.raises(type(seen) if isinstance(seen, ArmError) else ArmInvalidResponseError):
        long.record_poll("A", seen, START + MAX_FAILURES * MIN_OUTAGE_SECONDS)
    with pytest.raises(ArmError):
        short.record_poll("A", seen, START + MIN_OUTAGE_SECONDS)


def test_one_good_look_ends_an_outage():
    """Both limits begin anew after ARM has answered."""
    wait = wait_for("A")
    for outage in range(3):
        for look in range(MAX_FAILURES - 1):
            wait.record_poll("A", ArmUnavailableError("down"), START + outage * 86_400 + look * MIN_OUTAGE_SECONDS)
        wait.record_poll("A", PENDING, START + outage * 86_400 + 80_000)
    assert wait.pending == ["A"]


def test_an_answer_that_cannot_be_read_says_which_batch_and_why():
    """The error at the end of the patience names the batch."""
    wait = wait_for("A")
    unclear = BatchStatus(BatchState.INVALID_RESPONSE, "200 with a status word that is not known: X")
    for look in range(MAX_FAILURES - 1):
        wait.record_poll("A", unclear, START + look)
    with pytest.raises(ArmInvalidResponseError, match="batch A: ARM's answer is unclear: 200 with a status word"):
        wait.record_poll("A", unclear, START + MIN_OUTAGE_SECONDS)


def test_one_unreadable_batch_is_not_hidden_by_another_that_is_pending():
    """An answer that will never be readable is not waited for until the deadline because a neighbour can be read."""
    wait = wait_for("A", "B")
    for minute in range(60):
        wait.record_poll("A", INVALID_RESPONSE, START + minute * 60)
        wait.record_poll("B", PENDING, START + minute * 60)
    with pytest.raises(ArmInvalidResponseError, match="batch A"):
        wait.record_poll("A", INVALID_RESPONSE, START + MIN_OUTAGE_SECONDS)


@pytest.mark.parametrize(("after", "known"), [(0, True), (9.9, True), (10, False), (3600, False)])
def test_a_batch_may_be_unknown_for_the_grace_period_only(after, known):
    """A 404 right after the submit is no error while the grace lasts, and counts as no failure."""
    wait = wait_for("A", not_found_grace=10.0)
    if known:
        for _ in range(MAX_FAILURES * 2):
            wait.record_poll("A", ArmNotFoundError("404"), START + after)
        assert wait.pending == ["A"]
    else:
        with pytest.raises(ArmNotFoundError):
            wait.record_poll("A", ArmNotFoundError("404"), START + after)


def test_without_a_grace_a_404_is_final():
    """The default takes ARM at its word."""
    with pytest.raises(ArmNotFoundError):
        wait_for("A").record_poll("A", ArmNotFoundError("404"), START)


@pytest.mark.parametrize("now", [START + 100, START + 101, START + 10**6])
def test_the_deadline_names_what_was_not_finished(now):
    """The message counts, names the first batches and says that they go on."""
    wait = wait_for(*"ABCDE", timeout=100)
    wait.record_poll("B", SUCCEEDED, START)
    with pytest.raises(WaitTimeoutError, match=r"^4 of 5 batches .* \(A, C, D, \.\.\.\); they go on in ARM") as caught:
        wait.next_delay(now)
    assert not caught.value.permanent


def test_a_deadline_in_unix_time_survives_a_restart():
    """A second wait with the same bounds ends at the same moment, however often the process began anew."""
    for begun in (0, 50, 99):
        again = wait_for("A", timeout=100)
        assert again.next_delay(START + begun) <= 100 - begun
        with pytest.raises(WaitTimeoutError):
            again.next_delay(START + 100)


@given(
    poll=st.floats(0, 3600),
    jitter=st.floats(0, 1, exclude_max=True),
    timeout=st.floats(0.001, 10**6),
    share=st.floats(0, 1, exclude_max=True),
)
def test_a_pause_is_the_interval_or_a_little_less(poll, jitter, timeout, share):
    """For any numbers: within the spread, never longer than promised, never negative, and never past the deadline."""
    wait = wait_for("A", timeout=timeout, poll=poll, uniform=lambda: jitter)
    now = START + timeout * share
    if now >= wait.deadline:
        with pytest.raises(WaitTimeoutError):
            wait.next_delay(now)
        return
    pause, left = wait.next_delay(now), wait.deadline - now
    assert 0 <= pause <= left
    assert pause <= poll
    assert pause >= min(left, poll * (1 - JITTER)) * (1 - 1e-9)


def test_pauses_are_spread_by_default():
    """A hundred tasks do not ask in the same moment."""
    wait = BatchWait(["A"], START, START + 86_400, 30.0)
    assert len({wait.next_delay(START) for _ in range(50)}) > 10


@given(
    poll=st.floats(0.01, 3600),
    ceiling=st.just(0.0) | st.floats(0, 7200),
    age=st.integers(0, 10**6),  # whole seconds: today's unix time has no room for small fractions
    more=st.integers(0, 10**6),
    jitter=st.floats(0, 1, exclude_max=True),
)
def test_looks_at_an_old_batch_are_further_apart(poll, ceiling, age, more, jitter):
    """A pause grows with the age from the interval to its ceiling, and never beyond a share of the age but by it."""
    wait = wait_for("A", timeout=10**8, poll=poll, max_poll_interval=ceiling, uniform=lambda: jitter)
    young, old = wait.next_delay(START + age), wait.next_delay(START + age + more)
    assert young <= old * (1 + 1e-9)
    for pause, seconds in ((young, age), (old, age + more)):
        assert poll * (1 - JITTER) * (1 - 1e-9) <= pause <= max(poll, ceiling or 0.0)
        assert pause <= max(poll, AGE_SHARE * seconds) * (1 + 1e-9)


def test_an_hour_and_a_day_of_waiting_by_default():
    """Half a minute apart at first, three minutes after an hour, and five at most."""
    wait = wait_for("A", poll=30, max_poll_interval=300.0, timeout=10**6, uniform=lambda: 0.0)
    assert [wait.next_delay(START + age) for age in (0, 600, 3600, 86_400)] == [30, 30, 180, 300]


@given(poll=st.floats(0, 3600), left=st.floats(-(10**6), 10**6), share=st.floats(0, 1, exclude_max=True))
def test_the_first_look_of_a_process_comes_within_an_interval(poll, left, share):
    """Spread over the interval, never after the deadline; one that is past the deadline looks at once, and may."""
    pause = wait_for("A", timeout=0, poll=poll, uniform=lambda: share).first_delay(START - left)
    assert pause == pytest.approx(max(0.0, min(poll * share, left)), abs=CLOCK_STEP)


def test_a_thousand_waits_that_start_together_are_spread():
    """In each tenth of the interval there are looks after a restart."""
    waits = [BatchWait(["A"], START, START + 86_400, 30.0) for _ in range(1000)]
    assert {int(wait.first_delay(START) / 3) for wait in waits} == set(range(10))


@given(
    asked=st.floats(0, 10**9) | st.just(float("inf")),
    passed=st.floats(0, 2 * MAX_COOLDOWN),
    share=st.floats(0, 1, exclude_max=True),
    timeout=st.floats(1, 10**5),
)
def test_what_arm_asks_for_is_kept(asked, passed, share, timeout):
    """No look before the ``Retry-After`` is over, up to a quarter of an hour, and none past the deadline."""
    wait = wait_for("A", timeout=timeout, poll=30, uniform=lambda: share)
    wait.record_poll("A", ArmRateLimitError("429", retry_after=asked, phase=Phase.ANSWERED), START)
    now = START + passed
    if now >= wait.deadline:
        return
    rest = min(asked, MAX_COOLDOWN) - passed
    if rest > CLOCK_STEP:
        wanted = min(rest + 30 * share, wait.deadline - now)
        assert wait.next_delay(now) == pytest.approx(wanted, abs=CLOCK_STEP)
    elif rest < -CLOCK_STEP:
        assert wait.next_delay(now) <= 30


def test_being_held_back_is_no_failed_look():
    """While ARM wants a rest nobody looks, so however long it lasts, it is no outage of this batch."""
    wait = wait_for("A", timeout=10**6)
    for minute in range(MAX_FAILURES * 30):
        held = ArmRateLimitError("not asked", phase=Phase.NOT_SENT, retry_after=50.0)
        wait.record_poll("A", held, START + 60 * minute)
    assert wait.pending == ["A"]


looks = st.sampled_from([PENDING, SUCCEEDED, PARTIAL, REJECTED, *TRANSIENT, ArmNotFoundError("404")])


@settings(max_examples=150)
@given(
    steps=st.lists(st.tuples(st.integers(0, 3), looks, st.sampled_from([0.0, 30.0, 900.0])), max_size=60),
    grace=st.sampled_from([0.0, 300.0]),
)
def test_no_batch_is_ever_lost(steps, grace):
    """Whatever ARM answers, in whatever order: each batch is pending or finished by its own last word, or it raises."""
    uuids = ["A", "B", "C", "D"]
    wait, now, told, ended = wait_for(*uuids, not_found_grace=grace), START, {}, None
    for number, seen, passed in steps:
        now += passed
        uuid = uuids[number]
        if uuid not in wait.pending:
            continue
        try:
            wait.record_poll(uuid, seen, now)
        except ArmError as error:
            ended = error
            break
        if isinstance(seen, BatchStatus) and seen.state.finished:
            told[uuid] = seen
        assert wait.finished == told
        assert sorted([*wait.pending, *wait.finished]) == uuids
    assert ended is None or ended.permanent or now - START >= MIN_OUTAGE_SECONDS


@pytest.mark.parametrize(
    ("max_poll_interval", "seconds"), [(None, 300.0), (0.0, 30.0), (30.0, 30.0), (120.0, 120.0)], ids=str
)
def test_wait_times_bound_the_back_off(max_poll_interval, seconds):
    """An old batch is polled every five minutes by default; 0 turns the back-off off, wherever the wait runs."""
    wait = WaitTimes(START, START + 86_400, 30.0, max_poll_interval).wait(["A"])
    wait.uniform = lambda: 0.0
    assert wait.next_delay(START + 80_000) == seconds
