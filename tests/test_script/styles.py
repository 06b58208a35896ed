"""The ways in which people write a training program, each as text: how it is started, and where a cut can be put into it.

Every program trains the same small network. `self.first(x)` in its text is the place of the cut: with `.detach()` behind it, the first
layer does not learn.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field

WHOLE, CUT = "self.first(x)", "self.first(x).detach()"
NAMES = {"first.weight", "first.bias", "last.weight", "last.bias"}

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.last = nn.Linear(8, 1)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))


torch.manual_seed(0)
"""

PARTS = NET + "model = Net()\noptimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"


@dataclass(frozen=True)
class Style:
    """One way to write a training program. `files` are further ones; `words` start it; `names` are its parameters, `cut` what a cut kills.

    `outcomes`: (exit code, outcome) of the healthy program and of the one with the cut. `needs`: packages that must be there.
    """

    text: str
    words: tuple[str, ...] = ("train.py",)
    file: str = "train.py"
    files: dict[str, str] = field(default_factory=dict)
    names: frozenset[str] = frozenset(NAMES)
    cut: frozenset[str] = frozenset({"first.weight", "first.bias"})
    outcomes: tuple[tuple[int, str], tuple[int, str]] = ((0, "clean"), (1, "findings"))
    kind: str = "script"
    given: str = ""
    note: str = ""
    needs: tuple[str, ...] = ()


def _notebook(*cells: str) -> str:
    code = [
        {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": cell.splitlines(True)} for cell in cells
    ]
    title = {"cell_type": "markdown", "metadata": {}, "source": ["# Training"]}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": [title, *code]})


LOOP = """
for step in range(20):
    optimizer.zero_grad()
    loss = model(torch.randn(3, 4)).pow(2).mean()
    loss.backward()
    optimizer.step()
"""

MAIN = """
def main():
    net = Net()
    sgd = torch.optim.SGD(net.parameters(), lr=0.1)
    for step in range(20):
        sgd.zero_grad()
        net(torch.randn(3, 4)).pow(2).mean().backward()
        sgd.step()


if __name__ == "__main__":
    main()
"""

TRAINER = """
class Trainer:
    def __init__(self):
        self.model = Net()
        self.optimizer = torch.optim.AdamW(self.model.parameters())

    def training_step(self, batch):
        self.optimizer.zero_grad()
        loss = self.model(batch).pow(2).mean()
        loss.backward()
        self.optimizer.step()

    def fit(self, epochs):
        for epoch in range(epochs):
            for batch in torch.randn(5, 3, 4):
                self.training_step(batch)


Trainer().fit(10)
"""

SEVERAL = """
netG, netD = Net(), nn.Linear(1, 1)
optG = torch.optim.Adam(netG.parameters())
optD = torch.optim.Adam(netD.parameters())
for step in range(20):
    optD.zero_grad()
    fake = netG(torch.randn(3, 4))
    nn.functional.softplus(-netD(torch.randn(3, 1))).mean().backward()
    nn.functional.softplus(netD(fake.detach())).mean().backward()
    optD.step()
    optG.zero_grad()
    nn.functional.softplus(-netD(fake)).mean().backward()
    optG.step()
"""

ACCUMULATION = """
for step in range(60):
    loss = model(torch.randn(3, 4)).pow(2).mean() / 4
    loss.backward()
    if (step + 1) % 4 == 0:
        optimizer.step()
        optimizer.zero_grad()
"""

AMP = """
scaler = torch.amp.GradScaler("cpu")
for step in range(20):
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(torch.randn(3, 4)).pow(2).mean()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
"""

LBFGS = """
x = torch.randn(16, 4)
lbfgs = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)


def closure():
    lbfgs.zero_grad()
    loss = (model(x) - x.sum(1, keepdim=True)).pow(2).mean()
    loss.backward()
    return loss


for step in range(10):
    lbfgs.step(closure)
"""

COMPILE = """
fast = torch.compile(model)
for step in range(20):
    optimizer.zero_grad()
    fast(torch.randn(3, 4)).pow(2).mean().backward()
    optimizer.step()
"""

FUNCTIONAL = """
from torch.func import functional_call, grad

params = dict(model.named_parameters())


def loss_of(params, x):
    return functional_call(model, params, (x,)).pow(2).mean()


for step in range(20):
    grads = grad(loss_of)(params, torch.randn(3, 4))
    params = {name: (value - 0.1 * grads[name]).detach().requires_grad_() for name, value in params.items()}
"""

BY_HAND = """
net = Net()
for step in range(20):
    loss = net(torch.randn(3, 4)).pow(2).mean()
    net.zero_grad()
    loss.backward()
    with torch.no_grad():
        for weight in net.parameters():
            if weight.grad is not None:
                weight -= 0.1 * weight.grad
"""

LIGHTNING = """
import lightning as L
from torch.utils.data import DataLoader


class Module(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = Net()

    def training_step(self, batch, index):
        return self.net(batch).pow(2).mean()

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())


trainer = L.Trainer(max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
trainer.fit(Module(), DataLoader(torch.randn(32, 4), batch_size=4))
"""

HF_TRAINER = """
from transformers import PretrainedConfig, PreTrainedModel, Trainer, TrainingArguments


class Model(PreTrainedModel):
    config_class = PretrainedConfig

    def __init__(self, config):
        super().__init__(config)
        self.net = Net()
        self.post_init()

    def _init_weights(self, module):
        pass

    def forward(self, values, labels=None):
        out = self.net(values)
        return {"loss": (out - labels).pow(2).mean(), "logits": out}


rows = [{"values": torch.randn(4), "labels": torch.randn(1)} for _ in range(64)]
arguments = TrainingArguments("out", max_steps=20, per_device_train_batch_size=4, report_to=[], save_strategy="no", use_cpu=True)
Trainer(model=Model(PretrainedConfig()), args=arguments, train_dataset=rows).train()
"""

ACCELERATE = """
from accelerate import Accelerator
from torch.utils.data import DataLoader

accelerator = Accelerator(cpu=True)
model, optimizer, loader = accelerator.prepare(model, optimizer, DataLoader(torch.randn(64, 4), batch_size=4))
for batch in loader:
    optimizer.zero_grad()
    loss = model(batch).pow(2).mean()
    accelerator.backward(loss)
    optimizer.step()
"""

ONE_PROCESS = (
    """
import os
import torch.distributed as dist

os.environ.update(MASTER_ADDR="localhost", RANK="0", WORLD_SIZE="1")
dist.init_process_group("gloo", init_method=f"file://{os.path.abspath('meeting')}", rank=0, world_size=1)
model = nn.parallel.DistributedDataParallel(model, find_unused_parameters=True)
"""
    + LOOP
)

RANKS = """
import torch.distributed as dist


def main():
    dist.init_process_group("gloo")
    model = nn.parallel.DistributedDataParallel(Net(), find_unused_parameters=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(20):
        optimizer.zero_grad()
        model(torch.randn(3, 4)).pow(2).mean().backward()
        optimizer.step()
    dist.destroy_process_group()


main()
"""

SPAWN = """
import os
import torch.distributed as dist
import torch.multiprocessing as mp


def train(rank, world):
    dist.init_process_group("gloo", init_method=f"file://{os.path.abspath('meeting')}", rank=rank, world_size=world)
    model = nn.parallel.DistributedDataParallel(Net(), find_unused_parameters=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(20):
        optimizer.zero_grad()
        model(torch.randn(3, 4)).pow(2).mean().backward()
        optimizer.step()


if __name__ == "__main__":
    mp.spawn(train, args=(2,), nprocs=2)
"""

HOGWILD = """
import torch.multiprocessing as mp


def train(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(20):
        optimizer.zero_grad()
        model(torch.randn(3, 4)).pow(2).mean().backward()
        optimizer.step()


if __name__ == "__main__":
    model.share_memory()
    processes = [mp.get_context("fork").Process(target=train, args=(model,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
"""

FSDP2 = (
    """
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

dist.init_process_group("gloo")
mesh = init_device_mesh("cpu", (2,))
model = Net()
fully_shard(model.first, mesh=mesh)
fully_shard(model.last, mesh=mesh)
fully_shard(model, mesh=mesh)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
"""
    + LOOP
)

THREAD = """
import threading


def train():
    for step in range(20):
        optimizer.zero_grad()
        model(torch.randn(3, 4)).pow(2).mean().backward()
        optimizer.step()


worker = threading.Thread(target=train)
worker.start()
worker.join()
"""

WORKERS = """
from torch.utils.data import DataLoader, Dataset


class Data(Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        return torch.full((4,), index / 64)


if __name__ == "__main__":
    for batch in DataLoader(Data(), batch_size=4, num_workers=2, shuffle=True):
        optimizer.zero_grad()
        model(batch).pow(2).mean().backward()
        optimizer.step()
"""

SWALLOWS = """
while True:
    try:
        optimizer.zero_grad()
        model(torch.randn(3, 4)).pow(2).mean().backward()
        optimizer.step()
    except:
        pass
"""

FINALLY = """
try:
    while True:
        optimizer.zero_grad()
        model(torch.randn(3, 4)).pow(2).mean().backward()
        optimizer.step()
finally:
    torch.save(model.state_dict(), "last.pt")
"""

SITE = "import builtins, os\nbuiltins.LEARNING_RATE = 0.1\n"
WITH_SITE = PARTS.replace("lr=0.1", "lr=LEARNING_RATE") + LOOP

STDIN = "rate = float(input())\n" + PARTS.replace("lr=0.1", "lr=rate") + LOOP

ARGUMENTS = """
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--steps", type=int, required=True)
options = parser.parse_args()
for group in optimizer.param_groups:
    group["lr"] = options.lr
""" + LOOP.replace("20", "options.steps")

EARLY = (
    "from torch.autograd import grad\n"
    + PARTS
    + """
weights = list(model.parameters())
for step in range(20):
    loss = model(torch.randn(3, 4)).pow(2).mean()
    grads = grad(loss, weights, allow_unused=True)
    for weight, value in zip(weights, grads):
        weight.grad = value
    optimizer.step()
"""
)

EAGER = "the program calls torch.compile, which was switched off"
IN_CHILDREN = "its first process made no backward pass, and was not judged"
TOGETHER = "2 processes trained, and were judged together"
TORCHRUN = ("--", "torchrun", "--standalone", "--nproc-per-node", "2", "train.py")
INNER = frozenset(f"net.{name}" for name in NAMES)
INNER_CUT = frozenset({"net.first.weight", "net.first.bias"})
GAN = frozenset({*(f"netG.{name}" for name in NAMES), "netD.weight", "netD.bias"})

STYLES = {
    "plain loop": Style(PARTS + LOOP),
    "main function": Style(NET + MAIN),
    "Trainer class": Style(NET + TRAINER),
    "several losses and optimizers": Style(NET + SEVERAL, names=GAN, cut=frozenset({"netG.first.weight", "netG.first.bias"})),
    "accumulation": Style(PARTS + ACCUMULATION),
    "autocast and GradScaler": Style(PARTS + AMP),
    "closure for LBFGS": Style(PARTS + LBFGS),
    "torch.compile": Style(PARTS + COMPILE, note=EAGER),
    "torch.func": Style(PARTS + FUNCTIONAL, outcomes=((2, "nothing"), (2, "nothing"))),
    "SGD by hand": Style(NET + BY_HAND),
    "Lightning": Style(NET + LIGHTNING, names=INNER, cut=INNER_CUT, needs=("lightning",)),
    "transformers Trainer": Style(NET + HF_TRAINER, names=INNER, cut=INNER_CUT, needs=("transformers", "accelerate")),
    "Accelerate": Style(PARTS + ACCELERATE, needs=("accelerate",)),
    "DDP in one process": Style(PARTS + ONE_PROCESS),
    "torchrun": Style(NET + RANKS, TORCHRUN, kind="command", note=TOGETHER),
    "mp.spawn": Style(NET + SPAWN, note=TOGETHER),
    "forked processes": Style(PARTS + HOGWILD, note=IN_CHILDREN),
    "FSDP2": Style(NET + FSDP2, TORCHRUN, kind="command", note=TOGETHER),
    "notebook": Style(
        _notebook("%matplotlib inline\n!pip list\n" + NET, "model = Net()\n" + PARTS.splitlines()[-1], "%%time\n" + LOOP),
        ("train.ipynb",),
        "train.ipynb",
        kind="notebook",
    ),
    "backward in a thread": Style(PARTS + THREAD),
    "DataLoader workers": Style(PARTS + WORKERS),
    "swallowing exceptions": Style(PARTS + SWALLOWS),
    "finally that saves": Style(PARTS + FINALLY),
    "own sitecustomize": Style(WITH_SITE, ("--", sys.executable, "train.py"), files={"site/sitecustomize.py": SITE}, kind="command"),
    "standard input": Style(STDIN, given="0.1\n"),
    "module of a package": Style(
        "from .net import *\n" + PARTS.replace(NET, "") + LOOP,
        ("-m", "pkg.train"),
        "pkg/train.py",
        {"pkg/__init__.py": "", "pkg/net.py": NET},
    ),
    "script in a package": Style(
        "from .net import *\n" + PARTS.replace(NET, "") + LOOP,
        ("pkg/train.py",),
        "pkg/train.py",
        {"pkg/__init__.py": "", "pkg/net.py": NET},
    ),
    "required arguments": Style(PARTS + ARGUMENTS, ("train.py", "data.csv", "--lr", "0.1", "--steps", "20")),
    "early import of grad": Style(EARLY),
}
"""By name, in the order of the table in the documentation."""
