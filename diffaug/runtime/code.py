"""Which code affects the results: a fingerprint for every cache, and the imports that dvc.yaml must list."""

import ast
import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

_PLUMBING = (
    "code",
    "cores",
    "endpoints",
    "errors",
    "files",
    "hashes",
    "memory",
    "processes",
    "quiet",
    "seals",
    "shortage",
    "start",
    "text",
    "work",
    "yaml_files",
)
# These modules report errors, write files completely, or divide the work. They change no byte of a result.
_NO_EFFECT = {
    *(f"diffaug/runtime/{name}.py" for name in _PLUMBING),
    *("diffaug/stage.py", "diffaug/generation/drawing/engines.py"),
    *("diffaug/training/finished.py", "diffaug/training/siblings.py"),
}
# A parameter's value is part of every key, so the code that checks it is not part of a fingerprint.
_PARAMS = "diffaug/params/"


def fingerprint(*modules: str) -> str:
    """A hash of the code of these modules (such as "diffaug.scoring.hash") and of all project modules they import.

    Formatting, comments, docstrings, the texts of errors, printed lines and progress bars are left out: an edit of them
    does not invalidate a cache. Another version of Python may write the same code differently, and so invalidate it.
    """
    files = set().union(*(imported_files(_file(module)) | {_file(module)} for module in modules))
    digest = hashlib.sha256()
    for file in sorted(files - _NO_EFFECT):
        if not file.startswith(_PARAMS):
            digest.update(f"{file}\0{_meaning(file)}\n".encode())
    return digest.hexdigest()


def imported_files(script: str) -> set[str]:
    """The project files that a file needs, directly or through others, as paths relative to the project's root.

    The `__init__.py` of a package is not followed: it has no code that a module of the package uses.
    """
    found: set[str] = set()
    waiting = [script]
    while waiting:
        new = _imports(waiting.pop()) - found
        found |= new
        waiting += new
    return found


@cache
def _imports(file: str) -> frozenset[str]:
    names: list[str] = []
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.Call):
            names += _imported_by_name(node)
    files = (_file(name) for name in names if name.startswith("diffaug."))
    return frozenset(name for name in files if (ROOT / name).exists())


def _imported_by_name(call: ast.Call) -> list[str]:
    """Every module of a folder, if the call is import_module(f"diffaug.FOLDER.{name}")."""
    if not (isinstance(call.func, ast.Name) and call.func.id == "import_module" and call.args):
        return []
    name = call.args[0]
    first = name.values[0] if isinstance(name, ast.JoinedStr) else None
    if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
        return []
    folder = ROOT / first.value.rstrip(".").replace(".", "/")
    return [f"{first.value}{path.stem}" for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]


@cache
def _meaning(file: str) -> str:
    """The hash of a module's syntax tree, without the parts that change no result."""
    return hashlib.sha256(ast.unparse(_WithoutWords().visit(_tree(file))).encode()).hexdigest()


def _tree(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def _file(module: str) -> str:
    return f"{module.replace('.', '/')}.py"


class _WithoutWords(ast.NodeTransformer):
    """Removes docstrings, the arguments of errors, calls of print, and the settings of progress bars."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant):
            return None
        printed = isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name)
        return None if printed and node.value.func.id == "print" else self.generic_visit(node)  # type: ignore[attr-defined]

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            node.exc = node.exc.func
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "tqdm":
            node.keywords = []
        return self.generic_visit(node)
