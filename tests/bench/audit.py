"""What an audit of three steps costs beside three plain ones: `python tests/bench/audit.py [ROUNDS [MODEL ...]]`. Prints a table.

Asserts nothing. Each measurement is a process of its own that builds the model and takes its first three steps: plainly, or with everything
in place that `gradflow audit` puts there, and then told and judged. Start-up is left out: seconds of CPU from the first step on, on one
thread. Memory is the largest that the process ever had, start-up included. Rounds are interleaved; of times the lowest ratio and the
median are shown.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

STEPS = 3


def bert() -> tuple[object, object]:
    """Four layers of a BERT of width 256, on 8 sequences of 64."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024)
    return BertForSequenceClassification(config), torch.randint(0, 30_000, (8, 64))


def small(name: str) -> Callable[[], tuple[object, object]]:
    """One of the models of `speed.py`."""

    def make() -> tuple[object, object]:
        import torch
        from speed import WORKLOADS

        model, shape = WORKLOADS[name]
        return model(), torch.randn(shape)

    return make


NAMES = ("transformer, 12 layers", "ResNet-18", "MLP, 200 layers", "LSTMCell, 200 steps")
MODELS = {name: small(name) for name in NAMES}
if importlib.util.find_spec("transformers") is not None:
    MODELS["BERT, 4 layers (transformers)"] = bert


def take(name: str, kind: str) -> None:
    """In a process of its own: prints the seconds of CPU that three steps of a model take, and the largest memory in kB."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    if kind == "audited":
        from gradflow.api import build_report
        from gradflow.capture.training.session import Session
        from gradflow.graph.recording import Target, TargetKind

        session = Session(steps=STEPS, on_done=lambda: None)
        session.install()
    model, data = MODELS[name]()
    assert isinstance(model, torch.nn.Module)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    start = time.process_time()
    for _ in range(STEPS):
        optimizer.zero_grad()
        output = model(data)
        (output if isinstance(output, torch.Tensor) else output.logits).square().mean().backward()
        optimizer.step()
    seconds = time.process_time() - start
    told = judged = seconds
    if kind == "audited":
        recording = session.recording(Target(TargetKind.SCRIPT, "", ""))
        pickle.dumps(recording)
        told = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if kind == "audited":
        build_report(recording)  # in the parent process, where its memory is nobody's trouble
        judged = time.process_time() - start
    print(seconds, told, judged, memory)


def measured(name: str, kind: str) -> list[float]:
    """(seconds of the steps, and until all was told, and until all was judged, kB at most) of one process."""
    here = os.path.abspath(__file__)
    words = [sys.executable, here, "--take", name, kind]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return [float(word) for word in done.stdout.split()]


def main() -> None:
    """Prints the table."""
    if sys.argv[1:2] == ["--take"]:
        take(*sys.argv[2:])
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(
        f"{'model':<32}{'3 steps, ms':>12}{'recorded':>10}{'told':>7}{'judged':>8}{'median':>8}{'MB plain':>10}{'above':>8}{'allowed':>9}"
    )
    for name in [name for name in MODELS if not sys.argv[2:] or any(word in name for word in sys.argv[2:])]:
        pairs = [(measured(name, "plain"), measured(name, "audited")) for _ in range(rounds)]
        ratios = [[audited[column] / plain[0] for plain, audited in pairs] for column in range(3)]
        plain_memory, memory = (statistics.median(pair[kind][3] for pair in pairs) / 1024 for kind in (0, 1))
        print(
            f"{name:<32}{1000 * statistics.median(plain[0] for plain, _ in pairs):>12.0f}{min(ratios[0]):>10.2f}{min(ratios[1]):>7.2f}"
            f"{min(ratios[2]):>8.2f}{statistics.median(ratios[2]):>8.2f}{plain_memory:>10.0f}{memory - plain_memory:>8.1f}"
            f"{0.1 * plain_memory + 20:>9.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
