"""GPUs and their driver, asked of nvidia-smi: torch would take seconds."""

from __future__ import annotations

from collections.abc import Iterator

from raygp.doctor.host import Host
from raygp.doctor.software import torch_cuda
from raygp.finding import Finding

QUERY = "--query-gpu=name,memory.total,memory.used,driver_version"
_OLDEST_DRIVER = {11: 450, 12: 525, 13: 580}
"""The first driver that runs what was built for a CUDA version of this number, as NVIDIA's release notes have it."""


def check_gpus(host: Host, cuda: str | None = None) -> Iterator[Finding]:
    """One finding about the GPUs together.

    Args:
        host: the machine.
        cuda: the version that torch is built for; None: what the torch here says.
    """
    cuda = cuda or torch_cuda()
    program = host.find("nvidia-smi")
    device = (host.root / "dev" / "nvidia0").exists()
    if program is None:
        if device:
            says = "there is a GPU (/dev/nvidia0) but no nvidia-smi: the driver's programs are not visible here"
            yield Finding("GPUs", "problem", says, "install the NVIDIA driver, or start the container with --gpus all")
        else:
            yield Finding("GPUs", "ok", "none: updates run on CPUs")
        return
    code, said = host.ask([program, QUERY, "--format=csv,noheader,nounits"])
    cards = [[part.strip() for part in line.split(",")] for line in said.splitlines()] if code == 0 else []
    cards = [card for card in cards if len(card) == 4]
    if not cards:
        says = f"nvidia-smi does not tell of any ({' '.join(said.split())[:200] or f'exit code {code}'})"
        yield Finding("GPUs", "problem", says, "load the driver (reboot after an upgrade of it), or hide the GPUs")
        return
    yield _judged(cards, cuda)


def _judged(cards: list[list[str]], cuda: str | None) -> Finding:
    """What is to be said of GPUs with name, MiB of memory, MiB in use and the driver's version."""
    names = sorted({card[0] for card in cards})
    driver = cards[0][3]
    text = f"{len(cards)} ({', '.join(names)}), driver {driver}"
    if cuda is None:
        return Finding(
            "GPUs", "warning", f"{text}: torch is built for CPUs and does not use them",
            "install a torch for CUDA, or leave it: updates run on CPUs",
        )  # fmt: skip
    oldest = _OLDEST_DRIVER.get(int(cuda.split(".")[0]), 0)
    number = driver.split(".")[0]
    if number.isdigit() and int(number) < oldest:
        says = f"{text} is older than {oldest}, which torch for CUDA {cuda} needs"
        return Finding("GPUs", "problem", says, f"install driver {oldest} or newer, or a torch for an older CUDA")
    busy = [card for card in cards if card[1].isdigit() and card[2].isdigit() and int(card[2]) > int(card[1]) / 2]
    if busy:
        used = f"{int(busy[0][2]):,} of {int(busy[0][1]):,} MiB"
        says = f"{text}: others use {used} of {'one' if len(busy) == 1 else f'{len(busy)} of them, such as one'}"
        return Finding("GPUs", "warning", says, "end what uses them (nvidia-smi names it), or set CUDA_VISIBLE_DEVICES")
    return Finding("GPUs", "ok", f"{text}; torch for CUDA {cuda}")
