"""Starts a gang of scripted ranks and waits, as a supervisor does, until it is killed: RUN_DIR RANKS."""

import os
import signal
import sys
from pathlib import Path

from erfnet_jobs.launch.gang import PLAN_NAME, Gang
from erfnet_jobs.plan import read_plan
from tests.gang_steps import HOST, PROGRAM


def main() -> None:
    gang = Gang(read_plan(Path(sys.argv[1], PLAN_NAME)), HOST, program=PROGRAM, base_environ=os.environ)
    gang.start()
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
