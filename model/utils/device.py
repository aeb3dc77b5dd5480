"""How to use a device well: its number format, and a processor's cores."""

import os
import warnings
from dataclasses import dataclass

import torch

from .machine import cores


@dataclass(frozen=True)
class DevicePlan:
    """What training does differently from one device to the next; all of it stands here."""

    whole_batches: bool
    """A step takes its batch at once: parts of it save memory, and fit the caches of a CPU."""
    graphs: bool
    """Steps are recorded as CUDA graphs, see `GraphedStep`."""
    save_every: float
    """Seconds between checkpoints, at least; epochs can be shorter than writing one takes."""


def plan_for(device: torch.device, processes: int, recordable: bool) -> DevicePlan:
    """How to train on a device.

    Args:
        device: Where.
        processes: That share each batch; they talk to each other in ways that graphs cannot hold.
        recordable: Whether a step is told to the device without waiting for it.
    """
    cuda = device.type == "cuda"
    return DevicePlan(cuda, cuda and processes == 1 and recordable, 10.0 if cuda else 0.0)


def resolve_mixed_precision(asked: str, device: torch.device) -> str:
    """Turns "auto" into a format; anything else stays as it is.

    A choice made with `accelerate launch --mixed_precision` counts; otherwise bfloat16 is taken
    where the processor multiplies it natively, because elsewhere it is emulated and slower.

    Args:
        asked: "auto", "no", "bf16" or "fp16".
        device: Where training runs.

    Returns:
        "no", "bf16" or "fp16".
    """
    if asked != "auto":
        return asked
    launched = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    if launched in ("bf16", "fp16"):
        return launched
    if has_bf16(device):
        return "bf16"
    return "fp16" if device.type == "cuda" else "no"


def has_bf16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 natively; a CPU does with AVX512-BF16 or AMX."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (_cpu_has("avx512_bf16") or has_amx(device))


def has_amx(device: torch.device) -> bool:
    """Whether a device is a processor with Intel's units for products of matrices."""
    return device.type == "cpu" and _cpu_has("amx_tile")


def _cpu_has(name: str) -> bool:
    """Asks torch, in some versions of which there is no such question."""
    return bool(getattr(torch.cpu, f"_is_{name}_supported", lambda: False)())


def repeat_bit_for_bit() -> None:
    """Makes a GPU compute the same bits in every run, at some cost in time; a CPU does anyway."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
    # Only warned of are poolings, whose backward pass adds in any order: windows here do not
    # overlap, so nothing is added to anything.
    torch.use_deterministic_algorithms(True, warn_only=True)
    warnings.filterwarnings("ignore", ".*max_pool2d.* does not have a deterministic")


def use_all_cores(threads: int | None = None) -> int:
    """Sets how many threads this process computes with on the CPU.

    `accelerate launch` sets OMP_NUM_THREADS=1 unless told otherwise, which would leave all cores
    but one idle; more than one is taken as somebody's wish.

    Args:
        threads: As asked for; None shares the cores among this machine's processes.

    Returns:
        The number of threads.
    """
    if threads is None:
        wish = os.environ.get("OMP_NUM_THREADS", "1")
        share = cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        threads = int(wish) if wish.isdecimal() and int(wish) > 1 else max(1, share)
    torch.set_num_threads(threads)
    return threads
