"""What numbers were measured on: processor, memory, system, versions; no names, no paths."""

import importlib.metadata
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

import torch

LIBRARIES = (
    "torch", "timm", "datasets", "accelerate",
    "evaluate", "safetensors", "huggingface_hub", "numpy",
)  # fmt: skip


def machine(device: str | torch.device = "cpu") -> dict[str, str | int | float | None]:
    """Describes the machine, for results.json.

    Args:
        device: What the network ran on.

    Returns:
        cpu: The processor's model; cores: what this process may use; device: "cpu" or the
        accelerator's model; memory_gib: of the machine, None where the system does not say;
        system: Such as "Linux x86_64".
    """
    device = torch.device(device)
    return {
        "cpu": _cpu_model(),
        "cores": cores(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that results depend on, those installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def peak_memory_mib() -> float | None:
    """Most memory this process has held so far, in MiB; None where the system does not say."""
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)  # bytes there, KiB here


def _cpu_model() -> str:
    with suppress(OSError):  # not Linux
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.lower().startswith(("model name", "hardware")):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown"


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None
