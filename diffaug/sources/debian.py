"""Files of a Debian package, without root, for machines that can reach only a Debian mirror."""

import shutil
import subprocess
from pathlib import Path

from diffaug.runtime.errors import UserError

_TIMEOUT = 300  # seconds per command


def unpack_package(name: str, folder: Path) -> None:
    """Download the package and unpack its files into the folder. Raises UserError if that is not possible."""
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise UserError(f"{tool} is not on this machine (it comes with Debian and Ubuntu)")
    folder = folder.resolve()
    for part in ("lists/partial", "archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    # Own lists and archives: no root is needed, and those of the machine are not changed.
    own = ["-q", *("-o", f"Dir::State::Lists={folder / 'lists'}"), *("-o", f"Dir::Cache={folder}")]
    own += ["-o", "APT::Sandbox::User="]
    _run(folder, "apt-get", *own, "update")
    _run(folder, "apt-get", *own, "download", name)
    package = next(path.name for path in sorted(folder.glob(f"{name}_*.deb")))
    _run(folder, "dpkg-deb", "-x", package, ".")


def _run(folder: Path, *command: str) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{command[0]} {command[-1]} failed ({error})") from None
    if done.returncode:
        reasons = [line for line in done.stderr.splitlines() if line.startswith(("E:", "dpkg"))]
        raise UserError(f"{command[0]} {command[-1]} failed ({(reasons or ['no reason given'])[-1]})")
