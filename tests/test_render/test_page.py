"""The HTML page: well formed, closed to the outside, and at work in a real browser."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import flow_examples
import html5lib
import pytest
import report_examples
from test_pictures import HOSTILE, renamed

import gradflow.pictures
from gradflow.draw import DrawingFailed
from gradflow.graph.flow import FlowGraph
from gradflow.pictures import page
from gradflow.report import Report

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def parsed(text: str) -> Any:
    """The tree of a page that keeps the rules of HTML: the parser is strict."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)


def data_of(text: str) -> Any:
    """The JSON of a page."""
    return json.loads(parsed(text).find(".//script[@id='data']").text)


@pytest.mark.parametrize(
    "report",
    [flow_examples.gpt(6), flow_examples.frozen_by_no_grad(), report_examples.clean_report(), report_examples.crashed_report()],
    ids=["gpt", "no_grad", "clean", "crashed"],
)
def test_a_page_keeps_the_rules_of_html(report: Report) -> None:
    assert parsed(page(report)).find(".//main") is not None


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_gets_out_of_its_place(text: str) -> None:
    tree = parsed(page(renamed(flow_examples.frozen_by_no_grad(), text)))
    assert tree.find(".//img") is None
    assert len(tree.findall(".//script")) == 2 and len(tree.findall(".//style")) == 1


def test_the_policy_allows_this_script_and_this_style_and_nothing_else() -> None:
    tree = parsed(page(flow_examples.frozen_by_no_grad()))
    policy = tree.find(".//meta[@http-equiv='Content-Security-Policy']").get("content")
    script, style = tree.findall(".//script")[1].text, tree.find(".//style").text

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest(style)}'; script-src 'sha256-{digest(script)}'; base-uri 'none'; form-action 'none'"
    )


def test_a_page_loads_nothing_and_styles_nothing_in_place() -> None:
    text = page(flow_examples.gpt(6))
    tree = parsed(text)
    assert not [element.tag for element in tree.iter() if {"src", "style", "onclick", "onload"} & set(element.attrib)]
    links = [value for element in tree.iter() for key, value in element.attrib.items() if "href" in str(key)]
    assert links == ["#rows"]


def test_a_gpt_of_50_blocks_is_less_than_300_kb() -> None:
    assert len(page(flow_examples.gpt(50)).encode()) < 300_000


def test_the_same_report_gives_the_same_page() -> None:
    assert page(flow_examples.gpt(6)) == page(flow_examples.gpt(6))


def test_ids_are_unique() -> None:
    ids = [element.get("id") for element in parsed(page(flow_examples.gpt(6))).iter() if element.get("id")]
    assert len(ids) == len(set(ids))


def test_the_data_has_the_parameters_in_columns() -> None:
    data = data_of(page(flow_examples.frozen_by_no_grad()))
    assert data["parameters"]["name"][0] == "lin0.weight"
    assert data["findings"] == [[0, 1, 2, 3]]
    assert data["views"][0]["boxes"]["3"] == {"findings": [0]}


def test_without_an_engine_the_page_says_why_it_has_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> list[bytes]:
        raise DrawingFailed("no <engine> here")

    monkeypatch.setattr(gradflow.pictures, "draw_all", fail)
    assert parsed(page(flow_examples.frozen_by_no_grad())).find(".//p[@class='message']").text == "no <engine> here"


def many_parameters(count: int) -> Report:
    """A report of `count` parameters without a flow graph."""
    report = report_examples.clean_report()
    rows = tuple(
        replace(report.parameters[0], name=f"layer{number // 4}.part{number % 4}.weight", owner=f"layer{number // 4}.part{number % 4}")
        for number in range(count)
    )
    return replace(report, parameters=rows, flow=FlowGraph())


# From here on a browser is needed.


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium, without a window."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium on this machine: the page is tested in none")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


class Tab:
    """A page of the browser, and everything that it complained of."""

    def __init__(self, browser: Any, folder: Path, report: Report, **options: Any) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        place = folder / "report.html"
        place.write_text(page(report), "utf-8")
        self.page = browser.new_page(viewport={"width": 1400, "height": 900}, **options)
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(place.as_uri())

    def total(self) -> str:
        """How many parameters are listed."""
        return str(self.page.inner_text("#total"))

    def names(self) -> list[str]:
        """The parameters listed."""
        return list(self.page.eval_on_selector_all("#body td.name", "cells => cells.map(cell => cell.textContent)"))

    def ends_well(self) -> None:
        """Nothing was complained of, and nothing but the file was asked for."""
        assert self.complaints == []
        assert len(self.requests) == 1
        self.page.close()


@pytest.fixture
def gpt(browser: Any, tmp_path: Path) -> Iterator[Tab]:
    tab = Tab(browser, tmp_path, flow_examples.gpt(12))
    yield tab
    tab.ends_well()


def test_a_click_on_a_finding_lists_its_parameters_and_lights_its_cut(gpt: Tab) -> None:
    assert gpt.total() == "126 of 126"
    gpt.page.click(".finding button")
    assert gpt.total() == "6 of 126"
    assert gpt.names()[0] == "h.5.ln_1.weight"
    assert gpt.page.inner_text(".finding.open .more .lit").strip().endswith("x = x.detach()")
    assert gpt.page.get_attribute(".finding button", "aria-expanded") == "true"
    assert "gradient stops here" in gpt.page.get_attribute("g.hit", "aria-label")
    frame, cut = gpt.page.locator("#stage").bounding_box(), gpt.page.locator("g.hit").bounding_box()
    gpt.page.click("#only")
    assert gpt.total() == "126 of 126"
    assert frame["x"] < cut["x"] + cut["width"] / 2 < frame["x"] + frame["width"]


def test_the_filter_takes_a_regular_expression_and_forgives_a_wrong_one(gpt: Tab) -> None:
    gpt.page.fill("#filter", r"h\.5\.(attn|mlp)")
    assert gpt.total() == "6 of 126"
    gpt.page.fill("#filter", "h.5.[")
    assert gpt.total() == "0 of 126" and "bad" in gpt.page.get_attribute("#filter", "class")
    gpt.page.keyboard.press("Escape")
    assert gpt.total() == "126 of 126"


def test_a_verdict_can_be_left_out(gpt: Tab) -> None:
    gpt.page.uncheck("[data-verdict=live]")
    assert gpt.total() == "9 of 126"
    assert set(gpt.page.eval_on_selector_all("#body .status", "all => all.map(one => one.textContent.trim())")) == {
        "×severed",
        "■frozen",
        "○unused",
    }


def test_a_head_sorts_and_says_so(gpt: Tab) -> None:
    gpt.page.click("th[data-key=elements] button")
    assert gpt.names()[0] == "wte.weight" and gpt.page.get_attribute("th[data-key=elements]", "aria-sort") == "descending"
    gpt.page.click("th[data-key=elements] button")
    assert gpt.page.get_attribute("th[data-key=elements]", "aria-sort") == "ascending"


def test_a_module_opens_by_click_and_by_keyboard(gpt: Tab) -> None:
    gpt.page.click("#tree [data-path='h.5'] > .node")
    assert gpt.page.inner_text("#tabs [aria-pressed=true]") == "h.5"
    assert gpt.total() == "10 of 126"
    gpt.page.keyboard.press("ArrowDown")
    assert gpt.page.evaluate("document.activeElement.dataset.path") == "h.5.ln_1"
    gpt.page.keyboard.press("ArrowLeft")
    gpt.page.keyboard.press("ArrowLeft")
    assert gpt.page.get_attribute("#tree [data-path='h.5']", "aria-expanded") == "false"


def test_a_card_in_the_picture_opens_its_module(gpt: Tab) -> None:
    gpt.page.click("#sheet .view.on g[aria-label^='h.6 - h.11']")
    assert gpt.page.inner_text("#tabs [aria-pressed=true]") == "h.6"
    assert gpt.total() == "60 of 126"
    gpt.page.focus("#sheet .view.on g[aria-label^='attn']")
    gpt.page.keyboard.press("Enter")
    assert gpt.page.inner_text("#tabs [aria-pressed=true]") == "h.6.attn"


def test_the_picture_moves_and_zooms(gpt: Tab) -> None:
    def transform() -> str:
        return str(gpt.page.evaluate("document.getElementById('sheet').style.transform"))

    states = [transform()]
    gpt.page.focus("#stage")
    for key in ("ArrowLeft", "+", "-", "0"):
        gpt.page.keyboard.press(key)
        states.append(transform())
    gpt.page.mouse.move(900, 300)
    gpt.page.mouse.wheel(0, -300)
    gpt.page.wait_for_function("before => document.getElementById('sheet').style.transform !== before", arg=states[-1])
    states.append(transform())
    gpt.page.mouse.down()
    gpt.page.mouse.move(950, 340, steps=4)
    gpt.page.mouse.up()
    states.append(transform())
    assert all(one != other for one, other in itertools.pairwise(states))
    gpt.page.click("#fit")
    assert transform() == states[0]


def test_the_theme_follows_the_system_until_it_is_switched(browser: Any, tmp_path: Path) -> None:
    tab = Tab(browser, tmp_path, flow_examples.frozen_by_no_grad(), color_scheme="dark")
    color = "getComputedStyle(document.body).backgroundColor"
    assert tab.page.evaluate(color) == "rgb(13, 17, 23)"
    tab.page.click("#theme")
    assert tab.page.evaluate(color) == "rgb(255, 255, 255)"
    tab.page.reload()
    assert tab.page.evaluate(color) == "rgb(255, 255, 255)"
    tab.requests.pop()
    tab.ends_well()


def test_reduced_motion_is_kept(browser: Any, tmp_path: Path) -> None:
    tab = Tab(browser, tmp_path, flow_examples.gpt(12), reduced_motion="reduce")
    tab.page.click(".finding button")
    assert tab.page.evaluate("document.getElementById('sheet').classList.contains('glide')") is False
    tab.ends_well()


def test_printed_all_findings_are_open_and_the_controls_are_gone(gpt: Tab) -> None:
    gpt.page.emulate_media(media="print")
    assert gpt.page.is_visible(".finding .more") and not gpt.page.is_visible("#filter")
    gpt.page.emulate_media(media="screen")


def test_on_paper_the_page_is_white_though_the_system_is_dark(gpt: Tab) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    gpt.page.emulate_media(media="screen", color_scheme="dark")
    dark = gpt.page.evaluate(background)
    gpt.page.emulate_media(media="print", color_scheme="dark")
    assert gpt.page.evaluate(background) == "rgb(255, 255, 255)" != dark


def test_ten_thousand_parameters_keep_few_rows_in_the_page(browser: Any, tmp_path: Path) -> None:
    tab = Tab(browser, tmp_path, many_parameters(10_000))
    assert tab.total() == "10,000 of 10,000"
    assert len(tab.names()) < 100
    tab.page.evaluate("document.getElementById('rows').scrollTop = 24 * 9990")
    tab.page.wait_for_function("document.querySelector('#body').textContent.includes('layer2499.part3.weight')")
    tab.page.fill("#filter", "layer1234")
    assert tab.names() == [f"layer1234.part{part}.weight" for part in range(4)]
    tab.ends_well()


@pytest.mark.parametrize("text", HOSTILE[:4])
def test_a_hostile_name_is_only_text_in_the_browser(browser: Any, tmp_path: Path, text: str) -> None:
    tab = Tab(browser, tmp_path, renamed(flow_examples.frozen_by_no_grad(), text))
    tab.page.click(".finding button")
    shown = re.sub("[\x00-\x1f]", "\ufffd", text)
    assert tab.names()[0].startswith(shown)
    assert tab.page.query_selector("img") is None
    tab.ends_well()


def test_a_report_of_nothing_shows_an_empty_page_without_complaint(browser: Any, tmp_path: Path) -> None:
    tab = Tab(browser, tmp_path, report_examples.crashed_report())
    assert tab.total() == "0 of 0" and "ZeroDivisionError" in tab.page.inner_text("aside")
    tab.page.click("#in")
    tab.page.keyboard.press("Escape")
    tab.ends_well()


def test_a_page_without_pictures_works_all_the_same(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> list[bytes]:
        raise DrawingFailed("no engine here")

    monkeypatch.setattr(gradflow.pictures, "draw_all", fail)
    tab = Tab(browser, tmp_path, flow_examples.gpt(3, cut_in=(1,)))
    tab.page.click(".finding button")
    assert tab.total() == "6 of 36" and tab.page.inner_text(".message") == "no engine here"
    tab.page.click("#fit")
    tab.ends_well()


def test_a_narrow_window_shows_one_column_and_no_sideways_scroll(browser: Any, tmp_path: Path) -> None:
    tab = Tab(browser, tmp_path, flow_examples.gpt(3, cut_in=(1,)))
    tab.page.set_viewport_size({"width": 420, "height": 800})
    assert tab.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    tab.ends_well()


def test_each_of_many_findings_on_one_line_leads_to_its_one_card(browser: Any, tmp_path: Path) -> None:
    tab = Tab(browser, tmp_path, flow_examples.gpt(4, cut_in=range(4)))
    tab.page.click(".finding[data-finding='3'] button")
    assert "gradient stops here" in tab.page.get_attribute("g.hit", "aria-label")
    tab.ends_well()


def test_a_finding_lists_its_own_parameters_though_the_worst_stand_first(browser: Any, tmp_path: Path) -> None:
    tab = Tab(browser, tmp_path, report_examples.gpt_report())
    tab.page.click(".finding >> nth=0")
    assert tab.names()[0] == "h.5.ln_1.weight" and tab.page.inner_text("#only") == "finding 1 ×"
    tab.page.click(".finding >> nth=1")
    assert tab.names() == ["aux_head.weight", "aux_head.bias"]
    tab.ends_well()
