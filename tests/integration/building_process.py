"""Builds MindRecords in a process of its own: `building_process.py DATA SUBSET CACHE [LIMIT]`, progress as lines.

LIMIT is how large a file may become, in bytes (RLIMIT_FSIZE): a disk that is full at that point.
"""

import resource
import sys
from pathlib import Path

import mindspore.mindrecord  # noqa: F401 - MindSpore writes files of its own when it is imported

from erfnet_jobs.erfnet.mindrecord import ensure_mindrecord
from erfnet_jobs.errors import ErfnetJobsError


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main() -> int:
    data, subset, cache = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    if len(sys.argv) > 4:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]),) * 2)
    say("ready")
    sys.stdin.readline()
    try:
        record = ensure_mindrecord(data, subset, cache, 2, say)
    except ErfnetJobsError as error:
        say(type(error).__name__, str(error).replace("\n", " "))
        return error.exit_code
    say("built", record.path, record.count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
