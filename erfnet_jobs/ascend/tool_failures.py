"""What npu-smi and hccn_tool say when they fail, as sentences with what to do. Pure; stdlib only."""

import re
import signal

# The first that is found in the output counts. -8020 is DCMI_ERR_CODE_RESOURCE_OCCUPIED (npu-smi's source).
FAILURES = (
    (
        r"dcmi model initiali[sz]ed failed|the device is used|-8020\b",
        "the devices are in use by another container ({line}); stop it, or give this container other devices",
    ),
    (
        r"dcmi module initiali[sz]e failed|dcmi (module|model) init\w* failed",
        "the driver could not be opened ({line}); run as root or as a member of the group HwHiAiUser, see with 'lsmod' "
        "whether the driver is loaded, and restart the host if the driver or its firmware was just updated",
    ),
    (
        r"error while loading shared libraries",
        "it does not find the driver's libraries ({line}); add /usr/local/Ascend/driver/lib64, its common and driver "
        "folders to LD_LIBRARY_PATH",
    ),
    (
        r"permission denied|operation not permitted|not permitted to",
        "this user may not ask the devices ({line}); run as root or as a member of the group HwHiAiUser",
    ),
    (
        r"there is no npu card on this server",
        "the driver sees no card ({line}); see 'lspci | grep accelerators', and whether the driver is loaded",
    ),
)


def known_failure(text: str) -> str | None:
    """What a failure that we know means and needs; None where the output tells of none."""
    for pattern, sentence in FAILURES:
        if found := re.search(pattern, text, re.IGNORECASE):
            return sentence.format(line=_line_at(text, found.start()))
    return None


def is_unsupported(text: str) -> bool:
    """Whether a tool says that it, or the device, has no answer to such a question at all."""
    return re.search(r"not support|unsupported|parameter is invalid|invalid parameter", text, re.IGNORECASE) is not None


def exit_text(code: int, text: str) -> str:
    """How a call ended that gave no answer, with the last line it wrote."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = f": {lines[-1][:200]}" if lines else ", without a word"
    if code < 0:
        return f"ended by {signal.Signals(-code).name if -code in set(signal.Signals) else f'signal {-code}'}{last}"
    return f"exit code {code}{last}"


def _line_at(text: str, at: int) -> str:
    """The line of the text around a position, shortened."""
    return text[text.rfind("\n", 0, at) + 1 :].split("\n", 1)[0].strip()[:200]
