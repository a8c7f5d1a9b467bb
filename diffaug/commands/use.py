"""Presets: values for a certain case, put into params.yaml, whose comments are kept."""

import io
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark, YAMLError
from ruamel.yaml.tokens import CommentToken
from yaml import YAMLError as PyYAMLError

from diffaug.params import Params, check_params
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path
from diffaug.runtime.yaml_files import parse_yaml, read_yaml

# Mappings whose keys are names of classes: in a preset, those of other images.
_BY_CLASS = ("per_class", "classes")


def use_preset(preset: Path, assignments: list[str], params: Path = Path("params.yaml")) -> list[str]:
    """Put the preset, then the `KEY=VALUE` assignments, into params.yaml, and return the changed keys.

    The file is not changed if the result is not a valid params.yaml. Raises UserError.
    """
    text, changed = lay_over(params, preset, assignments)
    with atomic_path(params) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return changed


def lay_over(
    params: Path, preset: Path, assignments: list[str], edit: Callable[[Any], object] = lambda content: None
) -> tuple[str, list[str]]:
    """The text of params.yaml with the preset, then the assignments, and the changed keys; comments are kept.

    A mapping with another `source` (or path or name of it), one with the name of another model, and one by class,
    replace the old one; others are merged key by key. edit: changes the content in place before it is checked. Raises
    UserError if the result is not a valid params.yaml.
    """
    text, changed = _merged(params, preset, assignments, edit)
    _checked(text, params, preset)
    return text, changed


def with_values(values: Mapping[str, Any], params: Path = Path("params.yaml")) -> tuple[str, list[str]]:
    """The text of params.yaml with values, by keys such as generate.eta, and the changed keys; comments are kept.

    Raises UserError if the result is not a valid params.yaml.
    """
    base = _read(params)
    changed = [name for key, value in values.items() for name in _put(base, _nested(key, value), "")]
    text = io.StringIO()
    _yaml().dump(base, text)
    check_params(parse_yaml(text.getvalue()), f"{params} with {', '.join(values)}")
    return text.getvalue(), changed


def params_with(preset: Path, params: Path = Path("params.yaml")) -> Params:
    """The parameters with the preset, of which params.yaml itself stays as it is. Raises UserError."""
    return _checked(_merged(params, preset, [], lambda content: None)[0], params, preset)


def _merged(
    params: Path, preset: Path, assignments: Sequence[str], edit: Callable[[Any], object]
) -> tuple[str, list[str]]:
    base, over = _read(params), _read(preset)
    changed = _put(base, over, "")
    for assignment in assignments:
        changed += _put(base, _nested(*assigned(assignment)), "")
    edit(base)
    text = io.StringIO()
    _yaml().dump(base, text)
    return text.getvalue(), list(dict.fromkeys(changed))


def _checked(text: str, params: Path, preset: Path) -> Params:
    return check_params(parse_yaml(text), f"{params} with {preset}")


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(type(None), _represent_null)
    yaml.representer.add_representer(float, _represent_float)
    return yaml


def _represent_null(representer: Any, _: None) -> Any:
    """Write the word null; the library would write nothing."""
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _represent_float(representer: Any, value: float) -> Any:
    """Write all digits: YAML reads 1e-05, as the library would write it, as text."""
    digits = format(Decimal(repr(value)), "f")
    return representer.represent_scalar("tag:yaml.org,2002:float", digits if "." in digits else f"{digits}.0")


def _read(path: Path) -> Any:
    read_yaml(path)  # this reader has no limits
    try:
        content = _yaml().load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected sections of params.yaml such as 'download:'")
    return content


def assigned(assignment: str) -> tuple[str, Any]:
    """The key and the value, read as YAML, of KEY=VALUE. Raises UserError if it is not of this form."""
    key, equals, text = assignment.partition("=")
    if not equals or not all(key.split(".")):
        raise UserError(f"{assignment!r} is not KEY=VALUE, such as train_det.steps=200")
    try:
        parse_yaml(text)
        return key, _yaml().load(text)
    except (YAMLError, PyYAMLError, ValueError) as error:
        raise UserError(f"{assignment!r} is not readable as YAML: {' '.join(str(error).split())}") from None


def _nested(key: str, value: Any) -> dict[str, Any]:
    """{"a": {"b": value}} of a.b."""
    for part in reversed(key.split(".")):
        value = {part: value}
    content: dict[str, Any] = value
    return content


def _put(base: CommentedMap, over: dict[str, Any], where: str) -> list[str]:
    changed = []
    for key, value in over.items():
        old = base.get(key)
        name = f"{where}{key}"
        merged = key not in _BY_CLASS and isinstance(value, dict) and isinstance(old, CommentedMap)
        if merged and _same_source(old, value):
            changed += _put(old, value, f"{name}.")
        elif value != old:
            after = _comment_after(base, key) if key in base else _take_comment_below(base)
            base[key] = _in_one_line(value)
            if after:
                base.ca.items[key] = [None, None, CommentToken(after, CommentMark(0), None), None]
            changed.append(name)
    return changed


def _comment_after(base: CommentedMap, key: str) -> str:
    """The comment that follows a key's value; for a mapping that is replaced, only the comment lines below it, since
    they describe the next key."""
    token = _token(base, key)
    text = token.value if token else ""
    return "\n" + text.partition("\n")[2] if _is_block(base[key]) and text else text


def _take_comment_below(base: CommentedMap) -> str:
    """Remove and return the comment lines below the mapping's last value: they describe the next key."""
    token = _token(base, list(base)[-1]) if base else None
    own, newline, below = token.value.partition("\n") if token else ("", "", "")
    if token is None or not below.strip():
        return ""
    token.value = own + newline
    return newline + below


def _token(base: CommentedMap, key: str) -> CommentToken | None:
    """The comment after a key's value, which the library stores at the last key inside the value."""
    while _is_block(base[key]):
        base = base[key]
        key = list(base)[-1]
    tokens = base.ca.items.get(key)
    return tokens[2] if tokens else None


def _is_block(value: Any) -> bool:
    return isinstance(value, CommentedMap) and bool(value) and not value.fa.flow_style()


def _in_one_line(value: Any) -> Any:
    """The value without the preset's own comments."""
    if isinstance(value, dict):
        mapping = CommentedMap({key: _in_one_line(item) for key, item in value.items()})
        mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, list):
        sequence = CommentedSeq([_in_one_line(item) for item in value])
        sequence.fa.set_flow_style()
        return sequence
    return float(value) if isinstance(value, float) else value  # YAML would read 1e-3 as text


def _same_source(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether both name the same images, or the same model: a key of other ones, such as limit_per_class or revision,
    must not stay."""
    named: tuple[str, ...] = ("source", "path", "name") if "source" in new else ()
    if "name" in new and "source" not in old:
        named = ("name",)
    return all(new.get(key) == old.get(key) for key in named)
