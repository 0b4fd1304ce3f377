"""The process of MindSpore's scheduler: it brings the ranks of a gang together and does no work of theirs.

Its address and the number of ranks are in the environment (`erfnet_jobs.ascend.environment`). MindSpore's own thread
serves until all ranks have signed off; the process then ends by itself, some seconds later.
"""

from erfnet_jobs.ascend.lifeline import hold_lifeline


def main() -> None:
    """Serve until the ranks are done."""
    hold_lifeline()
    from mindspore.communication import init

    init()


if __name__ == "__main__":
    main()
