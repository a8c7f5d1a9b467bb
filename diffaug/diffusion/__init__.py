"""Diffusion models: opening them, their schedulers, and what they can do."""

import warnings

# diffusers compiles a part of Kolors as soon as it is imported, whatever the model is.
warnings.filterwarnings("ignore", message="`torch.jit.script` is", category=FutureWarning)
