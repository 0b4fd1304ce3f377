"""Which random runs `make chaos` makes: a seed to repeat them by, and how many.

CHAOS_SEED=N repeats what an earlier run printed; CHAOS_RUNS=N makes N runs instead of each test's own number.
"""

import os
import random


def chaos_seed() -> int:
    """The seed of CHAOS_SEED, else one that nobody chose."""
    text = os.environ.get("CHAOS_SEED")
    return int(text) if text else random.SystemRandom().randrange(2**32)


def chaos_runs(usual: int) -> int:
    """The number of CHAOS_RUNS, else the usual one."""
    text = os.environ.get("CHAOS_RUNS")
    return int(text) if text else usual


SEED = chaos_seed()
# The processes of pytest-xdist have the same.
os.environ["CHAOS_SEED"] = str(SEED)
