"""A real rank with small networks: everything but what compiles for a quarter of a minute."""

import os
import sys


def main() -> None:
    """As `erfnet_jobs.erfnet.rank`."""
    import tests.tiny
    from erfnet_jobs.erfnet import inference, rank

    inference.make_network = tests.tiny.make_tiny
    code = rank.main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
