"""Draws three samples with torchviz, torchview and torchlens, for docs/compare.md: `python docs/compare/make.py`.

Installs them into a temporary folder, without their dependencies, and leaves nothing behind: none of them is a dependency of gradflow.
Needs the program `dot`. Each picture is made in a process of its own, from the sample as it stands.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SAMPLES = HERE.parent.parent / "samples"
PEERS = ("torchviz==0.0.3", "torchview==0.2.7", "torchlens==2.36.1", "pillow")
PROGRAMS = {"freeze_no_grad": "inputs", "resnet_cut_stage": "images", "gpt_detached_attention": "batch[:, :-1]"}
"""By sample, the input of its model, in the sample's own names."""

DRAWINGS = {
    "torchviz": "import torchviz; dot = torchviz.make_dot(loss, params=dict(model.named_parameters()))",
    "torchview": "import torchview; dot = torchview.draw_graph(model, input_data=x, depth=2).visual_graph",
    "torchlens": (
        "import torchlens; trace = torchlens.trace(model, x); "
        "dot = trace.draw(vis_save_only=True, vis_fileformat='dot', vis_outpath=place, return_graph=True)"
    ),
}
PROGRAM = """\
import os, runpy, sys
sample, given, drawing, place = sys.argv[1:]
names = runpy.run_path(sample)
model, loss, x = names["model"], names["loss"], eval(given, names)
scope = {"model": model, "loss": loss, "x": x, "place": place}
exec(drawing, scope)
dot = scope["dot"]
with open(place + ".gv", "w", encoding="utf-8") as file:
    file.write(dot if isinstance(dot, str) else dot.source)
"""


def main() -> None:
    """Writes one PNG for each sample and each tool beside this file."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, *PEERS], check=True)
        environment = {**os.environ, "PYTHONPATH": folder, "OMP_NUM_THREADS": "1"}
        for sample, given in PROGRAMS.items():
            for tool, drawing in DRAWINGS.items():
                place = Path(folder) / f"{sample}-{tool}"
                command = [sys.executable, "-c", PROGRAM, f"{sample}.py", given, drawing, str(place)]
                run = subprocess.run(command, cwd=SAMPLES, env=environment, capture_output=True, text=True)
                if run.returncode:
                    print(f"{sample}, {tool}: {run.stderr.strip().splitlines()[-1]}")
                    continue
                target = HERE / f"{sample}-{tool}.png"
                subprocess.run(["dot", "-Tpng", "-Gsize=9,14", "-Gdpi=60", "-o", str(target), f"{place}.gv"], check=True)


if __name__ == "__main__":
    main()
