"""Draws the pictures of the README and of docs/pictures.md from the samples: `python docs/pictures/make.py`.

Each is kept as SVG for light and for dark pages, and as DOT, by which a test sees when it is stale: what an engine makes of a DOT text
differs with its version and fonts. The screenshot of the page needs playwright and a Chromium, and is left alone where there is none.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from gradflow.pictures import page, picture
from gradflow.render.palette import Theme
from gradflow.report import Report

HERE = Path(__file__).parent
SAMPLES = HERE.parent.parent / "samples"
PICTURES = {
    "freeze_no_grad": ("freeze_no_grad", "modules"),
    "freeze_no_grad-autograd": ("freeze_no_grad", "autograd"),
    "gpt_detached_attention": ("gpt_detached_attention", "modules"),
    "resnet_cut_stage": ("resnet_cut_stage", "modules"),
}
"""By the name of the picture, the sample and the view that is shown of it."""
SCREENSHOT = "gpt_detached_attention"


def audited(sample: str) -> Report:
    """The report on a sample, with its flow graph."""
    command = [sys.executable, "-m", "gradflow", "audit", "--format", "json", "--graph", "--quiet-script", f"{sample}.py"]
    return Report.from_json(subprocess.run(command, cwd=SAMPLES, capture_output=True, text=True, encoding="utf-8").stdout)


def main() -> None:
    """Writes all pictures beside this file."""
    for name, (sample, view) in PICTURES.items():
        report = audited(sample)
        (HERE / f"{name}.dot").write_bytes(picture(report, "dot", view=view))
        for theme in Theme:
            (HERE / f"{name}-{theme.value}.svg").write_bytes(picture(report, "svg", view=view, theme=theme))
        if name == SCREENSHOT:
            take_screenshot(report, HERE / "page.png")


def take_screenshot(report: Report, place: Path) -> None:
    """The page of `report` in a browser, with its first finding open."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print("no screenshot: playwright is not installed")
        return
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        print("no screenshot: no Chromium was found")
        return
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "report.html"
        file.write_text(page(report), "utf-8")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light", reduced_motion="reduce")
        tab.goto(file.as_uri())
        tab.click(".finding button")
        tab.screenshot(path=str(place))
        browser.close()


if __name__ == "__main__":
    main()
