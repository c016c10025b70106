"""Where something was made: machine, versions, date; and on what it is computed."""

import datetime
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch

import earmark
from earmark.errors import InputError


def resolve_device(name: str) -> torch.device:
    """The device that `--device` names; `auto` is CUDA where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f'--device must be auto, cpu, cuda or cuda:N, got "{name}"') from error
    if device.type not in ("cpu", "cuda"):
        raise InputError(f'--device must be auto, cpu, cuda or cuda:N, got "{name}"')
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"--device {name}: {torch.cuda.device_count()} CUDA devices are there; use --device cpu")
    return device


def resolve_precision(name: str, device: torch.device) -> str:
    """`auto` as bf16 where the processor computes it natively (elsewhere it is slower than fp32), else fp32."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "fp32"


def machine_name(device: torch.device) -> str:
    """The processor in words: cores, model and widest arithmetic, and the GPU where that computes."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    in_bf16 = ", bf16" if resolve_precision("auto", torch.device("cpu")) == "bf16" else ""
    cores = f"{os.cpu_count()} x {model} ({torch.backends.cpu.get_cpu_capability()}{in_bf16})"
    return f"{torch.cuda.get_device_name(device)}, {cores}" if device.type == "cuda" else cores


def today() -> str:
    """The date, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def describe_environment(device: torch.device) -> dict[str, Any]:
    """What a run record says of where it was made."""
    return {
        "earmark": earmark.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "machine": machine_name(device),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "date": today(),
    }
