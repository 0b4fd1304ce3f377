"""What is believed of devices look after look: what a tool says or does not say, and whose processes there are."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.ascend.devices import ASCEND_CHIP, CPU_SLOT, UNKNOWN_HEALTH, Device, DeviceProcess, HostDevices
from erfnet_jobs.ascend.health import DeviceStates, Seen, Whose

SILENT = HostDevices((), troubles=("npu-smi did not answer within 10 s",))
HEALTHS = ("ok", "warning", "alarm", "critical", "unknown")


def chip(number: int = 0, health: str = "ok", **told: Any) -> Device:
    return replace(Device(number, ASCEND_CHIP, "910B3", health=health, generation="910B"), **told)


def look(*devices: Device, troubles: tuple[str, ...] = ()) -> HostDevices:
    return HostDevices(devices, troubles=troubles)


def after(*looks: HostDevices, whose: Whose = Whose.FOREIGN, warning_runs: bool = True) -> DeviceStates:
    states = DeviceStates({}, warning_runs)
    for found in looks:
        states.take(found, lambda *_: whose)
    return states


@pytest.mark.parametrize(
    ("health", "warning_runs", "fit"),
    [
        ("ok", False, True),
        ("warning", True, True),
        ("warning", False, False),
        ("alarm", True, False),
        ("critical", True, False),
        ("unknown", True, False),
    ],
)
def test_health_decides_who_may_run(health: str, warning_runs: bool, fit: bool) -> None:
    assert after(look(chip(health=health)), warning_runs=warning_runs).seen[0].fit is fit


@pytest.mark.parametrize("health", ["alarm", "critical", "unknown"])
def test_what_two_looks_say_is_lost(health: str) -> None:
    ill = look(chip(0), chip(1, health, error_code="80E01801"))
    assert after(ill).lost == {}
    assert after(ill, ill).lost == {1: f"{health} (error code 80E01801)"}
    assert after(ill, look(chip(0), chip(1)), ill).lost == {}


def test_a_chip_that_is_not_listed_any_more_is_gone_and_may_come_back() -> None:
    both, one = look(chip(0), chip(1)), look(chip(0))
    states = after(both, one)
    assert (states.seen[1].present, states.seen[1].state, states.lost) == (False, "gone", {})
    states.take(one, lambda *_: Whose.FOREIGN)
    assert states.lost == {1: "gone"}
    states.take(both, lambda *_: Whose.FOREIGN)
    assert (states.seen[1], states.lost) == (Seen(chip(1)), {})


def test_silence_once_is_nothing_and_never_loses_what_runs() -> None:
    known = look(chip(0), chip(1, "warning", device_ip="192.0.2.7", link="up"))
    assert after(known, SILENT).seen == after(known).seen
    states = after(known, *[SILENT] * 5)
    assert [(seen.present, seen.fit, seen.state) for seen in states.seen.values()] == [(True, False, "unknown")] * 2
    assert states.lost == {}
    states.take(known, lambda *_: Whose.FOREIGN)
    assert states.seen == after(known).seen


def test_a_health_that_could_not_be_asked_is_silence() -> None:
    untold = look(chip(0, "unknown"), troubles=("npu-smi info -t health failed",))
    assert after(look(chip(0)), untold).seen[0].fit
    states = after(look(chip(0)), *[untold] * 3)
    assert (states.seen[0].fit, states.lost) == (False, {})
    said = look(chip(0, "unknown", memory_used=1 << 30, temperature=40.0), troubles=untold.troubles)
    assert after(look(chip(0)), said, said).lost == {0: "unknown"}


def test_what_a_tool_failed_to_tell_is_kept_from_before() -> None:
    known = chip(0, device_ip="192.0.2.7", memory=1 << 36)
    partly = look(chip(0, "alarm"), troubles=("hccn_tool did not answer",))
    seen = after(look(known), partly).seen[0].device
    assert (seen.device_ip, seen.memory, seen.health) == ("192.0.2.7", 1 << 36, "alarm")
    assert after(look(known), look(chip(0))).seen[0].device.device_ip is None


def test_foreign_processes_make_a_device_busy() -> None:
    used = look(chip(0, processes=(DeviceProcess(4711, "python3"), DeviceProcess(4712, "vllm"))))
    assert after(used).seen[0].busy == "process 4711 (python3), process 4712 (vllm)"
    assert after(used, whose=Whose.OURS).seen[0].busy is None
    # One that has just ended may have been ours; one that stays, or was there before us, is another container's.
    empty = look(chip(0, processes=()))
    assert after(empty, used, whose=Whose.GONE).seen[0].busy is None
    assert after(empty, used, used, whose=Whose.GONE).seen[0].busy == "process 4711 (python3), process 4712 (vllm)"
    assert after(used, whose=Whose.GONE).seen[0].busy == "process 4711 (python3), process 4712 (vllm)"
    assert after(used, look(chip(0))).seen[0].busy is not None  # nobody told
    assert after(used, empty).seen[0].busy is None
    assert after(look(chip(0, processes=(DeviceProcess(4711, ""),)))).seen[0].busy == "process 4711"


def test_a_worker_that_starts_takes_slots_for_chips_only_where_the_tools_are_well() -> None:
    slots = look(*(Device(number, CPU_SLOT, "slot") for number in range(2)))
    known = {0: Seen(chip(0)), 5: Seen(chip(5))}
    for troubles, kinds in [((), [CPU_SLOT, CPU_SLOT]), (("npu-smi hangs",), [ASCEND_CHIP, ASCEND_CHIP])]:
        states = DeviceStates(known, True)
        states.take(replace(slots, troubles=troubles), lambda *_: Whose.OURS)
        assert [seen.device.kind for seen in states.seen.values() if seen.present] == kinds


def test_no_job_gets_a_slot_that_was_known_where_a_chip_shows_or_may_hide() -> None:
    """A host that was one of CPUs before its driver was installed."""
    known = {0: Seen(Device(0, CPU_SLOT, "slot")), 1: Seen(Device(1, CPU_SLOT, "slot"))}
    hidden = look(troubles=("npu-smi may not be asked",))
    shown = look(chip(0, UNKNOWN_HEALTH), troubles=hidden.troubles)
    for found, kinds in [(hidden, [CPU_SLOT, CPU_SLOT]), (shown, [ASCEND_CHIP])]:
        states = DeviceStates(known, True)
        states.take(found, lambda *_: Whose.OURS)
        assert [seen.device.kind for seen in states.seen.values() if seen.present] == kinds
        assert not any(seen.present and seen.fit for seen in states.seen.values())
    states.take(look(chip(0)), lambda *_: Whose.OURS)
    assert states.seen[0].fit


def test_slots_are_not_chips_and_cannot_be_lost() -> None:
    slots = look(*(Device(number, CPU_SLOT, "slot") for number in range(2)))
    states = after(look(chip(0)), slots, slots)
    assert states.seen[0].state == "gone"
    assert (list(states.seen), states.lost) == ([0], {0: "gone"})
    states = after(slots, look(Device(0, CPU_SLOT, "slot")), look(Device(0, CPU_SLOT, "slot")))
    assert (states.seen[1].present, states.lost) == (False, {})


@st.composite
def looks(draw: st.DrawFn) -> HostDevices:
    if draw(st.booleans()):
        return SILENT
    numbers = draw(st.lists(st.integers(0, 3), unique=True))
    devices = tuple(chip(number, draw(st.sampled_from(HEALTHS))) for number in sorted(numbers))
    return HostDevices(devices, troubles=draw(st.sampled_from([(), ("hccn_tool failed",)])))


@given(st.lists(looks(), max_size=12), st.booleans())
def test_in_any_order_only_what_was_said_is_lost_and_only_what_is_well_is_fit(
    seen: list[HostDevices], warning_runs: bool
) -> None:
    states = DeviceStates({}, warning_runs)
    said: dict[int, int] = {}
    for found in seen:
        states.take(found, lambda *_: Whose.OURS)
        for number in range(4):
            device = next((one for one in found.devices if one.id == number), None)
            if (
                found.troubles
                and (device is None or device.health == "unknown")
                and not (device is None and found.devices)
            ):
                continue
            ruined = device is None or device.health in {"alarm", "critical", "unknown"}
            said[number] = said.get(number, 0) + 1 if ruined and number in states.seen else 0
        assert set(states.lost) == {number for number, times in said.items() if times >= 2}
        for number, now in states.seen.items():
            assert now.fit <= (now.device.health in {"ok", "warning"})
            assert not (number in states.lost and now.fit and now.present)
