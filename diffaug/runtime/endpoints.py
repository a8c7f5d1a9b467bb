"""The addresses of the hubs: what the user's environment names, such as a mirror, or the hubs themselves."""

import os

_HUGGING_FACE = "https://huggingface.co"
_MODELSCOPE = "https://modelscope.cn"


def prepare() -> None:
    """Set the environment for the address of HF_ENDPOINT. It comes before the import of huggingface_hub, which reads
    these variables only then.

    A mirror has the files over HTTP. Xet, which huggingface_hub prefers, would ask the servers of the hub itself.
    """
    if not _named("HF_ENDPOINT"):
        os.environ.pop("HF_ENDPOINT", None)  # an empty one would be taken for an address
        return
    os.environ["HF_ENDPOINT"] = hugging_face()  # `datasets` puts a second slash behind one at the end
    if hugging_face() != _HUGGING_FACE:
        os.environ.setdefault("HF_HUB_DISABLE_XET", "1")


def hugging_face() -> str:
    """The address of the Hugging Face hub, or of the mirror in HF_ENDPOINT, without a slash at the end."""
    return _with_scheme(_named("HF_ENDPOINT") or _HUGGING_FACE)


def modelscope() -> str:
    """The address of ModelScope: MODELSCOPE_ENDPOINT, or its older name MODELSCOPE_DOMAIN."""
    return _with_scheme(_named("MODELSCOPE_ENDPOINT") or _named("MODELSCOPE_DOMAIN") or _MODELSCOPE)


def git_address(name: str, hub: str | None, datasets: bool = False) -> str:
    """The address of a hub id as a Git repository. hub: modelscope, or else Hugging Face."""
    if hub == "modelscope":
        return f"{modelscope()}/{'datasets' if datasets else 'models'}/{name}.git"
    return f"{hugging_face()}/{'datasets/' if datasets else ''}{name}"


def _with_scheme(address: str) -> str:
    return address if "://" in address else f"https://{address}"


def _named(variable: str) -> str:
    return os.environ.get(variable, "").strip().rstrip("/")
