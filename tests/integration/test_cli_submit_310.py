"""`submit 310-infer`, and `--then 310-infer` after a training: where it goes, and what is refused."""

from pathlib import Path

import pytest

from erfnet_jobs.ascend.devices import ASCEND_CHIP
from erfnet_jobs.errors import NoHostFits
from erfnet_jobs.registry.hosts import register_host
from erfnet_jobs.registry.jobs import get_job
from tests.cli_calls import Shell
from tests.registry_steps import seen_device


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "ERFNet.mindir").write_bytes(b"a model")
    return tmp_path / "ERFNet.mindir"


def with_310(shell: Shell, infers_310: bool = True) -> None:
    """The host has four 310P chips instead, and the C++ program or not."""
    found = [seen_device(number, ASCEND_CHIP, "310P3", "310P") for number in range(4)]
    words = {"address": "127.0.0.1", "storage_id": "s", "version": "1", "instance": "i"}
    with shell.registry() as registry, registry.write() as session:
        register_host(session, name="h1", devices=found, infers_310=infers_310, **words)


def test_what_would_be_submitted(shell: Shell, data: Path, model: Path) -> None:
    with_310(shell)
    arguments = ("submit", "310-infer", "--model", model, "--images", data, "--labels", data, "--device-id", 2)

    plan = shell(*arguments, "--dry-run", "--json").json
    (job,) = plan["jobs"]
    assert (job["kind"], job["cards"], job["devices"]) == ("310-infer", 1, [2])
    assert (job["spec"]["model"], job["spec"]["images"], job["spec"]["labels"]) == (str(model), str(data), str(data))
    assert (job["spec"]["save"], job["spec"]["allow_cpu"]) == (["labels"], False)
    assert [host["name"] for host in plan["hosts"]] == ["h1"]
    assert plan["now"]["parts"] == [["h1", [2]]]
    text = shell(*arguments, "--allow-cpu", "--save", "none", "--dry-run").out
    assert "310-infer on 1 card, devices 2, CPU slots too" in text
    assert f"model {model}, images {data}, labels {data}, split val, save none, precision fp32\n" in text
    assert shell.count_jobs() == 0


def test_what_becomes_of_it(shell: Shell, data: Path, model: Path) -> None:
    arguments = ("submit", "310-infer", "--model", model, "--images", data, "--allow-cpu", "--max-attempts", 1)
    made = shell(*arguments, "--name", "edges", "--json").json

    assert (made["kind"], made["name"], made["state"], made["spec"]["allow_cpu"]) == (
        "310-infer",
        "edges",
        "queued",
        True,
    )
    with shell.registry() as registry, registry.read() as session:
        assert get_job(session, made["id"]).allow_cpu
    text = shell("status", made["id"]).out
    assert "Job 1  310-infer  queued  edges" in text
    assert "batch" not in text


def test_no_host_with_310(shell: Shell, data: Path, model: Path) -> None:
    called = shell("submit", "310-infer", "--model", model, "--images", data)

    assert called.code == 8
    assert called.err == (
        "error: no host can ever run this: a 310-infer job needs a 310 or 310P device, or --allow-cpu, which lets it "
        "have CPU slots; the hosts (and their devices) are h1 (2); add such a host\n"
    )
    assert shell.count_jobs() == 0
    with_310(shell)
    assert shell("submit", "310-infer", "--model", model, "--images", data).code == 0


def test_310_infer_after_a_training(shell: Shell, data: Path) -> None:
    train = ("submit", "train", "--data", data, "--size", "96x192", "--host", "h1", "--then", "310-infer")
    called = shell(*train)
    assert called.code == 8
    assert "no host can ever run the 310-infer job that is to follow: a 310-infer job needs" in called.err
    assert "--allow-cpu" in called.err
    assert shell(*train, "--dry-run").code == 8
    assert shell.count_jobs() == 0

    plan = shell(*train, "--allow-cpu", "--time-limit", "1h", "--dry-run", "--json").json
    infer = plan["jobs"][2]
    assert (infer["kind"], infer["host"], infer["time_limit"]) == ("310-infer", None, None)
    spec = infer["spec"]
    assert (spec["checkpoint"], spec["images"], spec["labels"]) == ("JOB:best", str(data), str(data))
    assert (spec["size"], spec["limit"], spec["allow_cpu"]) == ([96, 192], None, True)

    jobs = shell(*train, "--allow-cpu", "--no-eval", "--json").json
    assert [(job["kind"], job["state"]) for job in jobs] == [("train", "queued"), ("310-infer", "waiting")]
    assert (jobs[1]["spec"]["checkpoint"], jobs[1]["spec"]["allow_cpu"]) == ("1:last", True)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ("--images DATA", 2, "give --checkpoint, --best or --model, one of them"),
        ("--images DATA --checkpoint 1 --model MODEL", 2, "one of them"),
        ("--images DATA --checkpoint 1", 4, "checkpoint 1 is unknown"),
        ("--images DATA --checkpoint 5:best", 4, "job 5 is unknown"),
        ("--images DATA --best mean_iou", 4, "no"),
        ("--images DATA --model ABSENT", 11, "--model ABSENT: there is no such file"),
        ("--images DATA --model DATA", 11, "--model DATA is no file: name a .mindir file of MindSpore Lite"),
        ("--images ABSENT --model MODEL", 3, "--images ABSENT: there is no such file or folder"),
        ("--images DATA --labels ABSENT --model MODEL", 3, "--labels ABSENT: there is no such file or folder"),
        ("--images DATA --labels MODEL --model MODEL", 3, "--labels MODEL is no folder"),
        ("--images DATA --split test --model MODEL", 3, "DATA has no leftImg8bit/test"),
        ("--images DATA --model MODEL --save colour", 2, "save is 'colour'"),
        ("--images DATA --model MODEL --precision int8", 2, "precision is 'int8'"),
        ("--images DATA --model MODEL --device-id -1", 2, "--device-id"),
        ("--images DATA --model MODEL --device-id 7 --allow-cpu", 8, "no host has the devices 7 that it wants"),
        ("--images DATA --model MODEL --host h1", 8, "or --allow-cpu"),
    ],
)
def test_what_is_refused(shell: Shell, data: Path, model: Path, options: str, code: int, words: str) -> None:
    places = {"DATA": str(data), "MODEL": str(model), "ABSENT": str(data / "absent")}
    called = shell("submit", "310-infer", *(places.get(option, option) for option in options.split()))

    for name, place in places.items():
        words = words.replace(name, place)
    assert called.code == code, called
    assert words in called.err
    assert called.out == ""
    assert shell.count_jobs() == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--allow-cpu", "--allow-cpu is for --then 310-infer: leave it out"),
        ("--then 310-infer --stages 1-2", "needs the whole network"),
        ("--then 310", "--then 310: give some of export,infer,310-infer"),
    ],
)
def test_what_cannot_follow_a_training(shell: Shell, data: Path, options: str, words: str) -> None:
    called = shell("submit", "train", "--data", data, *options.split())

    assert called.code == 2
    assert words in called.err


def test_310_infer_needs_pictures(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "meta.json").touch()
    called = shell("submit", "train", "--data", tmp_path, "--no-eval", "--then", "310-infer", "--allow-cpu")

    assert called.code == 2
    assert "--then 310-infer needs pictures" in called.err


def test_no_host_has_the_program(shell: Shell, data: Path, model: Path) -> None:
    with_310(shell, infers_310=False)
    called = shell("submit", "310-infer", "--model", str(model), "--images", str(data))
    assert called.code == NoHostFits.exit_code
    assert (
        "no host can ever run this: no erfnet_infer was found on h1: build it there with 'make infer310'" in called.err
    )
    assert "add a host" not in called.err
