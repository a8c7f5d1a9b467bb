"""Which modules of the project a script imports, directly or through others."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def imported_files(script: Path) -> set[str]:
    """Paths, relative to the root, of all `diffaug` modules that the script needs."""
    seen: set[str] = set()
    todo = [script]
    while todo:
        for node in ast.walk(ast.parse(todo.pop().read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                path = Path(*name.split(".")).with_suffix(".py")
                if name.startswith("diffaug.") and (ROOT / path).exists() and path.as_posix() not in seen:
                    seen.add(path.as_posix())
                    todo.append(ROOT / path)
    return seen
