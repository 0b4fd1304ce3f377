"""A process group that ends when its supervisor is gone, whatever its members are busy with. Stdlib only.

The supervisor alone holds a pipe's write end; each rank, the leader of its own process group, inherits the read end.
The read end is armed (F_SETOWN, F_SETSIG, O_ASYNC; fcntl(2)) so that the kernel sends SIGKILL to the whole group when
the write end closes, which it does with the supervisor, however that ends. No thread of the rank has to run for it: a
rank that compiles in C++ with the interpreter locked, or that is stopped, ends as well.

The launcher arms the pipe right after the start; the rank arms it again as its first act, which also closes the gap in
which the launcher may have died before it could.
"""

import fcntl
import os
import select
import signal

from erfnet_jobs.ascend.environment import LIFELINE_FD


def arm(fd: int, group: int) -> None:
    """Have the kernel send SIGKILL to process group `group` when the last write end of pipe `fd` closes."""
    fcntl.fcntl(fd, fcntl.F_SETOWN, -group)
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)


def is_cut(fd: int) -> bool:
    """Whether no write end of pipe `fd` is left."""
    poll = select.poll()
    poll.register(fd, 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))


def hold_lifeline() -> None:
    """Tie this process' group to its supervisor: a rank's first act. Nothing happens without a lifeline (by hand).

    Ends the process group at once where the supervisor is already gone.
    """
    text = os.environ.get(LIFELINE_FD)
    if text is None:
        return
    fd = int(text)
    arm(fd, os.getpgrp())
    if is_cut(fd):
        os.killpg(os.getpgrp(), signal.SIGKILL)
