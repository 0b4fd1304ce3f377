import signal

from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.launch.children import Death
from erfnet_jobs.launch.verdict import Said, failure_of, first_to_fail, is_victim, peers_lost
from erfnet_jobs.reports import Failed
from erfnet_jobs.states import Outcome

times = st.floats(0, 100)
deaths_of = st.builds(
    Death,
    rank=st.none() | st.integers(0, 5),
    at=times,
    exit_code=st.integers(0, 20),
    signal=st.none(),
) | st.builds(Death, rank=st.integers(0, 5), at=times, exit_code=st.none(), signal=st.sampled_from([6, 9, 11, 15]))
deaths = st.lists(deaths_of, max_size=6, unique_by=lambda death: death.rank).map(
    lambda found: sorted(found, key=lambda death: death.at)
)
FAILED = Failed("LossNotFinite", "the loss is NaN", 14, True)
LOST = Failed("PeersLost", "EI0006", 19, False)
said = st.dictionaries(st.integers(0, 5), st.builds(Said, times, st.sampled_from([FAILED, LOST])))
done = st.frozensets(st.integers(0, 5))


@given(deaths, said, done)
def test_nobody_failed_earlier(deaths: list[Death], said: dict[int, Said], done: frozenset[int]) -> None:
    first = first_to_fail(deaths, said, done)
    bad = {death.rank: death.at for death in deaths if not (death.exit_code == 0 and death.rank in done)}
    bad.pop(None, None)
    known = bad | {rank: entry.at for rank, entry in said.items()}
    ends = {death.rank: death for death in deaths}
    to_blame = {rank: at for rank, at in known.items() if not is_victim(ends.get(rank), said.get(rank))}
    if first is None:
        assert not known
    else:
        assert known[first] == min((to_blame or known).values())
        assert first in (to_blame or known)


def test_a_victim_is_not_blamed_however_early_its_clock() -> None:
    killed, ended = Death(1, 5.0, None, signal.SIGKILL), Death(0, 1.0, None, signal.SIGTERM)
    assert first_to_fail([ended, killed], {2: Said(0.5, LOST)}, frozenset()) == 1
    assert first_to_fail([ended], {2: Said(0.5, LOST)}, frozenset()) == 2


def test_what_only_victims_tell() -> None:
    by_itself = peers_lost(2, None, Said(1.0, LOST), "/runs/1/1")
    by_mindspore = peers_lost(0, Death(0, 1.0, None, signal.SIGTERM), None, "/runs/1/1")
    for result in (by_itself, by_mindspore):
        assert (result.outcome, result.failed_rank, result.permanent) == (Outcome.LOST, None, False)
        assert "the logs of all ranks are in /runs/1/1/logs" in (result.message or "")
    assert "rank 2 lost the others (EI0006)" in (by_itself.message or "")
    assert "rank 0 ended by SIGTERM, as MindSpore ends ranks" in (by_mindspore.message or "")


def test_of_equal_times_the_first_death_counts() -> None:
    assert first_to_fail([Death(3, 1.0, None, 9), Death(1, 1.0, 16, None)], {}, frozenset()) == 3


def test_the_scheduler_is_no_rank() -> None:
    assert first_to_fail([Death(None, 1.0, 1, None)], {}, frozenset()) is None


def test_zero_without_done_is_a_failure() -> None:
    result = failure_of(0, Death(0, 1.0, 0, None), None, done=False, run_dir="/runs/1/1")
    assert result.error == "RanksFailed"
    assert not result.permanent


def test_a_known_exit_code_tells_the_error() -> None:
    result = failure_of(0, Death(0, 1.0, 3, None), None, done=False, run_dir="/runs/1/1")
    assert (result.error, result.permanent, result.exit_code) == ("BadData", True, 3)


def test_a_full_disk_that_kept_a_rank_from_its_report_is_told() -> None:
    result = failure_of(1, Death(1, 1.0, 13, None), None, done=False, run_dir="/runs/1/1")
    assert (result.error, result.permanent) == ("DiskFull", False)
    assert "no space left below /runs/1/1: free some" in (result.message or "")


def test_a_signal_is_named() -> None:
    result = failure_of(2, Death(2, 1.0, None, signal.SIGSEGV), None, done=False, run_dir="/runs/1/1")
    assert result.message is not None
    assert "rank 2" in result.message
    assert "SIGSEGV" in result.message


def test_what_the_rank_said_counts_most() -> None:
    result = failure_of(0, Death(0, 2.0, None, signal.SIGTERM), Said(1.0, FAILED), done=False, run_dir="/runs/1/1")
    assert (result.error, result.message, result.permanent) == ("LossNotFinite", "the loss is NaN", True)
    assert result.signal == signal.SIGTERM
