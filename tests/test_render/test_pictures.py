"""Drawings as DOT, SVG, PNG and PDF: valid whatever the names are, the same bytes each time, and a sentence where no engine is."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import flow_examples
import pytest
import report_examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gradflow.draw
from gradflow.draw import DrawingFailed, draw, draw_all, find_engine
from gradflow.errors import UsageError
from gradflow.pictures import picture
from gradflow.render.dot import to_dot
from gradflow.render.palette import PALETTES, Palette, Theme
from gradflow.report import Report
from gradflow.verdict import Verdict
from gradflow.views import draw_view

VIEWS = ("modules", "operations", "autograd", "heatmap")
EXAMPLES = {
    "no_grad": flow_examples.frozen_by_no_grad(),
    "gpt": flow_examples.gpt(6),
    "recurrent": flow_examples.recurrent(20),
    "clean": report_examples.clean_report(),
    "without flow": report_examples.gpt_report(),
}
HOSTILE = [
    "</script><img onerror=alert(1)>",
    "]]>",
    "]",
    'a"b\\',
    "x\x00\x1b[31m",
    "<b>&amp;",
    "\u202eevil",
    "\ud800",
    "line\nbreak\ttab",
    "ü漢字🙂",
    "",
]


def renamed(report: Report, text: str) -> Report:
    """`report` with `text` in every name and source line of it."""
    rows = tuple(replace(row, name=f"{text}.{row.name}", owner=f"{text}.{row.owner}", owner_class=text) for row in report.parameters)
    sites = tuple(replace(site, file=text, function=text, source=text + site.source) for site in report.flow.sites)
    nodes = tuple(replace(node, module=f"{text}.{node.module}", label=text) for node in report.flow.nodes)
    findings = tuple(
        replace(
            finding,
            message=text,
            parameters=tuple(f"{text}.{name}" for name in finding.parameters),
            sites=tuple(
                replace(
                    entry, note=text, site=replace(entry.site, file=text, function=text, source=text, context=((entry.site.line, text),))
                )
                for entry in finding.sites
            ),
        )
        for finding in report.findings
    )
    flow = replace(report.flow, sites=sites, nodes=nodes)
    return replace(report, parameters=rows, findings=findings, flow=flow, target=replace(report.target, file=text))


def texts(svg: bytes) -> list[str]:
    """The words in an SVG, which parses."""
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize(("name", "view"), list(itertools.product(EXAMPLES, VIEWS)))
def test_every_view_is_drawn_and_parses(name: str, view: str) -> None:
    root = ElementTree.fromstring(picture(EXAMPLES[name], "svg", view=view))
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and root.get("role") == "img"


@pytest.mark.parametrize("theme", list(Theme))
@pytest.mark.parametrize("format", ["dot", "svg"])
def test_the_same_report_gives_the_same_bytes(format: str, theme: Theme) -> None:
    assert picture(flow_examples.gpt(8), format, theme=theme) == picture(flow_examples.gpt(8), format, theme=theme)


def test_the_dot_text_does_not_depend_on_the_order_of_hashes(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text(flow_examples.gpt(8).to_json(graph=True), "utf-8")
    program = (
        "import sys; from gradflow.report import Report; report = Report.from_json(open(sys.argv[1]).read())\n"
        "for view in ('modules', 'operations', 'autograd'): print(report.to_dot(view))"
    )
    outputs = {
        subprocess.run([sys.executable, "-c", program, str(report)], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize(("format", "magic"), [("png", b"\x89PNG\r\n"), ("pdf", b"%PDF-"), ("svg", b"<svg ")])
def test_each_format_begins_as_it_should(format: str, magic: bytes) -> None:
    assert picture(flow_examples.frozen_by_no_grad(), format).startswith(magic)


def test_an_svg_has_a_title_and_says_in_words_what_it_shows() -> None:
    root = ElementTree.fromstring(picture(flow_examples.frozen_by_no_grad(), "svg"))
    title, description = list(root)[:2]
    assert title.text == "4 parameters are cut off from the loss by torch.no_grad()"
    assert "gradient stops here: torch.no_grad() (net.py:20, in Net.forward)" in (description.text or "")
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"


def test_an_svg_names_its_boxes_and_nothing_of_ours() -> None:
    names = [
        element.text
        for element in ElementTree.fromstring(picture(flow_examples.frozen_by_no_grad(), "svg")).iter("{http://www.w3.org/2000/svg}title")
    ]
    assert "lin0 Linear. 2 severed" in names
    assert not any(re.fullmatch(r"b\d+(->b\d+)?|cluster.*|gradflow", name or "") for name in names)


def test_the_legend_explains_what_occurs_and_no_more() -> None:
    words = texts(picture(flow_examples.frozen_by_no_grad(), "svg"))
    assert "live" in words and "severed" in words and "frozen" not in words


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("view", VIEWS)
def test_no_name_breaks_a_picture(text: str, view: str) -> None:
    for report in (flow_examples.frozen_by_no_grad(), flow_examples.gpt(2, cut_in=(1,))):
        assert picture(renamed(report, text), "svg", view=view).startswith(b"<svg ")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=300))
def test_no_text_breaks_the_engine_or_the_parser(text: str) -> None:
    drawing = draw_view(renamed(flow_examples.frozen_by_no_grad(), text))
    ElementTree.fromstring(draw(to_dot(drawing), "svg"))


def test_a_source_line_of_300_characters_is_cut_to_its_span() -> None:
    program = flow_examples.Program()
    program.layer("a", Verdict.SEVERED)
    line = "    x = " + "very_long_name + " * 16 + "y.detach()"
    cut = program.cut(flow_examples.CutReason.DETACH, 20, ".detach()", source=line)
    program.findings[0] = replace(
        program.findings[0],
        sites=tuple(replace(e, site=replace(e.site, column=line.index("y.detach") + 1)) for e in program.findings[0].sites),
    )
    program.builder = flow_examples.FlowGraphBuilder()
    del cut
    words = texts(picture(program.report(), "svg"))
    assert max(map(len, words)) < 110
    assert any("y.detach()" in word for word in words)


def test_ten_thousand_parameters_are_drawn_in_seconds() -> None:
    report = flow_examples.gpt(1000, steps=1)
    assert len(report.parameters) > 10_000
    start = time.process_time()
    assert picture(report, "svg").startswith(b"<svg ")
    assert time.process_time() - start < 20  # measured 2; a shared machine is no stopwatch


def test_no_engine_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradflow.draw.shutil, "which", lambda name: None)
    monkeypatch.setattr(gradflow.draw.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DrawingFailed, match=r"install the program `dot`, or `pip install 'gradflow\[draw\]'`"):
        find_engine()
    assert picture(flow_examples.frozen_by_no_grad(), "dot").startswith(b"digraph gradflow {")


def test_the_wheel_draws_where_no_dot_is(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pygraphviz", reason="the wheel pygraphviz is not installed")
    monkeypatch.setattr(gradflow.draw.shutil, "which", lambda name: None)
    assert find_engine() == "pygraphviz"
    for format, magic in (("svg", b"<svg "), ("png", b"\x89PNG"), ("pdf", b"%PDF")):
        assert picture(flow_examples.frozen_by_no_grad(), format).startswith(magic)


def test_an_engine_that_takes_too_long_is_stopped() -> None:
    dense = "digraph { " + " ".join(f"a{i} -> a{j};" for i in range(180) for j in range(i)) + "}"
    with pytest.raises(DrawingFailed, match=r"given up: Graphviz took more than 0.3 seconds"):
        draw(dense, "svg", timeout=0.3)


def test_an_engine_that_fails_is_a_sentence() -> None:
    with pytest.raises(DrawingFailed, match="the picture could not be drawn"):
        draw("this is no dot", "svg")


def test_several_pictures_are_drawn_by_one_process() -> None:
    first, second = draw_all(["digraph { a }", "digraph { b -> c }"], "svg")
    assert b">a<" in first and b">c<" in second


def test_an_unknown_format_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="expected a format out of svg, png, pdf, dot, html, found 'gif'"):
        picture(flow_examples.frozen_by_no_grad(), "gif")


def luminance(color: str) -> float:
    """The relative luminance of WCAG 2."""
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast of WCAG 2, from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", list(PALETTES.values()), ids=[theme.value for theme in PALETTES])
def test_text_has_the_contrast_of_wcag_aa(palette: Palette) -> None:
    pairs = [(palette.ink, under) for under in (palette.page, palette.card, palette.frame, palette.code, palette.lit)]
    pairs += [(palette.muted, under) for under in (palette.page, palette.card, palette.frame, palette.code)]
    pairs += [(palette.text[verdict], under) for verdict in Verdict for under in (palette.card, palette.tint[verdict])]
    pairs += [
        (palette.on_strong, palette.strong),
        (palette.text[Verdict.SEVERED], palette.lit),
        (palette.text[Verdict.SEVERED], palette.region),
    ]
    low = {pair: round(contrast(*pair), 2) for pair in pairs if contrast(*pair) < 4.5}
    assert low == {}


# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
BLIND = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}


def lab(color: str, matrix: tuple[tuple[float, ...], ...]) -> tuple[float, float, float]:
    """CIE Lab (D65) of a colour as it is seen through `matrix`."""
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    seen = [min(max(sum(factor * value for factor, value in zip(row, linear, strict=True)), 0), 1) for row in matrix]
    xyz = (
        (0.4124 * seen[0] + 0.3576 * seen[1] + 0.1805 * seen[2]) / 0.95047,
        0.2126 * seen[0] + 0.7152 * seen[1] + 0.0722 * seen[2],
        (0.0193 * seen[0] + 0.1192 * seen[1] + 0.9505 * seen[2]) / 1.08883,
    )
    f = [value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116 for value in xyz]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


@pytest.mark.parametrize("blindness", list(BLIND))
@pytest.mark.parametrize("palette", list(PALETTES.values()), ids=[theme.value for theme in PALETTES])
def test_the_four_main_colours_stay_apart_for_the_colour_blind(palette: Palette, blindness: str) -> None:
    main = (Verdict.LIVE, Verdict.FROZEN, Verdict.SEVERED, Verdict.UNUSED)
    colors = {verdict: lab(palette.mark[verdict], BLIND[blindness]) for verdict in main}
    for one, other in itertools.combinations(main, 2):
        distance = sum((a - b) ** 2 for a, b in zip(colors[one], colors[other], strict=True)) ** 0.5
        assert distance > 15, (one, other, distance)


def test_each_colour_of_a_palette_has_one_name() -> None:
    from gradflow.render.svg import variable_names

    light, dark = (variable_names(palette) for palette in PALETTES.values())
    assert sorted(light.values()) == sorted(dark.values())


def ids_of(html: str) -> set[str]:
    """The ids in a piece of HTML."""
    return set(re.findall(r' id="([^"]+)"', html))


def test_a_notebook_shows_the_picture_and_two_of_them_share_no_id() -> None:
    report = flow_examples.frozen_by_no_grad()
    first, second = report._repr_mimebundle_(), report._repr_mimebundle_()
    assert set(first) == {"text/plain", "image/svg+xml", "text/html"}
    assert ids_of(first["text/html"]) and not ids_of(first["text/html"]) & ids_of(second["text/html"])
    assert first["image/svg+xml"].startswith("<svg ")


def test_a_notebook_without_an_engine_shows_the_text_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradflow.draw.shutil, "which", lambda name: None)
    monkeypatch.setattr(gradflow.draw.importlib.util, "find_spec", lambda name: None)
    bundle = flow_examples.frozen_by_no_grad()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"} and "gradflow[draw]" in bundle["text/html"]


def test_records_are_plain_and_one_a_parameter() -> None:
    records = flow_examples.frozen_by_no_grad().to_records()
    assert [record["name"] for record in records] == [f"lin{number}.{leaf}" for number in range(3) for leaf in ("weight", "bias")]
    assert (records[0]["verdict"], records[0]["shape"], records[5]["live_in"]) == ("severed", [8, 8], 2)


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf", ".dot", ".html", ".md", ".sarif"])
def test_a_report_is_saved_by_suffix(suffix: str, tmp_path: Path) -> None:
    flow_examples.frozen_by_no_grad().save(tmp_path / f"report{suffix}")
    assert (tmp_path / f"report{suffix}").stat().st_size > 400


def test_a_heat_map_without_a_heading_shows_its_scale_once() -> None:
    drawing = draw_view(flow_examples.gpt(2), "heatmap")
    assert texts(draw(to_dot(drawing, heading=False), "svg")).count("no gradient") == 1
