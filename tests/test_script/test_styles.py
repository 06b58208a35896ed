"""Every way to write a training program: audited, with the right verdicts and exit code, whole and with a cut. None is falsely clean."""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from script_runs import Run, audit, write
from styles import CUT, STYLES, WHOLE, Style


def run_style(style: Style, folder: Path, *, cut: bool) -> Run:
    """The audit of the style's program, in `folder`."""
    folder.mkdir()
    for name, text in {**style.files, style.file: style.text}.items():
        assert not (cut and name == style.file and WHOLE not in "".join([*style.files.values(), style.text]))
        write(folder, text.replace(WHOLE, CUT) if cut else text, name)
    return audit(folder, *style.words, given=style.given, PYTHONPATH=str(folder / "site"))


@pytest.mark.parametrize("name", STYLES)
def test_a_style_is_audited_and_a_cut_in_it_is_found(name: str, tmp_path: Path) -> None:
    style = STYLES[name]
    for package in style.needs:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: it is no dependency of gradflow, and this style needs it")
    with ThreadPoolExecutor(2) as pool:
        whole, cut = pool.map(lambda cut: run_style(style, tmp_path / f"cut-{cut}", cut=cut), (False, True))
    for run, expected, dead in ((whole, style.outcomes[0], frozenset()), (cut, style.outcomes[1], style.cut)):
        document = run.document
        assert run.outcome == expected, run.err
        assert document["target"]["kind"] == style.kind
        assert not style.note or any(style.note in note for note in document["notes"]), document["notes"]
        if run.code == 2:
            continue
        verdicts = {row["name"]: row["verdict"] for row in document["parameters"]}
        assert verdicts == {name: "severed" if name in dead else "live" for name in style.names}
        places = [(finding["code"], finding["sites"][0]["source"].strip()) for finding in document["findings"]]
        assert places == ([("GF101", "return self.last(torch.tanh(self.first(x).detach()))")] if dead else [])
    assert not list(tmp_path.glob("*/last.pt"))
