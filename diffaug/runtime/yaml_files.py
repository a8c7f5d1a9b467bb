"""Reading YAML from outside: with limits, each key once, and every fault as one line."""

from pathlib import Path
from typing import Any

import yaml

from diffaug.runtime.errors import UserError

_BYTES, _VALUES, _DEPTH = 500_000, 200_000, 50  # of a file; aliases count as often as they are used
_TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
_DIGITS = 100  # of a number; one such as 1:59:59 costs the square of its length


def read_yaml(path: Path, spelled: str | None = None) -> Any:
    """The content of a YAML file; keys are texts as they are spelled, also `no` and `007`, and so are all values in the
    section `spelled`. Raises UserError if it is not readable, has a key twice or a key that is no word, or
    is so large or deep that it is an attack: a few lines of aliases can stand for a billion values."""
    size = path.stat().st_size
    if size > _BYTES:
        raise UserError(f"{path}: has {size} bytes, but a YAML file of more than {_BYTES} is not read")
    try:
        return parse_yaml(path.read_text(encoding="utf-8-sig"), spelled)
    except (yaml.YAMLError, ValueError) as error:  # a UnicodeDecodeError is a ValueError
        raise UserError(f"{path}: not readable as YAML: {_in_words(error)}") from None


def parse_yaml(text: str, spelled: str | None = None) -> Any:
    """The content of YAML text, as `read_yaml` returns it.

    Raises yaml.YAMLError, or ValueError for an impossible number or date.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            _count(node, {}, 0)
            _spell(node, spelled)
        return loader.construct_document(node) if node is not None else None
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None
    except (KeyError, IndexError, AttributeError, TypeError) as error:  # of PyYAML, for a tag such as in `!!bool maybe`
        raise yaml.YAMLError(f"a value does not fit its tag ({error})") from None


class _Loader(yaml.SafeLoader):
    """YAML that refuses a mapping with the same key twice; PyYAML would silently take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.YAMLError(f"the key in line {line} is a list or a mapping, but must be a word or a number")
            if key.value in lines:
                raise yaml.YAMLError(
                    f"the key {key.value!r} occurs twice, in lines {lines[key.value]} and {line}; remove one"
                )
            lines[str(key.value)] = line
        return super().construct_mapping(node, deep)


def _count(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """The number of values that the node stands for. Raises yaml.YAMLError if there are too many or they are too deep.

    known: the numbers by node; 0 while a node is being counted, so that a node inside itself is found.
    """
    if depth > _DEPTH:
        raise yaml.YAMLError(f"line {node.start_mark.line + 1} is nested more than {_DEPTH} levels deep")
    if known.get(id(node)) == 0:
        raise yaml.YAMLError(f"the value in line {node.start_mark.line + 1} contains itself")
    if node.tag.endswith((":int", ":float")) and len(node.value) > _DIGITS:
        raise yaml.YAMLError(f"the number in line {node.start_mark.line + 1} has {len(node.value)} digits")
    if id(node) not in known:
        known[id(node)] = 0
        inner = node.value if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            inner = [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_count(part, known, depth + 1) for part in inner)
        if known[id(node)] > _VALUES:
            raise yaml.YAMLError(f"with its aliases it has more than {_VALUES} values")
    return known[id(node)]


def _spell(node: yaml.Node, section: str | None) -> None:
    """Make texts of all keys, and of all values in the section of the top mapping: YAML itself reads no as false."""
    waiting, done = [(node, section, False)], set()
    while waiting:
        one, named, inside = waiting.pop()
        if (id(one), inside) in done:
            continue
        done.add((id(one), inside))
        if isinstance(one, yaml.MappingNode):
            for key, value in one.value:
                key.tag = _MERGE if key.tag == _MERGE else _TEXT
                waiting.append((value, None, inside or (named is not None and key.value == named)))
        elif isinstance(one, yaml.SequenceNode):
            waiting += [(value, None, inside) for value in one.value]
        elif inside:
            one.tag = _TEXT


def _in_words(error: Exception) -> str:
    text = " ".join(str(error).split()).replace(' in "<unicode string>",', " in")
    if "unknown escape character" in text:
        return f"{text}; in double quotes a backslash begins an escape: write / in its place, or use single quotes"
    return f"{text}; indent with spaces, not with tabs" if "'\\t'" in text else text
