from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.submission.planning.resources import RESOURCES, find_operation
from airflow_provider_arm.submission.results.reject_policy import RejectPolicy, TaskOutcome

SUCCEED, WARN, FAIL = TaskOutcome

OUTCOMES = [
    # on_rejected, max_rejected, total, rejected -> outcome
    ("fail", 0, 10, 0, SUCCEED),
    ("fail", 0, 10, 1, FAIL),
    ("fail", 0, 10, 10, FAIL),
    ("fail", 2, 10, 2, WARN),
    ("fail", 2, 10, 3, FAIL),
    ("fail", "2", 10, 2, WARN),
    ("fail", "2%", 100, 2, WARN),
    ("fail", "2%", 100, 3, FAIL),
    ("fail", "2%", 49, 1, FAIL),  # a share of less than one record allows none
    ("fail", "2%", 50, 1, WARN),
    ("fail", " 2 % ", 100, 2, WARN),
    ("fail", "100%", 3, 3, WARN),
    ("fail", "0%", 100, 1, FAIL),
    ("fail", 10, None, 1, FAIL),  # the total is unknown
    ("fail", "100%", None, 1, FAIL),
    ("fail", 10, 10, None, FAIL),
    ("fail", "100%", 10, None, FAIL),
    ("fail", "100%", None, None, FAIL),
    ("fail", 0, None, 0, SUCCEED),  # ARM reports no failures
    ("warn", 0, 10, 0, SUCCEED),
    ("warn", 0, 10, 1, WARN),
    ("warn", 0, 10, 10, WARN),
    ("warn", 0, None, None, WARN),
    ("warn", 5, 10, 9, WARN),
]


@pytest.mark.parametrize(("on_rejected", "max_rejected", "total", "rejected", "outcome"), OUTCOMES)
def test_reject_policy_decides_task_outcome(on_rejected, max_rejected, total, rejected, outcome):
    """Each row has the policy, the counts and the expected outcome of the task."""
    assert RejectPolicy(on_rejected, max_rejected).task_outcome(total, rejected) is outcome


counts = st.none() | st.integers(0, 2000)


@given(
    on_rejected=st.sampled_from(["fail", "warn"]),
    allowed=st.integers(0, 2000),
    share=st.booleans(),
    total=counts,
    rejected=counts,
)
def test_too_many_or_unknown_rejects_are_never_ignored(on_rejected, allowed, share, total, rejected):
    """For any counts: more than allowed, or an unknown count, fails the task by default; only 0 is a success."""
    outcome = RejectPolicy(on_rejected, f"{allowed}%" if share else allowed).task_outcome(total, rejected)
    assert (outcome is SUCCEED) is (rejected == 0)
    if rejected is None:
        too_many = True
    elif total is None:
        too_many = rejected > 0
    else:
        too_many = rejected * 100 > allowed * total if share else rejected > allowed
    if too_many:
        assert outcome is (FAIL if on_rejected == "fail" else WARN)
    else:
        assert outcome is not FAIL


@given(on_rejected=st.sampled_from(["fail", "warn"]), allowed=st.integers(0, 50), total=st.integers(0, 100))
def test_outcome_never_improves_with_more_rejects(on_rejected, allowed, total):
    """From SUCCEED over WARN to FAIL, the outcome only gets worse as the count grows."""
    policy = RejectPolicy(on_rejected, allowed)
    order = [list(TaskOutcome).index(policy.task_outcome(total, rejected)) for rejected in range(total + 1)]
    assert order == sorted(order)


def test_default_policy_fails_on_the_first_reject():
    """Without arguments, one reject fails the task."""
    assert RejectPolicy().task_outcome(1000, 1) is FAIL


@pytest.mark.parametrize("value", ["Fail", "ignore", "", None, True, 0])
def test_on_rejected_accepts_only_fail_and_warn(value):
    """Other values raise before anything is sent, and the message lists both."""
    with pytest.raises(ArmConfigurationError, match='on_rejected must be "fail" or "warn", not '):
        RejectPolicy(on_rejected=value)


@pytest.mark.parametrize("value", [-1, 1.5, "2.5%", "-1%", "%", "", "two", "2%%", "%2", "٢", None, True, False, [1]])
def test_max_rejected_accepts_only_a_count_or_a_share(value):
    """Other values raise before anything is sent."""
    with pytest.raises(ArmConfigurationError, match="max_rejected must be a count such as 10 or a share such as"):
        RejectPolicy(max_rejected=value)


# ---- resources


def test_every_resource_has_existing_operations():
    """Each resource and action has a row in the operations table that accepts such records."""
    from airflow_provider_arm.client.models import wire_names
    from airflow_provider_arm.client.operations import OPERATIONS

    for resource in RESOURCES.values():
        for action in resource.actions:
            found, name = find_operation(resource.name, action)
            operation = OPERATIONS[name]
            assert found is resource
            assert operation.key == resource.name
            assert resource.key in wire_names(operation.record)


@pytest.mark.parametrize(
    ("resource", "action", "message"),
    [
        ("invoices", "create", "resource must be one of customers, documents, not 'invoices'"),
        ("documents", "update", "action for documents must be one of create, not 'update'"),
        ("customers", "delete", "action for customers must be one of create, update, not 'delete'"),
    ],
)
def test_unknown_resource_or_action_raises_with_the_choices(resource, action, message):
    """The message lists the valid values."""
    with pytest.raises(ArmConfigurationError, match=f"^{message}$"):
        find_operation(resource, action)
