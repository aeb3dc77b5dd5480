"""Rows of several processes, together."""

import torch
import torch.distributed as dist
from torch import Tensor


def gather_rows(rows: Tensor) -> Tensor:
    """Joins the rows that each process holds, in the order of the ranks, each row once.

    The processes may hold different numbers of rows, none included: what pads the exchange is cut
    off again. Outside a run of several processes the rows come back as they are.

    Args:
        rows: (n, ...), on the device that the process group works with.

    Returns:
        All rows, (sum of n, ...), on every process.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return rows
    size = torch.tensor([len(rows)], device=rows.device)
    sizes = [torch.zeros_like(size) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, size)
    longest = max(int(n) for n in sizes)
    padded = rows.new_zeros(longest, *rows.shape[1:])  # (longest, ...)
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return torch.cat([part[: int(n)] for part, n in zip(parts, sizes, strict=True)])  # (N, ...)
