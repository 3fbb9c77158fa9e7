"""SIGKILL or SIGSTOP at every named point, SIGKILL at random moments: the effect log shows nothing lost or doubled."""

from __future__ import annotations

import pytest

from airflow_provider_arm.sandbox import ArmSandbox
from tests.crash.points import COMMON_POINTS, DEFERRED_POINTS, LOOKUP_POINTS, LOSES_RESPONSE
from tests.crash.trials import RANDOM, ForkServer, Trial, run_overtaken, run_trial


@pytest.fixture(scope="module")
def box():
    """Run a sandbox that outlives the killed processes."""
    with ArmSandbox(ar_items=1) as box:
        yield box


@pytest.fixture(scope="module")
def fork_server():
    """Run the process that forks the processes to be killed."""
    with ForkServer() as fork_server:
        yield fork_server


@pytest.fixture(scope="module")
def other_fork_server():
    """Run a second fork server, for a process beside a suspended one."""
    with ForkServer() as fork_server:
        yield fork_server


def check(trial, result):
    """Assert that a trial lost and doubled nothing."""
    assert result.wrong == []
    assert (result.lost, result.doubled) == (0, 0)
    assert result.repeated <= trial.max_repeats()


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize("resource", ["customers", "documents"])
def test_every_record_takes_effect_once_without_a_kill(box, fork_server, tmp_path, resource, deferred):
    """Without a kill the trial has nothing lost, doubled, repeated or unresolved."""
    trial = Trial(resource, deferred, [], seed=0)
    result = run_trial(trial, fork_server, box, tmp_path / "trial")
    check(trial, result)
    assert (result.repeated, result.unresolved, result.recovered) == (0, None, 0)


def test_effect_log_shows_documents_doubled_by_resend(box, fork_server, tmp_path):
    """If the DAG author chose to resend documents, the trial counts the second booking: its checks work."""
    trial = Trial("documents", deferred=False, kills=[LOSES_RESPONSE], seed=0, delay=3600, on_unknown_outcome="resend")
    assert run_trial(trial, fork_server, box, tmp_path / "trial").doubled > 0


@pytest.mark.parametrize(("seed", "point"), list(enumerate(COMMON_POINTS + DEFERRED_POINTS)))
def test_kill_at_a_named_point_loses_and_doubles_nothing(box, fork_server, tmp_path, seed, point):
    """The process is killed there, and the next one at a random moment."""
    for resource in ("customers", "documents"):
        deferred = point in DEFERRED_POINTS or seed % 2 == 1
        trial = Trial(resource, deferred, [point, RANDOM], seed=seed, max_in_flight=1 + 2 * (seed % 3 == 0))
        result = run_trial(trial, fork_server, box, tmp_path / resource)
        assert trial.died_at[:1] == [point]
        check(trial, result)


@pytest.mark.parametrize(("seed", "point"), list(enumerate(LOOKUP_POINTS)))
def test_kill_during_a_lookup_loses_and_doubles_nothing(box, fork_server, tmp_path, seed, point):
    """The response is lost, the next process is killed during the lookup, another at a random moment."""
    kills = [LOSES_RESPONSE, point, RANDOM]
    trial = Trial(
        "documents", seed % 2 == 1, kills, seed=seed, refusals=False, delay=0, max_in_flight=1 + 2 * (seed % 2)
    )
    result = run_trial(trial, fork_server, box, tmp_path / "trial")
    assert trial.died_at[:2] == kills[:2]
    check(trial, result)
    assert result.recovered > 0 or result.unresolved


@pytest.mark.parametrize(
    ("more", "recovered"),
    [
        ({"pause": 0.0}, False),
        ({"pause": 2000.0, "refusals": False}, True),
        ({"pause": 2000.0}, False),
        ({"pause": 2000.0, "assume_absent_after": 1.0}, True),
    ],
    ids=["still processing", "done later", "some refused", "some refused, assumed absent"],
)
def test_lost_chunk_is_recovered_or_unresolved(box, fork_server, tmp_path, more, recovered):
    """It is recovered once ARM has processed it; if records were refused, only after assume_absent_after."""
    trial = Trial("documents", deferred=False, kills=[LOSES_RESPONSE], seed=0, delay=3600, chunks=1, **more)
    result = run_trial(trial, fork_server, box, tmp_path / "trial")
    check(trial, result)
    assert (result.recovered, result.unresolved is None) == (int(recovered), recovered)


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize("resource", ["customers", "documents"])
def test_kills_at_random_moments_lose_and_double_nothing(box, fork_server, tmp_path, resource, deferred):
    """Three processes in a row are killed at random moments."""
    for seed in (1, 2):
        trial = Trial(resource, deferred, [RANDOM] * 3, seed=seed, max_in_flight=3)
        check(trial, run_trial(trial, fork_server, box, tmp_path / str(seed)))


#: Points at which a suspended process has not yet decided that it may send.
BEFORE_SENDING = COMMON_POINTS[1:8]


@pytest.mark.parametrize(("seed", "point"), list(enumerate(COMMON_POINTS[: COMMON_POINTS.index("while waiting")])))
def test_suspended_try_sends_nothing_after_the_next_try_took_over(
    box, fork_server, other_fork_server, tmp_path, seed, point
):
    """The first try is suspended, the second runs to its end, the first is resumed: each chunk is sent once."""
    for resource in ("customers", "documents"):
        trial = Trial(resource, deferred=False, kills=[point], seed=seed)
        result, first = run_overtaken(trial, (fork_server, other_fork_server), box, tmp_path / resource)
        check(trial, result)
        if point in BEFORE_SENDING:
            assert first["end"] == "failed"
            assert "in use by another writer" in first["message"]
            assert result.repeated == 0
