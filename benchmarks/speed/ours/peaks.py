"""What the machine can do: operations and bytes a second, measured, for the floors.

A call of `fp32_*` or `bf16_*` does `OPERATIONS`, one of `copy_*` moves `BYTES` (read and written).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

SIDE = 1024
OPERATIONS = 2.0 * SIDE**3
BYTES = 2.0 * 2**28


def fp32_cpu(work: Path) -> Callable[[], None]:
    """A matrix product in fp32."""
    return _product(torch.float32, "cpu")


def bf16_cpu(work: Path) -> Callable[[], None]:
    """A matrix product in bf16."""
    return _product(torch.bfloat16, "cpu")


def fp32_cuda(work: Path) -> Callable[[], None]:
    """A matrix product in fp32."""
    return _product(torch.float32, "cuda")


def bf16_cuda(work: Path) -> Callable[[], None]:
    """A matrix product in bf16."""
    return _product(torch.bfloat16, "cuda")


def copy_cpu(work: Path) -> Callable[[], None]:
    """A copy of memory that no cache holds."""
    source = np.ones(int(BYTES) // 2, np.int8)
    target = np.empty_like(source)
    return lambda: np.copyto(target, source)


def copy_cuda(work: Path) -> Callable[[], None]:
    """A copy of the device's memory."""
    source = torch.ones(int(BYTES) // 2, dtype=torch.int8, device="cuda")
    target = torch.empty_like(source)

    def copy() -> None:
        target.copy_(source)
        torch.cuda.synchronize()

    return copy


def _product(dtype: torch.dtype, device: str) -> Callable[[], None]:
    left, right = (torch.randn(SIDE, SIDE, device=device).to(dtype) for _ in range(2))
    result = torch.empty_like(left)

    def multiply() -> None:
        torch.mm(left, right, out=result)
        if device == "cuda":
            torch.cuda.synchronize()

    return multiply
