"""SIGKILL or SIGSTOP at every named point, SIGKILL at random moments: the ledger shows nothing lost or doubled."""

from __future__ import annotations

import pytest

from airflow_provider_arm.sandbox import ArmSandbox
from tests.crash.points import DEFERRED_ONLY, EVERYWHERE, LOOKING, LOSES
from tests.crash.trials import RANDOM, Trial, Zygote, run_past, run_trial


@pytest.fixture(scope="module")
def box():
    """Give a sandbox that outlives the processes that are killed."""
    with ArmSandbox(ar_items=1) as box:
        yield box


@pytest.fixture(scope="module")
def zygote():
    """Give the process that forks those that are killed."""
    with Zygote() as zygote:
        yield zygote


@pytest.fixture(scope="module")
def other():
    """Give another such process, for a runner beside the first."""
    with Zygote() as zygote:
        yield zygote


def check(trial, verdict):
    """Hold a trial to the promise."""
    assert verdict.wrong == []
    assert (verdict.lost, verdict.doubled) == (0, 0)
    assert verdict.repeated <= trial.repeats()


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize("resource", ["customers", "documents"])
def test_undisturbed_every_record_takes_effect_once(box, zygote, tmp_path, resource, deferred):
    """Without a kill the harness itself finds nothing lost, doubled, repeated or open."""
    trial = Trial(resource, deferred, [], seed=0)
    verdict = run_trial(trial, zygote, box, tmp_path / "trial")
    check(trial, verdict)
    assert (verdict.repeated, verdict.unsure, verdict.found) == (0, None, 0)


def test_the_ledger_shows_what_a_blind_resend_would_do(box, zygote, tmp_path):
    """The judge is not blind: where the author lets documents be sent again, the second booking is counted."""
    trial = Trial("documents", deferred=False, kills=[LOSES], seed=0, delay=3600, on_unknown_outcome="resend")
    assert run_trial(trial, zygote, box, tmp_path / "trial").doubled > 0


@pytest.mark.parametrize(("seed", "point"), list(enumerate(EVERYWHERE + DEFERRED_ONLY)))
def test_a_kill_at_a_named_point_loses_and_doubles_nothing(box, zygote, tmp_path, seed, point):
    """The process dies there, and its successor at a random moment; customers always come through."""
    for resource in ("customers", "documents"):
        deferred = point in DEFERRED_ONLY or seed % 2 == 1
        trial = Trial(resource, deferred, [point, RANDOM], seed=seed, max_in_flight=1 + 2 * (seed % 3 == 0))
        verdict = run_trial(trial, zygote, box, tmp_path / resource)
        assert trial.died_at[:1] == [point]
        check(trial, verdict)


@pytest.mark.parametrize(("seed", "point"), list(enumerate(LOOKING)))
def test_a_kill_in_a_look_loses_and_doubles_nothing(box, zygote, tmp_path, seed, point):
    """The answer is lost, the next process dies while it looks, another at a random moment: all is found in the end."""
    kills = [LOSES, point, RANDOM]
    trial = Trial(
        "documents", seed % 2 == 1, kills, seed=seed, refusals=False, delay=0, max_in_flight=1 + 2 * (seed % 2)
    )
    verdict = run_trial(trial, zygote, box, tmp_path / "trial")
    assert trial.died_at[:2] == kills[:2]
    check(trial, verdict)
    assert verdict.found > 0 or verdict.unsure


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"pause": 0.0}, False),
        ({"pause": 2000.0, "refusals": False}, True),
        ({"pause": 2000.0}, False),
        ({"pause": 2000.0, "assume_absent_after": 1.0}, True),
    ],
    ids=["still in work", "done later", "some refused", "some refused, settled"],
)
def test_what_is_lost_is_found_or_a_question(box, zygote, tmp_path, more, found):
    """Found once ARM has worked; open while it works, and where some are refused until the author's time is over."""
    trial = Trial("documents", deferred=False, kills=[LOSES], seed=0, delay=3600, chunks=1, **more)
    verdict = run_trial(trial, zygote, box, tmp_path / "trial")
    check(trial, verdict)
    assert (verdict.found, verdict.unsure is None) == (int(found), found)


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize("resource", ["customers", "documents"])
def test_kills_at_random_moments_lose_and_double_nothing(box, zygote, tmp_path, resource, deferred):
    """Three processes in a row die at any moment."""
    for seed in (1, 2):
        trial = Trial(resource, deferred, [RANDOM] * 3, seed=seed, max_in_flight=3)
        check(trial, run_trial(trial, zygote, box, tmp_path / str(seed)))


#: Where a process that stands still has not yet decided that it may send.
UNDECIDED = EVERYWHERE[1:8]


@pytest.mark.parametrize(("seed", "point"), list(enumerate(EVERYWHERE[: EVERYWHERE.index("while waiting")])))
def test_a_try_that_airflow_takes_for_dead_sends_nothing_once_it_is_passed(box, zygote, other, tmp_path, seed, point):
    """The first try stands still, the second runs past it, the first goes on: each chunk reaches ARM once."""
    for resource in ("customers", "documents"):
        trial = Trial(resource, deferred=False, kills=[point], seed=seed)
        verdict, first = run_past(trial, (zygote, other), box, tmp_path / resource)
        check(trial, verdict)
        if point in UNDECIDED:
            assert first["end"] == "failed"
            assert "in use by another runner" in first["message"]
            assert verdict.repeated == 0
