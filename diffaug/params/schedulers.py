"""The names of samplers, as users of Stable Diffusion WebUI know them; their classes: diffusion/schedulers.py."""

import re

MODEL_OWN = "default"  # the model's own scheduler
NAMES = (
    *("ddim", "ddpm", "deis", "dpm2", "dpm2_a", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_sde", "euler", "euler_a", "heun"),
    *("lcm", "lms", "pndm", "sa_solver", "tcd", "unipc"),
)
SPACINGS = ("karras", "exponential", "beta")  # of the noise levels, appended to a name: dpmpp_2m_karras
_NAME = re.compile(rf"({'|'.join(sorted(NAMES, key=len, reverse=True))})(?:_({'|'.join(SPACINGS)}))?")


def check_name(name: str) -> str:
    """The name, if it is in the table. Raises ValueError otherwise. Only the model can tell whether it fits."""
    if name != MODEL_OWN and not _NAME.fullmatch(name):
        names = ", ".join(NAMES)
        raise ValueError(f"allowed are {MODEL_OWN}, {names}, and most of them followed by _{', _'.join(SPACINGS)}")
    return name
