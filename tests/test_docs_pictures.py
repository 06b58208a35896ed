"""The pictures of the README are those that the samples give now. `python docs/pictures/make.py` draws them anew."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"


def maker() -> ModuleType:
    """The script that makes the pictures."""
    spec = importlib.util.spec_from_file_location("make_pictures", FOLDER / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKE = maker()


def without_norms(dot: bytes) -> str:
    """DOT text without gradient norms: their last digit differs from one processor to the next."""
    return re.sub(r"\d\.\de[+-]\d\d", "N", dot.decode())


@pytest.mark.parametrize("name", MAKE.PICTURES)
def test_a_picture_is_what_the_sample_gives(name: str) -> None:
    sample, view = MAKE.PICTURES[name]
    fresh = MAKE.picture(MAKE.audited(sample), "dot", view=view)
    assert without_norms(fresh) == without_norms((FOLDER / f"{name}.dot").read_bytes())


@pytest.mark.parametrize("name", MAKE.PICTURES)
def test_both_themes_were_drawn_from_that_text(name: str) -> None:
    words = [
        [element.text for element in ElementTree.parse(FOLDER / f"{name}-{theme}.svg").iter("{http://www.w3.org/2000/svg}text")]
        for theme in ("light", "dark")
    ]
    assert words[0] == words[1]
    title = re.search(r'POINT-SIZE="15"><B>(.*?)</B>', (FOLDER / f"{name}.dot").read_text("utf-8"))
    assert title is not None and title.group(1) in words[0]


def test_the_screenshot_is_there() -> None:
    assert (FOLDER / "page.png").read_bytes().startswith(b"\x89PNG")
