"""Diffusion models: opening them, their schedulers, and what they can do."""

import logging
import warnings

# diffusers compiles a part of Kolors as soon as it is imported, whatever the model is.
warnings.filterwarnings("ignore", message="`torch.jit.script` is", category=FutureWarning)
# If it is installed, it is imported with diffusers, and misses a part that is not used here.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
