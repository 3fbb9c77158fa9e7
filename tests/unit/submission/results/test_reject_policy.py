from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.submission.planning.resources import RESOURCES, find_operation
from airflow_provider_arm.submission.results.reject_policy import RejectPolicy, TaskOutcome

SUCCEED, WARN, FAIL = TaskOutcome

COLOURS = [
    # on_rejected, max_rejected, total, rejected -> colour
    ("fail", 0, 10, 0, SUCCEED),
    ("fail", 0, 10, 1, FAIL),
    ("fail", 0, 10, 10, FAIL),
    ("fail", 2, 10, 2, WARN),
    ("fail", 2, 10, 3, FAIL),
    ("fail", "2", 10, 2, WARN),
    ("fail", "2%", 100, 2, WARN),
    ("fail", "2%", 100, 3, FAIL),
    ("fail", "2%", 49, 1, FAIL),  # a share of less than one record is none
    ("fail", "2%", 50, 1, WARN),
    ("fail", " 2 % ", 100, 2, WARN),
    ("fail", "100%", 3, 3, WARN),
    ("fail", "0%", 100, 1, FAIL),
    ("fail", 10, None, 1, FAIL),  # a share of what is not known
    ("fail", "100%", None, 1, FAIL),
    ("fail", 10, 10, None, FAIL),
    ("fail", "100%", 10, None, FAIL),
    ("fail", "100%", None, None, FAIL),
    ("fail", 0, None, 0, SUCCEED),  # ARM says that none failed
    ("warn", 0, 10, 0, SUCCEED),
    ("warn", 0, 10, 1, WARN),
    ("warn", 0, 10, 10, WARN),
    ("warn", 0, None, None, WARN),
    ("warn", 5, 10, 9, WARN),
]


@pytest.mark.parametrize(("on_rejected", "max_rejected", "total", "rejected", "colour"), COLOURS)
def test_the_colour_is_the_authors_choice(on_rejected, max_rejected, total, rejected, colour):
    """Each row: what is allowed, what came, and what becomes of the task."""
    assert RejectPolicy(on_rejected, max_rejected).task_outcome(total, rejected) is colour


counts = st.none() | st.integers(0, 2000)


@given(
    on_rejected=st.sampled_from(["fail", "warn"]),
    allowed=st.integers(0, 2000),
    share=st.booleans(),
    total=counts,
    rejected=counts,
)
def test_too_many_or_unknown_is_never_passed_over(on_rejected, allowed, share, total, rejected):
    """For any counts: more than allowed, or a count that ARM did not give, is red by default, and green only for 0."""
    colour = RejectPolicy(on_rejected, f"{allowed}%" if share else allowed).task_outcome(total, rejected)
    assert (colour is SUCCEED) is (rejected == 0)
    if rejected is None:
        too_many = True
    elif total is None:
        too_many = rejected > 0
    else:
        too_many = rejected * 100 > allowed * total if share else rejected > allowed
    if too_many:
        assert colour is (FAIL if on_rejected == "fail" else WARN)
    else:
        assert colour is not FAIL


@given(on_rejected=st.sampled_from(["fail", "warn"]), allowed=st.integers(0, 50), total=st.integers(0, 100))
def test_more_refused_records_are_never_better(on_rejected, allowed, total):
    """The colour only darkens as the count grows."""
    policy = RejectPolicy(on_rejected, allowed)
    order = [list(TaskOutcome).index(policy.task_outcome(total, rejected)) for rejected in range(total + 1)]
    assert order == sorted(order)


def test_the_default_fails_on_the_first_refused_record():
    """Who says nothing hears of every refused record."""
    assert RejectPolicy().task_outcome(1000, 1) is FAIL


@pytest.mark.parametrize("value", ["Fail", "ignore", "", None, True, 0])
def test_on_rejected_takes_two_words(value):
    """Anything else is refused before anything is sent, and the message lists both."""
    with pytest.raises(ArmConfigurationError, match='on_rejected must be "fail" or "warn", not '):
        RejectPolicy(on_rejected=value)


@pytest.mark.parametrize("value", [-1, 1.5, "2.5%", "-1%", "%", "", "two", "2%%", "%2", "٢", None, True, False, [1]])
def test_max_rejected_takes_a_count_or_a_share(value):
    """Anything else is refused before anything is sent."""
    with pytest.raises(ArmConfigurationError, match="max_rejected must be a count such as 10 or a share such as"):
        RejectPolicy(max_rejected=value)


# ---- what can be submitted


def test_every_resource_names_operations_that_there_are():
    """Each resource and action leads to a row of the operations table that takes such records."""
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
    ("resource", "action", "says"),
    [
        ("invoices", "create", "resource must be one of customers, documents, not 'invoices'"),
        ("documents", "update", "action for documents must be one of create, not 'update'"),
        ("customers", "delete", "action for customers must be one of create, update, not 'delete'"),
    ],
)
def test_an_unknown_resource_or_action_is_refused_with_what_there_is(resource, action, says):
    """The message lists the choices."""
    with pytest.raises(ArmConfigurationError, match=f"^{says}$"):
        find_operation(resource, action)
