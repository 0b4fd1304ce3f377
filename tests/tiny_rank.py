"""A rank as the product runs it, with small networks in place of ERFNet: they compile in a second."""

import os
import sys


def main() -> int:
    """As `erfnet_jobs.erfnet.rank`."""
    from erfnet_jobs.ascend.lifeline import hold_lifeline

    hold_lifeline()
    from erfnet_jobs.erfnet import inference, rank, train
    from tests.tiny import make_tiny

    inference.make_network = train.make_network = make_tiny
    return rank.main(sys.argv[1:])


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
