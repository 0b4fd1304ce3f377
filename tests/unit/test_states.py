"""The state machine of jobs as a graph."""

import pytest

from erfnet_jobs.states import PLACED, TERMINAL, TRANSITIONS, JobState


def _reachable(start: JobState) -> set[JobState]:
    found = {start}
    frontier = [start]
    while frontier:
        new = set(TRANSITIONS[frontier.pop()]) - found
        found |= new
        frontier.extend(new)
    return found


def test_every_state_is_in_the_machine() -> None:
    assert set(TRANSITIONS) == set(JobState)
    assert _reachable(JobState.WAITING) == set(JobState)


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_a_terminal_state_is_never_left(state: JobState) -> None:
    assert TRANSITIONS[state] == frozenset()


@pytest.mark.parametrize("state", sorted(set(JobState) - TERMINAL))
def test_every_other_state_comes_to_an_end(state: JobState) -> None:
    assert _reachable(state) & TERMINAL
    assert JobState.CANCELLED in TRANSITIONS[state]
    assert state not in TRANSITIONS[state]


def test_only_what_waits_is_skipped_and_only_what_was_placed_succeeds() -> None:
    assert {state for state, targets in TRANSITIONS.items() if JobState.SKIPPED in targets} == {JobState.WAITING}
    assert {state for state, targets in TRANSITIONS.items() if JobState.SUCCEEDED in targets} < PLACED


def test_back_to_the_queue_only_from_an_attempt() -> None:
    sources = {state for state, targets in TRANSITIONS.items() if JobState.QUEUED in targets}
    assert sources == PLACED | {JobState.WAITING}
