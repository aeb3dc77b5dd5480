"""Which number format a device trains fastest in without losing accuracy."""

import os

import torch


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
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device.type == "cpu" and _cpu_has_bf16():
        return "bf16"
    return "no"


def _cpu_has_bf16() -> bool:
    """Whether this processor has AVX512-BF16 or AMX."""
    tests = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, test, lambda: False)() for test in tests)
