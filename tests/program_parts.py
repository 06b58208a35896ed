"""The pieces that random training programs are made of: the frame of the file, and the kinds of operation.

A piece is a template of source lines. `{h}` is the value it takes, `{o}` the one it gives, `{g}` a second value of the same shape, `{k}` a
number of its own. A line may name its uncut twin after `~>`; lines whose twins work only together use `~>+`. Values are float32, either
`flat` (4, 6) or `seq` (4, 5, 6); `x`, `seq` and `ids` are the program's inputs, of shapes (4, 6), (4, 5, 6) and (4,).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One kind of operation or cut. `takes` and `gives`: flat, seq, or any / same. `nests`: may stand in a loop, a branch or a region."""

    name: str
    body: str
    init: str = ""
    methods: str = ""
    prelude: str = ""
    takes: str = "any"
    gives: str = "same"
    nests: bool = True


LINEAR = "self.m{k} = nn.Linear(6, 6)"
WEIGHT = "self.m{k} = nn.Parameter(torch.zeros(6, 6))"
BUFFER = 'self.register_buffer("r{k}", torch.zeros({shape}))'

DOUBLE = """
class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        return value * 2.0

    @staticmethod
    def backward(ctx, grad):
        return grad * 2.0
"""
HEADER = """
import contextlib
import copy
import io
import json
import math
import pickle
import threading

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint


def run(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def inputs():
    source = torch.Generator().manual_seed({seed})
    x, seq = torch.randn(4, 6, generator=source), torch.randn(4, 5, 6, generator=source)
    return x, seq, torch.randint(0, 9, (4,), generator=source)


def build():
    torch.manual_seed({seed})
    model = Net()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)
    return model
"""
SHAPES = {"flat": "4, 6", "seq": "4, 5, 6"}
TERMS = {
    "flat": (
        "F.mse_loss({v}, torch.linspace(-1, 1, 24).view(4, 6))",
        "F.cross_entropy({v}, torch.tensor([1, 0, 3, 5]))",
        "F.binary_cross_entropy_with_logits({v}, torch.full((4, 6), 0.5))",
        "{v}.pow(2).mean()",
    ),
    "seq": (
        "F.mse_loss({v}, torch.linspace(-1, 1, 120).view(4, 5, 6))",
        "F.cross_entropy({v}.flatten(0, 1), torch.arange(20) % 6)",
        "({v} * torch.linspace(-1, 1, 120).view(4, 5, 6)).sum()",
    ),
}
OPERATIONS = (
    Part("linear", "{o} = self.m{k}({h})", LINEAR),
    Part("linear-relu", "{o} = F.relu(self.m{k}({h}))", LINEAR),
    Part("residual", "{o} = {h} + torch.tanh(self.m{k}({h}))", LINEAR),
    Part("functional-linear", "{o} = F.linear({h}, self.m{k})", WEIGHT),
    Part("called-twice", "{o} = self.m{k}(torch.tanh(self.m{k}({h})))", LINEAR),
    Part(
        "tied",
        "{o} = self.n{k}(torch.tanh(self.m{k}({h})))",
        "self.m{k} = nn.Linear(6, 6)\nself.n{k} = nn.Linear(6, 6)\nself.n{k}.weight = self.m{k}.weight",
    ),
    Part("bilinear", "{o} = self.m{k}({h}, {h} * 0.5)", "self.m{k} = nn.Bilinear(6, 6, 6)"),
    Part("conv1d", "{o} = self.m{k}({h}.unsqueeze(1)).mean(1)", "self.m{k} = nn.Conv1d(1, 3, 3, padding=1)", takes="flat"),
    Part("conv1d-time", "{o} = self.m{k}({h}.transpose(1, 2)).transpose(1, 2)", "self.m{k} = nn.Conv1d(6, 6, 3, padding=1)", takes="seq"),
    Part(
        "conv2d",
        "{o} = self.m{k}({h}.reshape(4, 1, 2, 3)).mean(1).reshape(4, 6)",
        "self.m{k} = nn.Conv2d(1, 2, 3, padding=1)",
        takes="flat",
    ),
    Part("layernorm", "{o} = self.m{k}({h})", "self.m{k} = nn.LayerNorm(6)"),
    Part("batchnorm", "{o} = self.m{k}({h})", "self.m{k} = nn.BatchNorm1d(6)", takes="flat"),
    Part("batchnorm-time", "{o} = self.m{k}({h})", "self.m{k} = nn.BatchNorm1d(5)", takes="seq"),
    Part("groupnorm", "{o} = self.m{k}({h})", "self.m{k} = nn.GroupNorm(2, 6)", takes="flat"),
    Part("weight-norm", "{o} = self.m{k}({h})", "self.m{k} = nn.utils.parametrizations.weight_norm(nn.Linear(6, 6))"),
    Part("embedding", "{o} = {h} + self.m{k}(ids)", "self.m{k} = nn.Embedding(9, 6)", takes="flat"),
    Part("embedding-bag", "{o} = {h} + self.m{k}(ids.view(4, 1))", "self.m{k} = nn.EmbeddingBag(9, 6)", takes="flat"),
    Part("matmul", "{o} = {h} @ self.m{k}", WEIGHT),
    Part("addmm", "{o} = torch.addmm({g}, {h}, self.m{k})", WEIGHT, takes="flat"),
    Part("einsum", '{o} = torch.einsum("...i,ij->...j", {h}, self.m{k})', WEIGHT),
    Part("bmm", "{o} = torch.bmm(torch.softmax(torch.bmm({h}, {g}.transpose(1, 2)), -1), {h})", takes="seq"),
    Part("outer", "{o} = torch.tanh({h}.sum(0).outer({h}.sum(0))[:4])", takes="flat"),
    Part("softmax", "{o} = torch.softmax({h}, dim=-1)"),
    Part("log-softmax", "{o} = F.log_softmax({h}, dim=-1)"),
    Part("logsumexp", "{o} = {h} - torch.logsumexp({h}, dim=-1, keepdim=True)"),
    Part("relu", "{o} = torch.relu({h})"),
    Part("gelu", "{o} = F.gelu({h})"),
    Part("silu", "{o} = F.silu({h})"),
    Part("tanh", "{o} = torch.tanh({h})"),
    Part("prelu", "{o} = self.m{k}({h})", "self.m{k} = nn.PReLU()"),
    Part("glu", "{o} = F.glu(torch.cat([{h}, {g}], dim=-1), dim=-1)"),
    Part("pow", "{o} = torch.tanh({h}) ** 2"),
    Part("exp", "{o} = torch.exp(-{h}.abs())"),
    Part("log", "{o} = torch.log1p({h}.abs())"),
    Part("sqrt", "{o} = ({h}.abs() + 1.0).sqrt()"),
    Part("clamp", "{o} = {h}.clamp(-2.0, 2.0)"),
    Part("round", "{o} = {h} + {h}.round()"),
    Part("add", "{o} = {h} + {g}"),
    Part("product", "{o} = torch.tanh({h}) * {g}"),
    Part("scale", "{o} = {h} * self.m{k}", "self.m{k} = nn.Parameter(torch.zeros(6))"),
    Part("lerp", "{o} = torch.lerp({h}, {g}, 0.3)"),
    Part("cat", "{o} = self.m{k}(torch.cat([{h}, {g}], dim=-1))", "self.m{k} = nn.Linear(12, 6)"),
    Part("stack", "{o} = torch.stack([{h}, {g}, {h} * 0.5]).mean(0)"),
    Part("chunk", "a{k}, b{k} = {h}.chunk(2, dim=-1)\n{o} = torch.cat([b{k}, a{k} * 2.0], dim=-1)"),
    Part("split", "a{k}, b{k}, c{k} = torch.split({h}, [1, 2, 3], dim=-1)\n{o} = torch.cat([c{k}, b{k}, a{k}], dim=-1)"),
    Part("unbind", "parts{k} = {h}.unbind(0)\n{o} = torch.stack(parts{k}[::-1])"),
    Part("index", "{o} = {h}[..., [5, 0, 1, 2, 3, 4]]"),
    Part("index-select", "{o} = {h}.index_select(-1, torch.arange(5, -1, -1))"),
    Part("masked-fill", "{o} = {h}.masked_fill({h} > 1.0, 0.5)"),
    Part("where", "{o} = torch.where({h} > {g}, {h}, {g} * 0.5)"),
    Part("gather", "{o} = {h}.gather(1, x.argsort(1))", takes="flat"),
    Part("index-add", "{o} = {g}.index_add(0, ids % 4, {h})"),
    Part("scatter", "{o} = {g}.scatter(1, x.argsort(1)[:, :3], {h}[:, :3])", takes="flat"),
    Part("scatter-add", "{o} = torch.zeros_like({h}).scatter_add(1, x.argsort(1), {h})", takes="flat"),
    Part("add_", "{o} = {h}.clone()\n{o}.add_({g}, alpha=0.5)"),
    Part("mul_", "{o} = {h} + 1.0\n{o}.mul_({g})\n{o} = torch.tanh({o})"),
    Part("augmented", "{o} = {h} * 1.0\n{o} += {g}\n{o} *= 0.5"),
    Part("setitem", "{o} = {h} * 1.0\n{o}[..., 1:3] = {g}[..., 1:3]"),
    Part("setitem-mask", "{o} = {h} * 1.0\n{o}[x[:, 0] > 0] = 0.25"),
    Part("fill-buffer", "t{k} = torch.zeros_like({h})\nt{k}[..., :3] = {h}[..., :3]\nt{k}[..., 3:] = {h}[..., :3] * 2.0\n{o} = t{k} * 1.5"),
    Part("view-write", "{o} = {h} + 0.5\nv{k} = {o}[..., 2:5]\nv{k}.mul_(2.0)\nv{k}.add_({g}[..., 2:5])"),
    Part("view-read", "w{k} = {h} * 1.0\nv{k} = w{k}[..., 1:]\nw{k}.add_({g})\n{o} = F.pad(torch.tanh(v{k}), (1, 0))"),
    Part("diagonal-write", "{o} = {h} * 1.0\n{o}.diagonal(dim1=0, dim2=-1).add_(1.0)"),
    Part("transpose", "{o} = torch.tanh({h}.transpose(0, -1)).transpose(0, -1)"),
    Part("permute", "{o} = {h}.permute(2, 0, 1).contiguous().permute(1, 2, 0) * 0.5", takes="seq"),
    Part("expand", "{o} = {h} + {h}.mean(-1, keepdim=True).expand_as({h})"),
    Part("reshape", "{o} = {h}.reshape(-1, 3).relu().reshape({h}.shape)"),
    Part("flatten", "{o} = torch.tanh({h}.flatten()).view({h}.shape)"),
    Part("squeeze", "{o} = {h}.unsqueeze(0).repeat(2, *[1] * {h}.dim()).sum(0)"),
    Part("roll-flip", "{o} = torch.roll({h}, 1, dims=-1) + {h}.flip(-1)"),
    Part("tril", "{o} = {h} - torch.tril({h}) * 0.5"),
    Part("dropout", "torch.manual_seed({k})\n{o} = F.dropout({h}, 0.3)"),
    Part("cumsum", "{o} = {h}.cumsum(-1) * 0.3"),
    Part("max-values", "{o} = {h} - {h}.max(dim=-1, keepdim=True).values"),
    Part("min-unpacked", "low{k}, at{k} = {h}.min(dim=-1, keepdim=True)\n{o} = {h} * 0.5 + low{k} + at{k} * 0.1"),
    Part("amax", "{o} = {h} / (1.0 + {h}.abs().amax(-1, keepdim=True))"),
    Part("topk", "top{k}, _ = {h}.topk(3, dim=-1)\n{o} = torch.cat([top{k}, top{k}], dim=-1)"),
    Part("sort", "{o} = {h}.sort(dim=-1).values + torch.sort({g}, -1)[0]"),
    Part("norm", "{o} = {h} / (1.0 + {h}.norm())"),
    Part("normalize", "{o} = F.normalize({h}, dim=-1)"),
    Part("variance", "{o} = ({h} - {h}.mean()) / ({h}.var() + 1.0)"),
    Part("cdist", "{o} = torch.cdist({h}, {h} + 1.0) @ {h} * 0.1"),
    Part("cosine", "{o} = {h} * F.cosine_similarity({h}, {g} + 0.1, dim=-1).unsqueeze(-1)"),
    Part("unfold", "{o} = F.pad({h}, (1, 1)).unfold(-1, 3, 1).mean(-1)"),
    Part("complex", "z{k} = torch.complex({h}, {g})\n{o} = (z{k} * z{k}.conj() + z{k}).real * 0.3"),
    Part("fft", "{o} = torch.fft.irfft(torch.fft.rfft({h}, dim=-1), n=6, dim=-1)"),
    Part("autocast", 'with torch.autocast("cpu", dtype=torch.bfloat16):\n    {o} = self.m{k}({h})\n{o} = {o}.float()', LINEAR),
    Part("double", "{o} = torch.tanh({h}.double()).to(torch.float32)"),
    Part("lstm", "{o}, _ = self.m{k}({h})", "self.m{k} = nn.LSTM(6, 6, batch_first=True)", takes="seq"),
    Part("gru", "_, last{k} = self.m{k}({h})\n{o} = last{k}[0]", "self.m{k} = nn.GRU(6, 6, batch_first=True)", takes="seq", gives="flat"),
    Part("gru-cell", "{o} = self.m{k}({h}, {g})", "self.m{k} = nn.GRUCell(6, 6)", takes="flat"),
    Part("lstm-cell", "{o}, c{k} = self.m{k}({h})\n{o} = {o} + c{k}", "self.m{k} = nn.LSTMCell(6, 6)", takes="flat"),
    Part(
        "attention",
        "{o} = {h} + self.m{k}({h}, {h}, {h}, need_weights=False)[0]",
        "self.m{k} = nn.MultiheadAttention(6, 2, batch_first=True)",
        takes="seq",
    ),
    Part("sdpa", "{o} = F.scaled_dot_product_attention({h}, {g}, {h}, is_causal=True)", takes="seq"),
    Part("encoder-layer", "{o} = self.m{k}({h})", "self.m{k} = nn.TransformerEncoderLayer(6, 2, 8, 0.0, batch_first=True)", takes="seq"),
    Part("custom-function", "{o} = Double.apply({h})", prelude=DOUBLE),
    Part("checkpoint", "{o} = checkpoint(self.m{k}, {h}, use_reentrant=False)", LINEAR),
    Part(
        "checkpoint-reentrant",
        "{o} = checkpoint(self.m{k}, {h}, use_reentrant=True) ~> {o} = checkpoint(self.m{k}, {h}, use_reentrant=False)",
        LINEAR,
    ),
    Part("value-branch", "if {h}.mean() > 0:\n    {o} = self.m{k}({h}) * 2.0\nelse:\n    {o} = self.m{k}({h}) - 1.0", LINEAR),
    Part(
        "input-branch", "if x[0, {k} % 6] > 0:\n    {o} = self.b{k}({h})\nelse:\n    {o} = torch.tanh({h})", "self.b{k} = nn.Linear(6, 6)"
    ),
    Part(
        "module-list",
        "for layer{k} in self.m{k}:\n    {h} = torch.tanh(layer{k}({h}))\n{o} = {h}",
        "self.m{k} = nn.ModuleList([nn.Linear(6, 6) for _ in range(2)])",
    ),
    Part("sequential", "{o} = self.m{k}({h})", "self.m{k} = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 6))"),
    Part("comprehension", "{o} = torch.stack([self.m{k}(row{k}) for row{k} in {h}])", LINEAR),
    Part("method", "{o} = self.step{k}({h})", LINEAR, "def step{k}(self, value):\n    return F.silu(self.m{k}(value)) + value"),
    Part("thread", "box{k} = []\nrun(lambda: box{k}.append(self.m{k}({h})))\n{o} = box{k}[0]", LINEAR),
    Part("vmap", "{o} = torch.vmap(lambda row: torch.tanh(row) * 2.0)({h})"),
    Part("functional-call", "{o} = torch.func.functional_call(self.m{k}, dict(self.m{k}.named_parameters()), ({h},))", LINEAR),
    Part("bernoulli", "torch.manual_seed({k})\n{o} = torch.bernoulli(torch.sigmoid({h})) + 0.1 * {g}"),
    Part("zero_", "{o} = {h} * 1.0\n{o}.zero_() ~> pass\n{o} = {o} + {g}"),
    Part("copy_", "{o} = {h} * 1.0\n{o}.copy_({g}) ~> {o}.add_({g})"),
    Part("overwrite-all", "{o} = {h} * 1.0\n{o}[:] = {g} ~> {o}[:] += {g}"),
    Part("sampled-with-gradient", "torch.manual_seed({k})\n{o} = torch.distributions.Normal({h}, 1.0).rsample()"),
    Part("tensor-hook", "{o} = {h} * 1.0\nif {o}.requires_grad:\n    {o}.register_hook(lambda grad: grad if grad is None else grad * 0.5)"),
    Part(
        "module-hook",
        "{o} = self.m{k}({h})",
        "self.m{k} = nn.Linear(6, 6)\nself.m{k}.register_forward_hook(lambda module, args, out: torch.tanh(out))",
    ),
    Part("input-statistics", "with torch.no_grad():\n    mean{k} = x.mean()\n{o} = {h} - mean{k}"),
    Part("straight-through", "{o} = {h} + ({h}.round() - {h}).detach()"),
    Part("detached-scale", "{o} = {h} / ({h}.detach().abs().max() + 1.0)"),
    Part("to-flat-mean", "{o} = {h}.mean(1)", takes="seq", gives="flat"),
    Part("to-flat-last", "{o} = {h}[:, -1]", takes="seq", gives="flat"),
    Part("to-flat-max", "{o} = {h}.max(1).values", takes="seq", gives="flat"),
    Part("to-seq", "{o} = {h}.unsqueeze(1) + seq", takes="flat", gives="seq"),
    Part("to-seq-expand", "{o} = {h}.unsqueeze(1).expand(4, 5, 6) * seq", takes="flat", gives="seq"),
)

STRUCTURES = ("for _ in range(2):", "if x[0, {k} % 6] > -9.0:", 'with torch.autograd.profiler.record_function("part"):')
