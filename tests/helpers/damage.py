"""Files as a bad disk or a bad person leaves them: bytes changed, cut, repeated or replaced, the same every time."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from diffaug.runtime.errors import UserError

_ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    7,
    10**6,
    10**12,
    0.5,
    -1e30,
    float("nan"),
    "",
    "x",
    "../x",
    [],
    [[]],
    {},
    ["a", 1],
    {"a": 1},
]


def damaged(content: bytes, seed: int) -> bytes:
    """The content with one to four changes."""
    chance = random.Random(seed)
    changed = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(changed) or 1)
        match chance.randrange(6):
            case 0:
                changed[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                del changed[place:]
            case 2:
                del changed[place : place + chance.randint(1, 20)]
            case 3:
                changed[place:place] = changed[place : place + chance.randint(1, 200)]
            case 4:
                changed[place:place] = chance.choice(
                    [b"0", b"9" * 9, b"-", b"[", b"}", b'"', b"null", b"\x00", b"1e999"]
                )
            case _:
                digits = [index for index, byte in enumerate(changed) if chr(byte).isdigit()]
                if digits:
                    changed[chance.choice(digits)] = ord(chance.choice("0123456789"))
    return bytes(changed)


def with_an_odd_value(content: bytes, seed: int) -> bytes:
    """JSON in which one value, at any depth, is replaced by one of another kind."""
    chance = random.Random(seed)
    whole = json.loads(content)
    place = whole
    while True:
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if not (isinstance(place[key], dict | list) and place[key] and chance.random() < 0.7):
            break
        place = place[key]
    place[key] = chance.choice(_ODD)
    return json.dumps(whole).encode()


def refused(call: Callable[[], object]) -> str:
    """The message with which the call is refused; it is one line."""
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and len(message) < 1000
    return message
