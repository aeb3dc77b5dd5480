"""A step of training as one CUDA graph: a GPU then waits for no Python between its kernels."""

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor

WARM_UP = 3  # steps that run as usual first: libraries choose their kernels, buffers come to be


class GraphedStep:
    """Runs a function a few times, then records it as a CUDA graph and replays that.

    Small networks leave a GPU idle: it computes faster than Python tells it what to compute. A
    graph holds all kernels of a step, and one call starts them. Everything that changes from step
    to step must lie in a tensor that stays where it is, or in the generator. Source: Nguyen et al.,
    "Accelerating PyTorch with CUDA graphs", PyTorch blog, 2021.

    Args:
        function: Maps tensors to one tensor, without waiting for the GPU.
        generator: The random numbers that the function draws; seeding it anew between two steps
            counts in a replay, too.
    """

    def __init__(self, function: Callable[..., Tensor], generator: torch.Generator) -> None:
        self.function, self.generator = function, generator
        self.steps: Counter[Hashable] = Counter()
        self.recorded: dict[Hashable, tuple[Any, list[Tensor], Tensor]] = {}

    def __call__(self, *inputs: Tensor, **fixed: Hashable) -> Tensor:
        """Runs the function on tensors of the GPU.

        Args:
            *inputs: Copied to where the graph reads them.
            **fixed: Other arguments; each value they take records a graph of its own.
        """
        key = (tuple(x.shape for x in inputs), tuple(fixed.items()))
        self.steps[key] += 1
        if self.steps[key] <= WARM_UP:
            return self.function(*inputs, **fixed)
        if key not in self.recorded:
            kept = [x.clone() for x in inputs]
            graph = torch.cuda.CUDAGraph()
            graph.register_generator_state(self.generator)
            # Threads that read the next images may go on using the GPU meanwhile.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                output = self.function(*kept, **fixed)  # recorded, not computed yet
            self.recorded[key] = graph, kept, output
        graph, kept, output = self.recorded[key]
        for old, new in zip(kept, inputs, strict=True):
            old.copy_(new)
        graph.replay()
        return output
