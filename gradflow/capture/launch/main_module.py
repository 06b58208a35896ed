"""Runs a program as `__main__` the way Python does: a fresh module in `sys.modules`, its code compiled and executed there.

Not `runpy.run_path`, which empties the program's globals when it ends: they are still needed for the names of models and optimizers.
Never catches what the program raises.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType

from gradflow.capture.launch.project import find_in_project
from gradflow.errors import TargetError


def run_file(place: str, arguments: Sequence[str]) -> None:
    """Runs `python place arguments...` in this process."""
    path = os.path.abspath(place)
    source = Path(path).read_bytes()
    sys.argv[:] = [place, *arguments]
    main = fresh_main()
    main.__file__ = path
    main.__loader__ = importlib.machinery.SourceFileLoader("__main__", path)
    set_first_path(os.path.dirname(os.path.realpath(path)))
    # inherited flags of this file (`annotations`) must not change the meaning of theirs
    code = compile(source, path, "exec", dont_inherit=True)
    package, root = enclosing_package(path)
    if not package and (levels := _relative_levels(source)):
        # `from .parts import Block` in a directory without `__init__.py`: Python would fail, and the package that was meant is plain
        folders = Path(path).parents
        package, root = ".".join(folder.name for folder in reversed(folders[:levels])), str(folders[levels])
    main.__package__ = package or None
    if package and root not in sys.path:
        # A script with relative imports means its own package; any other keeps Python's order, and finds the package last.
        sys.path.insert(1 if _relative_levels(source) else len(sys.path), root)
    if package and Path(os.path.dirname(path), f"{package.partition('.')[0]}.py").is_file():
        # `net/net.py` that imports `net` would find itself in its own directory, and never its package.
        set_first_path(root)
    find_in_project(path)
    try:
        exec(code, main.__dict__)
    except Exception as error:
        if not package or not _take_twin(f"{package}.{Path(path).stem}", path, error):
            raise


def run_module(name: str, arguments: Sequence[str]) -> None:
    """Runs `python -m name arguments...` in this process.

    Raises:
        TargetError: there is no such module, or it holds no Python code.
    """
    set_first_path(os.getcwd())
    sys.argv[:] = ["-m", *arguments]
    spec, code = _find_code(name)
    main = fresh_main()
    main.__spec__ = spec
    main.__file__ = spec.origin
    main.__loader__ = spec.loader
    main.__package__ = spec.parent
    sys.argv[0] = spec.origin or name
    exec(code, main.__dict__)


def import_file(place: str) -> ModuleType:
    """The module in file `place`, imported under its own name rather than as `__main__`, so that a guarded training does not start."""
    path = os.path.realpath(place)
    set_first_path(os.path.dirname(path))
    find_in_project(path)
    package, root = enclosing_package(path)
    stem = Path(path).stem
    if package:
        sys.path.insert(1, root)
        return importlib.import_module(f"{package}.{stem}")
    known = sys.modules.get(stem)
    if known is not None and getattr(known, "__file__", None) == path:
        return known
    # a file named like a module that is already there (`types.py`) must not take its place
    name = stem if known is None else f"gradflow_target_{stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"`{place}` cannot be imported: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def import_named(name: str) -> ModuleType:
    """The module `name`, looked for from the working directory on.

    Raises:
        TargetError: there is no such module. A module missing inside it is the user's own ImportError.
    """
    set_first_path(os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise TargetError(f"no module named `{name}` in the working directory or among the installed packages") from None
        raise


def enclosing_package(path: str) -> tuple[str, str]:
    """(dotted package, directory above it) of the file, two empty strings where its directory has no `__init__.py`."""
    folder = Path(path).parent
    parts: list[str] = []
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        parts.insert(0, folder.name)
        folder = folder.parent
    return (".".join(parts), str(folder)) if parts else ("", "")


def _take_twin(name: str, path: str, error: Exception) -> bool:
    """Whether the module that the file's own package has made of it could take the place of `__main__`, which failed.

    A file of a package that registers its models by name fails when it is run beside the package that has registered them already; an
    import in a circle fails when it is begun at the wrong end. Nothing that has run is run again: the package's own import is whole, or it
    failed at an import too.
    """
    twin = sys.modules.get(name)
    if twin is None and isinstance(error, ImportError):
        with contextlib.suppress(ImportError):
            twin = importlib.import_module(name)
    if twin is None or os.path.realpath(getattr(twin, "__file__", None) or "") != os.path.realpath(path):
        return False
    sys.modules["__main__"] = twin
    return True


def fresh_main() -> ModuleType:
    """An empty `__main__`, which takes the place of ours in `sys.modules`."""
    main = ModuleType("__main__")
    main.__dict__["__builtins__"] = sys.modules["builtins"]
    sys.modules["__main__"] = main
    return main


def set_first_path(folder: str) -> None:
    """Puts `folder` where Python puts the script's directory. PYTHONSAFEPATH, which forbids that, is obeyed."""
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, folder)


def _find_code(name: str) -> tuple[importlib.machinery.ModuleSpec, CodeType]:
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            name = f"{name}.__main__"
            spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        spec = None
    if spec is None:
        raise TargetError(f"no module named `{name}` in the working directory or among the installed packages")
    get_code = getattr(spec.loader, "get_code", None)
    code = get_code(name) if get_code else None
    if code is None:
        raise TargetError(f"module `{name}` holds no Python code that could be run")
    return spec, code


def _relative_levels(source: bytes) -> int:
    """How many packages above itself a file imports from relatively, 0 where it does not."""
    return max((node.level for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)), default=0)
