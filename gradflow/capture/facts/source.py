"""Turns a position in running code into a `Site`: file, line, columns and text. The only place where gradflow reads the user's source.

Columns come from `co_positions` (Python 3.11 and newer); on 3.10 a site is a whole line. Files are parsed once, notebooks' cells are found
through `linecache`.
"""

from __future__ import annotations

import ast
import functools
import linecache
import os
from types import CodeType

from gradflow.capture.flow.trace import Place, Region
from gradflow.graph.site import Site

_BEFORE, _AFTER = 2, 9


_FOLDERS = [""]


def show_from(folder: str) -> None:
    """Shows paths relative to `folder` from here on, wherever the process goes; empty: to its working directory."""
    _FOLDERS[0] = folder


def shown_path(file: str) -> str:
    """`file`, posix, relative to the folder of `show_from` where it lies below it."""
    if file.startswith("<") or "[cell " in file:
        return file
    folder = _FOLDERS[0] or os.getcwd()
    absolute = os.path.abspath(os.path.join(folder, file))
    here = folder.rstrip(os.sep) + os.sep
    return (absolute[len(here) :] if absolute.startswith(here) else absolute).replace(os.sep, "/")


@functools.lru_cache(maxsize=256)
def parsed(file: str) -> ast.Module | None:
    """The syntax tree of a source file, None where there is none to read."""
    text = "".join(linecache.getlines(file))
    if not text:
        return None
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def function_name(code: CodeType) -> str:
    """The qualified name of the function that `code` belongs to, as `Net.forward`."""
    name: str = getattr(code, "co_qualname", code.co_name)
    return name.replace("<locals>.", "")


def site_at(file: str, span: tuple[int, int, int, int], function: str = "", module: str = "") -> Site:
    """The site of (line, end_line, column, end_column), columns from 0 and in characters."""
    line, end_line, column, end_column = span
    lines = linecache.getlines(file)
    context = tuple(
        (number, lines[number - 1].rstrip("\r\n")) for number in range(max(1, line - _BEFORE), min(len(lines), line + _AFTER) + 1)
    )
    source = lines[line - 1].rstrip("\r\n") if 0 < line <= len(lines) else ""
    if end_column <= 0:
        column, end_column = len(source) - len(source.lstrip()), len(source)
    return Site(shown_path(file), line, column + 1, end_line, end_column + 1, function, module, source, context)


_Known = dict[tuple[int, int, str], tuple[CodeType, Site]]
_SITES: _Known = {}
_REGIONS: dict[tuple[int, int, str, str], tuple[CodeType, Site | None]] = {}


def site_of(place: Place | None, module: str = "") -> Site | None:
    """The site of a call: of its whole expression, or from the attribute's line on where a chain of calls spans several lines."""
    if place is None:
        return None
    key = (id(place.code), place.instruction, module)
    if key not in _SITES:
        # The code is kept with its site, so that its identity stays its own; hashing a code object would cost more than reading it.
        _SITES[key] = (place.code, _call_site(place, module))
    return _SITES[key][1]


def _call_site(place: Place, module: str) -> Site:
    code = place.code
    span = _span(code, place.instruction)
    file = code.co_filename
    if span[0] != span[1]:
        span = _last_of_chain(file, span)
    return site_at(file, span, function_name(code), module)


def region_site(region: Region, module: str = "") -> Site | None:
    """The site of what switched gradients off: a `with` header, a decorator, or a call."""
    code = region.decorated or (region.place.code if region.place is not None else None)
    if code is None:
        return None
    key = (id(code), region.place.instruction if region.place is not None else -1, region.label, module)
    if key not in _REGIONS:
        _REGIONS[key] = (code, _region_site(region, module))
    return _REGIONS[key][1]


def _region_site(region: Region, module: str) -> Site | None:
    if region.decorated is not None:
        return _decorator_site(region.decorated, region.label, module)
    if region.place is None:
        return None
    code = region.place.code
    span = _span(code, region.place.instruction)
    for node in ast.walk(parsed(code.co_filename) or ast.Module([], [])):
        if isinstance(node, (ast.With, ast.AsyncWith)) and _heads(node, span):
            last = node.items[-1].optional_vars or node.items[-1].context_expr
            end = (last.end_lineno or node.lineno, _characters(code.co_filename, last.end_lineno or node.lineno, last.end_col_offset or 0))
            closing = _closing(code.co_filename, *end)
            return site_at(code.co_filename, (node.lineno, end[0], node.col_offset, closing), function_name(code), module)
    return site_of(region.place, module)


def _heads(node: ast.With | ast.AsyncWith, span: tuple[int, int, int, int]) -> bool:
    first, last = node.lineno, node.items[-1].context_expr.end_lineno or node.lineno
    return first <= span[0] <= last


def _closing(file: str, line: int, column: int) -> int:
    text = linecache.getline(file, line)
    colon = text.find(":", column)
    return colon + 1 if colon >= 0 else column


def _decorator_site(code: CodeType, label: str, module: str) -> Site:
    file, wanted = code.co_filename, label.strip("()").rsplit(".", 1)[-1]
    name = function_name(code)
    for node in ast.walk(parsed(file) or ast.Module([], [])):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == code.co_name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first != code.co_firstlineno:
                continue
            for decorator in node.decorator_list:
                if wanted in ast.unparse(decorator):
                    end = decorator.end_lineno or decorator.lineno
                    return site_at(
                        file, (decorator.lineno, end, max(0, decorator.col_offset - 1), decorator.end_col_offset or 0), name, module
                    )
    return site_at(file, (code.co_firstlineno, code.co_firstlineno, 0, 0), name, module)


def _span(code: CodeType, instruction: int) -> tuple[int, int, int, int]:
    positions = getattr(code, "co_positions", None)
    if positions is not None:
        for index, (line, end_line, column, end_column) in enumerate(positions()):
            if index == instruction // 2:
                if line is not None and column is not None:
                    file = code.co_filename
                    return (
                        line,
                        end_line or line,
                        _characters(file, line, column),
                        _characters(file, end_line or line, end_column or 0),
                    )
                break
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= instruction < end and number is not None:
            line = number
    return line, line, 0, 0


def _characters(file: str, line: int, column: int) -> int:
    """A column in characters from one in UTF-8 bytes, which is what Python's own tables hold."""
    text = linecache.getline(file, line)
    return column if text.isascii() else len(text.encode()[:column].decode(errors="ignore"))


def _last_of_chain(file: str, span: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    for node in ast.walk(parsed(file) or ast.Module([], [])):
        if not isinstance(node, ast.Call) or (node.lineno, node.end_lineno) != span[:2]:
            continue
        if (node.col_offset, node.end_col_offset) != (span[2], span[3]):
            continue
        func = node.func
        if isinstance(func, ast.Attribute) and func.end_lineno != span[0]:
            line = func.end_lineno or span[0]
            column = (func.end_col_offset or 0) - len(func.attr) - 1
            return line, span[1], max(0, column), span[3]
    return span


def assigned_name(place: Place | None) -> str:
    """The variable or attribute to which the statement at `place` assigns, as `mix` or `mix` for `self.mix = ...`; empty if none."""
    if place is None:
        return ""
    line = _span(place.code, place.instruction)[0]
    for node in ast.walk(parsed(place.code.co_filename) or ast.Module([], [])):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.lineno <= line <= (node.end_lineno or node.lineno):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name):
                return target.id
            if isinstance(target, ast.Attribute):
                return target.attr
    return ""
