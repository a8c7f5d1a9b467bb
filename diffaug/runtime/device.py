"""The device for computing, set up so that the same input gives the same bytes."""

import os

import torch
import torch.utils.deterministic


def choose_device() -> torch.device:
    """CUDA or Apple's GPU if there is one, otherwise the CPU; deterministic kernels are switched on."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # it costs time, and nothing here reads such memory
    torch.backends.cudnn.benchmark = False
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
