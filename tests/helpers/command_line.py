"""A command, run as on the command line, in this process."""

import sys
from collections.abc import Callable

import pytest

from diffaug.commands.main import main

Run = Callable[..., None]
Refused = Callable[..., str]


def command(name: str) -> tuple[Run, Refused]:
    """What runs the command with arguments, and what checks that it ends with one line, which it returns without the
    program's name."""

    def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["diffaug", name, *arguments])
        main()

    def refused(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            run(monkeypatch, *arguments)
        message = str(ended.value)
        assert message.startswith("diffaug: ") and "\n" not in message
        return message.removeprefix("diffaug: ")

    return run, refused
