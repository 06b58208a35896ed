"""Kinds of statement that stop gradients, each with its uncut twin, in the notation of `program_parts`."""

from __future__ import annotations

from program_parts import BUFFER, LINEAR, WEIGHT, Part

STOP = """
class Stop(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        out = value * 1.0
        ctx.mark_non_differentiable(out) ~> pass
        return out

    @staticmethod
    def backward(ctx, grad):
        return grad
"""
DROP = """
class Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        return value * 1.0

    @staticmethod
    def backward(ctx, grad):
        return None ~> return grad
"""
KEEP = """
def keep(function):
    return function
"""

COOL = """
def cool(value):
    value = value * 2.0
    return value.detach() ~> return value
"""

CUTS = (
    Part("no-grad-block", "with torch.no_grad(): ~> if True:\n    {o} = self.m{k}({h})", LINEAR),
    Part(
        "no-grad-two",
        "with torch.no_grad(): ~> if True:\n    {o} = self.m{k}({h})\n    {o} = torch.tanh(self.n{k}({o}))",
        "self.m{k} = nn.Linear(6, 6)\nself.n{k} = nn.Linear(6, 6)",
    ),
    Part(
        "no-grad-method",
        "{o} = self.step{k}({h})",
        LINEAR,
        "@torch.no_grad() ~> @keep\ndef step{k}(self, value):\n    value = self.m{k}(value)\n    return torch.relu(value)",
        KEEP,
    ),
    Part(
        "no-grad-bare-decorator",
        "{o} = self.step{k}({h})",
        LINEAR,
        "@torch.no_grad ~> @keep\ndef step{k}(self, value):\n    return self.m{k}(value)",
        KEEP,
    ),
    Part("set-grad-enabled-block", "with torch.set_grad_enabled(False): ~> if True:\n    {o} = self.m{k}({h})", LINEAR),
    Part("set-grad-enabled-pair", "torch.set_grad_enabled(False) ~> pass\n{o} = self.m{k}({h})\ntorch.set_grad_enabled(True)", LINEAR),
    Part("inference-block", "with torch.inference_mode(): ~> if True:\n    {o} = self.m{k}({h})\n{o} = {o}.clone()", LINEAR),
    Part(
        "inference-method",
        "{o} = self.step{k}({h}).clone()",
        LINEAR,
        "@torch.inference_mode() ~> @keep\ndef step{k}(self, value):\n    return self.m{k}(value)",
        KEEP,
    ),
    Part(
        "no-grad-buffer",
        "with torch.no_grad(): ~> if True:\n    self.r{k}.copy_({h}) ~> self.r{k} = {h} * 1.0\n{o} = self.r{k} * 1.0",
        BUFFER,
    ),
    Part(
        "no-grad-out",
        "t{k} = torch.zeros_like({h})\nwith torch.no_grad(): ~>+ if True:\n    torch.mul({h}, 2.0, out=t{k}) ~>+ t{k} = {h} * 2.0\n"
        "{o} = t{k} + 1.0",
    ),
    Part(
        "no-grad-return",
        "{o} = self.step{k}({h})",
        LINEAR,
        "def step{k}(self, value):\n    with torch.no_grad(): ~> if True:\n        return self.m{k}(value)",
    ),
    Part("no-grad-wrapped", "{o} = torch.no_grad()(self.m{k})({h}) ~> {o} = self.m{k}({h})", LINEAR),
    Part(
        "no-grad-two-items",
        'with torch.no_grad(), torch.autograd.profiler.record_function("part"): ~> if True:\n    {o} = self.m{k}({h})',
        LINEAR,
    ),
    Part(
        "no-grad-entered",
        "with contextlib.ExitStack() as stack{k}:\n    stack{k}.enter_context(torch.no_grad()) ~> pass\n    {o} = self.m{k}({h})",
        LINEAR,
    ),
    Part("set-grad-enabled-computed", "with torch.set_grad_enabled(bool(x.sum() > 1e9)): ~> if True:\n    {o} = self.m{k}({h})", LINEAR),
    Part(
        "detach-chain",
        "{o} = ( ~>+ {o} = (\n    torch.tanh({h}) ~>+ torch.tanh({h})\n    .detach() ~>+ .clone()\n    .mul(2.0) ~>+ .mul(2.0)\n)",
    ),
    Part(
        "detach-dict",
        'box{k} = {{"a": {h}.detach(), "b": 1.0}} ~> box{k} = {{"a": {h}, "b": 1.0}}\n{o} = box{k}["a"] * box{k}["b"]',
    ),
    Part("detach-helper", "{o} = cool({h})", prelude=COOL),
    Part("detach-comprehension", "{o} = torch.stack([row.detach() for row in {h}]) ~> {o} = torch.stack([row * 1.0 for row in {h}])"),
    Part(
        "detach-hook",
        "{o} = self.m{k}({h})",
        "self.m{k} = nn.Linear(6, 6)\nself.m{k}.register_forward_hook(lambda module, args, out: out.detach()) ~> pass",
    ),
    Part(
        "argmax-index",
        "p{k} = {h}.argmax(-1) ~>+ p{k} = torch.softmax({h}, -1)\n{o} = {g} + self.m{k}[p{k}] ~>+ {o} = {g} + p{k} @ self.m{k}",
        WEIGHT,
    ),
    Part("detach", "{o} = {h}.detach() ~> {o} = {h}"),
    Part("detach-function", "{o} = torch.detach({h}) * 2.0 ~> {o} = {h} * 2.0"),
    Part("detach-inside", "{o} = self.m{k}({h}.detach()) + 1.0 ~> {o} = self.m{k}({h}) + 1.0", LINEAR),
    Part("detach_", "{o} = {h} * 2.0\n{o}.detach_() ~> pass"),
    Part("detach-leaf", "{o} = {h}.detach().requires_grad_() ~> {o} = {h}"),
    Part("detach-clone", "{o} = {h}.clone().detach() ~> {o} = {h}.clone()"),
    Part("data", "{o} = {h}.data ~> {o} = {h}"),
    Part("data-operand", "{o} = torch.tanh({h}.data + 0.5) ~> {o} = torch.tanh({h} + 0.5)"),
    Part("data-weight", "{o} = {h} @ self.m{k}.data ~> {o} = {h} @ self.m{k}", WEIGHT),
    Part("data-assigned", "t{k} = torch.zeros_like({h})\nt{k}.data = {h} ~> t{k} = {h}\n{o} = t{k} + 0.5"),
    Part("data-assigned-live", "t{k} = {g} * 1.0\nt{k}.data = {h} ~> t{k} = {h} * 1.0\n{o} = t{k} * 2.0"),
    Part("data-copied", "t{k} = {g} * 1.0\nt{k}.data.copy_({h}) ~> t{k} = {h} * 1.0\n{o} = t{k} * 2.0"),
    Part("data-buffer", "self.r{k}.data.copy_({h}) ~> self.r{k} = {h}\n{o} = self.r{k} * 1.0", BUFFER),
    Part("data-setitem", "t{k} = torch.zeros_like({h})\nt{k}.data[:] = {h} ~> t{k}[:] = {h}\n{o} = t{k} * 2.0"),
    Part("numpy", "{o} = torch.from_numpy({h}.detach().numpy() * 2.0) ~> {o} = {h} * 2.0"),
    Part("numpy-lines", "a{k} = {h}.detach().numpy() ~>+ a{k} = {h}\na{k} = a{k} * 0.5 + 1.0\n{o} = torch.from_numpy(a{k}) ~>+ {o} = a{k}"),
    Part("numpy-function", "a{k} = np.tanh({h}.detach().numpy()) ~>+ a{k} = torch.tanh({h})\n{o} = torch.as_tensor(a{k}) ~>+ {o} = a{k}"),
    Part("numpy-tensor", "{o} = torch.tensor({h}.detach().cpu().numpy()) ~> {o} = {h} * 1.0"),
    Part("numpy-as-tensor", "{o} = torch.as_tensor(np.asarray({h}.detach())) + 1.0 ~> {o} = {h} + 1.0"),
    Part("numpy-Tensor", "{o} = torch.Tensor({h}.data.numpy().copy()) ~> {o} = {h} * 1.0"),
    Part("numpy-buffer", "t{k} = torch.zeros_like({h})\nt{k}.numpy()[:] = {h}.detach().numpy() ~> t{k} = {h}\n{o} = t{k} * 2.0"),
    Part("dlpack", "{o} = torch.from_dlpack({h}.detach()) ~> {o} = {h}"),
    Part("item", "s{k} = {h}.mean().item() ~> s{k} = {h}.mean()\n{o} = {g} * s{k}"),
    Part("item-arithmetic", "s{k} = {h}.pow(2).mean().item() ~> s{k} = {h}.pow(2).mean()\ns{k} = 1.0 / (1.0 + s{k})\n{o} = {g} + s{k}"),
    Part("item-inline", "{o} = {g} + 0.1 * {h}.sum().item() ~> {o} = {g} + 0.1 * {h}.sum()"),
    Part("float", "s{k} = float({h}.sum()) ~> s{k} = {h}.sum()\n{o} = {g} - 0.1 * s{k}"),
    Part("int", "s{k} = int({h}.abs().sum()) ~> s{k} = {h}.abs().sum()\n{o} = {g} * (1 + s{k})"),
    Part("math", "s{k} = math.tanh({h}.mean().item()) ~> s{k} = torch.tanh({h}.mean())\n{o} = {g} * s{k}"),
    Part("item-tensor", "s{k} = torch.tensor({h}.mean().item()) ~> s{k} = {h}.mean()\n{o} = {g} * s{k}"),
    Part("item-full", "{o} = {g} + torch.full_like({g}, {h}.mean().item()) ~> {o} = {g} + {h}.mean()"),
    Part("tolist", "{o} = torch.tensor({h}.tolist()) ~> {o} = {h} * 1.0"),
    Part("tolist-lines", "a{k} = {h}.tolist() ~>+ a{k} = {h}\n{o} = torch.tensor(a{k}) ~>+ {o} = a{k} * 1.0"),
    Part("tolist-Tensor", "{o} = torch.Tensor({h}.tolist()) ~> {o} = {h} * 1.0"),
    Part("tensor-copy", "{o} = torch.tensor({h}) ~> {o} = {h} * 1.0"),
    Part("new-tensor", "{o} = {h}.new_tensor({h}) ~> {o} = {h} * 1.0"),
    Part("tensor-of-scalars", "{o} = {g} + torch.tensor([{h}.mean(), {h}.max()]).sum() ~> {o} = {g} + {h}.mean() + {h}.max()"),
    Part("rewrapped", "{o} = nn.Parameter({h}) ~> {o} = {h}"),
    Part("rewrapped-weight", "{o} = {h} @ nn.Parameter(self.m{k} * 0.5) ~> {o} = {h} @ (self.m{k} * 0.5)", WEIGHT),
    Part("long", "{o} = ({h} * 10.0).long().float() ~> {o} = {h} * 10.0"),
    Part("int-float", "{o} = ({h} * 5.0).int().float() / 5.0 ~> {o} = {h} * 1.0"),
    Part("to-int64", "q{k} = ({h} * 4.0).to(torch.int64) ~> q{k} = {h} * 4.0\n{o} = q{k} / 4.0"),
    Part("type-int", "{o} = ({h} * 4.0).type(torch.int32).to(torch.float32) ~> {o} = {h} * 4.0"),
    Part("bool", "{o} = {h}.bool().float() ~> {o} = {h} * 1.0"),
    Part("argmax", "{o} = F.one_hot({h}.argmax(-1), 6).float() ~> {o} = torch.softmax({h}, -1)"),
    Part("argsort", "{o} = {h}.argsort(-1).float() / 6.0 ~> {o} = {h}.sort(-1).values"),
    Part("topk-indices", "p{k} = {h}.topk(6, dim=-1).indices ~> p{k} = {h}.topk(6, dim=-1).values\n{o} = p{k} * 0.1"),
    Part("max-indices", "_, p{k} = {h}.max(-1, keepdim=True) ~> p{k}, _ = {h}.max(-1, keepdim=True)\n{o} = {g} + p{k} * 0.1"),
    Part("comparison", "{o} = ({h} > 0).float() ~> {o} = torch.sigmoid({h})"),
    Part("comparison-lines", "mask{k} = {h} >= 0.1 ~> mask{k} = torch.sigmoid({h})\n{o} = {g} * mask{k}"),
    Part("logical", "{o} = torch.logical_and({h} > 0, {h} < 1).to({h}.dtype) ~> {o} = torch.sigmoid({h})"),
    Part("unique", "{o} = torch.unique({h}, return_inverse=True)[1].float() / 9.0 ~> {o} = {h} / 9.0"),
    Part("bucketize", "{o} = torch.bucketize({h}, torch.linspace(-1, 1, 5)) * 0.2 ~> {o} = {h} * 0.2"),
    Part("count", "{o} = {g} * torch.count_nonzero({h} > 0) * 0.1 ~> {o} = {g} * torch.sigmoid({h}).sum() * 0.1"),
    Part("rank", "{o} = {g} + torch.linalg.matrix_rank({h}.detach()).sum() ~> {o} = {g} + {h}.sum()"),
    Part(
        "multinomial",
        "torch.manual_seed({k})\n{o} = torch.multinomial(torch.softmax({h}, -1), 6, True).float() ~> {o} = torch.softmax({h}, -1)",
        takes="flat",
    ),
    Part(
        "normal-sample",
        "torch.manual_seed({k})\n{o} = torch.distributions.Normal({h}, 1.0).sample() ~>"
        " {o} = torch.distributions.Normal({h}, 1.0).rsample()",
    ),
    Part(
        "categorical-sample",
        "torch.manual_seed({k})\nc{k} = torch.distributions.Categorical(logits={h}).sample() ~> c{k} = torch.softmax({h}, -1).mean(-1)\n"
        "{o} = {g} + 0.1 * c{k}.unsqueeze(-1)",
    ),
    Part("non-differentiable", "{o} = Stop.apply({h}) ~> {o} = {h} * 1.0", prelude=STOP),
    Part(
        "reentrant-inputs",
        "{o} = {h} + checkpoint(self.m{k}, x, use_reentrant=True) ~> {o} = {h} + checkpoint(self.m{k}, x, use_reentrant=False)",
        LINEAR,
        takes="flat",
    ),
    Part(
        "reentrant-detached",
        "{o} = checkpoint(self.m{k}, {h}.detach(), use_reentrant=True) ~> {o} = checkpoint(self.m{k}, {h}, use_reentrant=False)",
        LINEAR,
    ),
    Part("backward-none", "{o} = Drop.apply({h}) ~> {o} = {h} * 1.0", prelude=DROP),
    Part("pickle", "{o} = pickle.loads(pickle.dumps({h}.detach())) ~> {o} = {h}"),
    Part("saved", "f{k} = io.BytesIO()\ntorch.save({h}.detach(), f{k}) ~>+ pass\nf{k}.seek(0)\n{o} = torch.load(f{k}) ~>+ {o} = {h}"),
    Part("json", "{o} = torch.tensor(json.loads(json.dumps({h}.tolist()))) ~> {o} = {h} * 1.0"),
    Part("text", 's{k} = float(f"{{{h}.mean().item():.3f}}") ~> s{k} = {h}.mean()\n{o} = {g} * s{k}'),
    Part("deepcopy", "{o} = copy.deepcopy(self.m{k})({h}) ~> {o} = self.m{k}({h})", LINEAR),
    Part(
        "functional-detached",
        "w{k} = {{name: value.detach() for name, value in self.m{k}.named_parameters()}} ~> w{k} = dict(self.m{k}.named_parameters())\n"
        "{o} = torch.func.functional_call(self.m{k}, w{k}, ({h},))",
        LINEAR,
    ),
    Part(
        "inner-gradient",
        "t{k} = torch.ones(4, 6, requires_grad=True)\ny{k} = torch.tanh(self.m{k}(t{k})).sum()\n"
        "(d{k},) = torch.autograd.grad(y{k}, t{k}) ~> (d{k},) = torch.autograd.grad(y{k}, t{k}, create_graph=True)\n{o} = {h} + d{k}",
        "self.m{k} = nn.Linear(6, 6, bias=False)",
        takes="flat",
        nests=False,
    ),
    Part(
        "thread-no-grad",
        "box{k} = []\nrun(torch.no_grad()(lambda: box{k}.append(self.m{k}({h})))) ~>"
        " run(lambda: box{k}.append(self.m{k}({h})))\n{o} = box{k}[0]",
        LINEAR,
    ),
)

CUTTING_REGIONS = ("with torch.no_grad(): ~> if True:", "with torch.set_grad_enabled(False): ~> if True:")

LOSS_CUTS = (
    ("loss-item", "total = total + 0.1 * {extra}.item() ~> total = total + 0.1 * {extra}"),
    ("loss-float", "total = total + float({extra}) * 0.1 ~> total = total + {extra} * 0.1"),
    ("loss-tensor", "total = total + torch.tensor([{extra}, 1.0]).mean() ~> total = total + torch.stack([{extra}, torch.ones(())]).mean()"),
    ("loss-detach", "total = total + {extra}.detach() ~> total = total + {extra}"),
    ("loss-argmax", "total = total + ({value}.argmax(-1) == 1).float().mean() ~> total = total + {value}.mean()"),
)
