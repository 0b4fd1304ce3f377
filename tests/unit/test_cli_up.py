"""What `up` says to do next."""

import pytest

from erfnet_jobs.cli.up import ready_text


@pytest.mark.parametrize(
    ("family", "command"),
    [("cpu", "submit train --data D"), ("910B", "submit train --data D"), ("310P", "submit 310-infer --checkpoint C")],
)
def test_a_host_is_offered_what_it_can_run(family: str, command: str) -> None:
    assert command in ready_text(family)
