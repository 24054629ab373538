#!/usr/bin/env python3
"""Writes families.txt: what PyTorch computes for a small model of each family, which tests/unit/test_families.c compares
with Rondo's own. The names of the parameters are those of PyTorch's state_dict: the modules below show which.

Run it again (Debian: apt-get install python3-torch) with:  /usr/bin/python3 make_families.py > families.txt

Inputs and initial parameters are float32 numbers, the arithmetic is float64, so the values are right to all digits
printed. One line per array: a word, for parameters the name, the number of values, the values:
  case NAME, model JSON    the model as Rondo reads it
  x, labels or targets     the batch
  initial NAME             each parameter and statistic
  outputs, loss            of the forward pass, as in use (batch norm by its running statistics)
  gradient NAME            of the mean loss, as in training
  plain NAME, momentum NAME   after 3 steps of SGD on that batch, learning rate 0.05, momentum 0 and 0.9
"""
import copy
import json

import torch
from torch import nn
from torch.nn import functional

BATCH, RATE, STEPS = 4, 0.05, 3


def dense(units, **more):
    return {"type": "dense", "units": units, **more}


class Sequence(nn.Module):
    """Calls its named parts one after another; a part may be a plain function."""

    def __init__(self, **parts):
        super().__init__()
        self.order = list(parts.values())
        for name, part in parts.items():
            if isinstance(part, nn.Module):
                self.add_module(name, part)

    def forward(self, x):
        for part in self.order:
            x = part(x)
        return x


class First(nn.Module):
    """A recurrent module without the state that it also returns."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)[0]


class Residual(nn.Module):
    def __init__(self, activation, shortcut=None, **parts):
        super().__init__()
        self.parts = list(parts.values())
        for name, part in parts.items():
            if isinstance(part, nn.Module):
                self.add_module(name, part)
        self.activation = activation
        if shortcut is not None:
            self.add_module(f"conv{1 + sum(isinstance(p, nn.Conv2d) for p in self.parts)}", shortcut)
        self.shortcut_of = [shortcut]

    def forward(self, x):
        y = x
        for part in self.parts:
            y = part(y)
        side = x if self.shortcut_of[0] is None else self.shortcut_of[0](x)
        return self.activation(y + side)


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.weight * x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5)


class Position(nn.Module):
    def __init__(self, length, width):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(length, width))

    def forward(self, x):
        return x + self.weight


def sinusoid(x):
    length, width = x.shape[1:]
    t = torch.arange(length).double()[:, None]
    e = torch.arange(width)
    angle = t / 10000 ** ((e - e % 2).double() / width)
    return x + torch.where(e % 2 == 0, torch.sin(angle), torch.cos(angle))


class Attention(nn.MultiheadAttention):
    """PyTorch's own, causal."""

    def forward(self, x):
        mask = torch.full((x.shape[1], x.shape[1]), -torch.inf, dtype=x.dtype).triu(1)
        return super().forward(x, x, x, attn_mask=mask, need_weights=False)[0]


class RotaryAttention(nn.Module):
    """Su et al. 2021, on the parameters of MultiheadAttention."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.zeros(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        size = width // self.heads
        q, k, v = functional.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
        q, k, v = (y.view(batch, length, self.heads, size).transpose(1, 2) for y in (q, k, v))
        angle = torch.arange(length).double()[:, None] / 10000 ** (torch.arange(size // 2).double() * 2 / size)
        c, s = torch.cos(angle), torch.sin(angle)

        def turn(y):
            a, b = y.chunk(2, -1)
            return torch.cat([a * c - b * s, b * c + a * s], -1)

        score = turn(q) @ turn(k).transpose(-1, -2) / size ** 0.5
        score = score + torch.full((length, length), -torch.inf).double().triu(1)
        return self.out_proj((score.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, width))


class Experts(nn.Module):
    """Every position asks its top_k experts; the balance of Fedus et al. 2021 is left in .extra."""

    def __init__(self, width, units, experts, top_k, balance):
        super().__init__()
        self.top_k, self.balance = top_k, balance
        self.gate = nn.Linear(width, experts, bias=False)
        self.w1, self.b1 = nn.Parameter(torch.zeros(experts, units, width)), nn.Parameter(torch.zeros(experts, units))
        self.w2, self.b2 = nn.Parameter(torch.zeros(experts, width, units)), nn.Parameter(torch.zeros(experts, width))

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])
        logits = self.gate(flat)
        top, chosen = logits.topk(self.top_k, -1)
        share = torch.zeros_like(logits).scatter(-1, chosen, top.softmax(-1))
        hidden = functional.gelu(torch.einsum("re,nfe->rnf", flat, self.w1) + self.b1)
        out = torch.einsum("rnf,nef->rne", hidden, self.w2) + self.b2
        fraction = torch.zeros_like(logits).scatter(-1, chosen, 1.0).sum(0) / chosen.numel()
        self.extra = self.balance * logits.shape[1] * (fraction * logits.softmax(-1).mean(0)).sum()
        return (share[:, :, None] * out).sum(1).view(x.shape)


class Block(nn.Module):
    def __init__(self, width, units, attention, norm, feed_forward=None):
        super().__init__()
        self.norm1, self.attn, self.norm2 = norm(width), attention, norm(width)
        if feed_forward is None:
            self.fc1, self.fc2 = nn.Linear(width, units), nn.Linear(units, width)
        else:
            self.moe = feed_forward

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        if hasattr(self, "moe"):
            return x + self.moe(self.norm2(x))
        return x + self.fc2(functional.gelu(self.fc1(self.norm2(x))))


class Tied(nn.Module):
    def __init__(self, embedding):
        super().__init__()
        self.table = [embedding]

    def forward(self, x):
        return functional.linear(x, self.table[0].weight)


class LowRank(nn.Linear):
    """W frozen, plus alpha / rank B A (Hu et al. 2021)."""

    def __init__(self, inputs, outputs, rank, alpha):
        super().__init__(inputs, outputs)
        self.weight.requires_grad = False
        self.lora_A, self.lora_B = nn.Linear(inputs, rank, bias=False), nn.Linear(rank, outputs, bias=False)
        self.scaling = alpha / rank

    def forward(self, x):
        return super().forward(x) + self.scaling * self.lora_B(self.lora_A(x))


def flatten(x):
    return x.flatten(1)


def hinge(y, labels, power):
    sign = 2.0 * labels - 1 if y.shape[-1] == 1 else 2.0 * functional.one_hot(labels, y.shape[-1]) - 1
    return ((1 - sign.view(y.shape) * y).clamp(min=0) ** power).sum(-1).mean()


LOSSES = {
    "softmax_cross_entropy": lambda y, t: functional.cross_entropy(y.reshape(-1, y.shape[-1]), t.reshape(-1), ignore_index=-1),
    "smoothed": lambda y, t: functional.cross_entropy(y, t, label_smoothing=0.1),
    "binary_cross_entropy": lambda y, t: functional.binary_cross_entropy_with_logits(y[:, 0], t.double()),
    "hinge": lambda y, t: hinge(y, t, 1),
    "squared_hinge": lambda y, t: hinge(y, t, 2),
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "huber": lambda y, t: functional.huber_loss(y, t, delta=0.5),
}
SPELT = {"smoothed": {"type": "softmax_cross_entropy", "label_smoothing": 0.1}, "huber": {"type": "huber", "delta": 0.5}}


def cases():
    yield "linear", 6, "mse", 2, [dense(2)], lambda: Sequence(fc1=nn.Linear(6, 2))
    yield "logistic", 6, "binary_cross_entropy", 1, [dense(1)], lambda: Sequence(fc1=nn.Linear(6, 1))
    yield "svm", 6, "hinge", 1, [dense(1)], lambda: Sequence(fc1=nn.Linear(6, 1))
    yield "svm-squared", 6, "squared_hinge", 3, [dense(3)], lambda: Sequence(fc1=nn.Linear(6, 3))
    yield "mae", 6, "mae", 2, [dense(2)], lambda: Sequence(fc1=nn.Linear(6, 2))
    for name, function in [("leaky_relu", functional.leaky_relu), ("gelu", functional.gelu), ("silu", functional.silu)]:
        yield f"mlp-{name}", 6, "smoothed", 3, [dense(5, activation=name), dense(3)], lambda f=function: Sequence(
            fc1=nn.Linear(6, 5), f=f, fc2=nn.Linear(5, 3))
    yield "mlp-norms", 6, "huber", 2, [dense(5), {"type": "batch_norm", "activation": "relu"}, dense(4), {"type": "layer_norm"},
                                       dense(4, activation="tanh"), {"type": "rms_norm"}, dense(2)], lambda: Sequence(
        fc1=nn.Linear(6, 5), bn1=nn.BatchNorm1d(5), a=torch.relu, fc2=nn.Linear(5, 4), ln1=nn.LayerNorm(4), fc3=nn.Linear(4, 4),
        b=torch.tanh, rms1=RMSNorm(4), fc4=nn.Linear(4, 2))
    yield "lenet", [1, 12, 12], "softmax_cross_entropy", 3, [
        {"type": "conv2d", "channels": 3, "kernel": 5, "padding": 2, "activation": "tanh"}, {"type": "average_pool", "kernel": 2},
        {"type": "conv2d", "channels": 4, "kernel": 3, "activation": "tanh"}, {"type": "max_pool", "kernel": 2}, {"type": "flatten"},
        dense(3)], lambda: Sequence(
        conv1=nn.Conv2d(1, 3, 5, padding=2), a=torch.tanh, b=nn.AvgPool2d(2), conv2=nn.Conv2d(3, 4, 3), c=torch.tanh,
        d=nn.MaxPool2d(2), e=flatten, fc1=nn.Linear(16, 3))
    yield "conv-stride-groups", [4, 7, 6], "mse", 2, [
        {"type": "conv2d", "channels": 6, "kernel": [3, 2], "stride": [2, 1], "padding": [1, 0], "groups": 2, "activation": "relu"},
        {"type": "group_norm", "groups": 3}, {"type": "max_pool", "kernel": 3, "stride": 2, "padding": 1},
        {"type": "conv2d", "channels": 6, "kernel": 2, "groups": 6, "bias": False}, {"type": "global_average_pool"}, dense(2)], lambda: Sequence(
        conv1=nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), groups=2), a=torch.relu, gn1=nn.GroupNorm(3, 6), b=nn.MaxPool2d(3, 2, 1),
        conv2=nn.Conv2d(6, 6, 2, groups=6, bias=False), c=lambda x: x.mean((2, 3)), fc1=nn.Linear(6, 2))
    plain = {"type": "residual", "activation": "relu", "layers": [
        {"type": "conv2d", "channels": 3, "kernel": 3, "padding": 1}, {"type": "batch_norm", "activation": "relu"},
        {"type": "conv2d", "channels": 3, "kernel": 3, "padding": 1}, {"type": "batch_norm"}]}
    down = {"type": "residual", "activation": "relu", "layers": [
        {"type": "conv2d", "channels": 4, "kernel": 3, "stride": 2, "padding": 1}, {"type": "batch_norm", "activation": "relu"},
        {"type": "conv2d", "channels": 4, "kernel": 3, "padding": 1}], "shortcut": [{"type": "conv2d", "channels": 4, "kernel": 1, "stride": 2}]}
    yield "resnet", [3, 8, 8], "softmax_cross_entropy", 3, [plain, down, {"type": "global_average_pool"}, dense(3)], lambda: Sequence(
        residual1=Residual(torch.relu, conv1=nn.Conv2d(3, 3, 3, padding=1), bn1=nn.BatchNorm2d(3), a=torch.relu,
                           conv2=nn.Conv2d(3, 3, 3, padding=1), bn2=nn.BatchNorm2d(3)),
        residual2=Residual(torch.relu, nn.Conv2d(3, 4, 1, 2), conv1=nn.Conv2d(3, 4, 3, 2, 1), bn1=nn.BatchNorm2d(4), a=torch.relu,
                           conv2=nn.Conv2d(4, 4, 3, padding=1)),
        b=lambda x: x.mean((2, 3)), fc1=nn.Linear(4, 3))
    tokens = {"tokens": 6, "vocabulary": 9}
    for name, module in [("rnn", nn.RNN), ("gru", nn.GRU), ("lstm", nn.LSTM)]:
        layers = [{"type": "embedding", "units": 4}, {"type": name, "units": 5}, {"type": name, "units": 3}]
        yield name, tokens, "softmax_cross_entropy", 9, layers + [dense(9)], lambda m=module, n=name: Sequence(
            **{"embedding1": nn.Embedding(9, 4), f"{n}1": First(m(4, 5, batch_first=True)),
               f"{n}2": First(m(5, 3, batch_first=True)), "fc1": nn.Linear(3, 9)})
    yield "lstm-last", tokens, "softmax_cross_entropy", 9, layers + [{"type": "last"}, dense(9)], lambda: Sequence(
        embedding1=nn.Embedding(9, 4), lstm1=First(nn.LSTM(4, 5, batch_first=True)), lstm2=First(nn.LSTM(5, 3, batch_first=True)),
        a=lambda x: x[:, -1], fc1=nn.Linear(3, 9))
    block = {"type": "transformer", "heads": 2, "units": 7}

    def transformer():
        table = nn.Embedding(9, 4)
        return Sequence(embedding1=table, position1=Position(6, 4), block1=Block(4, 7, Attention(4, 2, batch_first=True), nn.LayerNorm),
                        block2=Block(4, 7, Attention(4, 2, batch_first=True), nn.LayerNorm), ln1=nn.LayerNorm(4), a=Tied(table))

    yield "transformer", tokens, "softmax_cross_entropy", 9, [{"type": "embedding", "units": 4}, {"type": "position"}, block, block,
                                                               {"type": "layer_norm"}, {"type": "tied_output"}], transformer
    rotary = {"type": "transformer", "heads": 2, "units": 7, "norm": "rms_norm", "rotary": True}
    yield "transformer-rotary", tokens, "softmax_cross_entropy", 9, [{"type": "embedding", "units": 8}, {"type": "sinusoid"}, rotary, dense(9)], lambda: Sequence(
        embedding1=nn.Embedding(9, 8), a=sinusoid, block1=Block(8, 7, RotaryAttention(8, 2), RMSNorm), fc1=nn.Linear(8, 9))
    experts = {"type": "transformer", "heads": 2, "units": 5, "experts": 4, "top_k": 2, "balance": 0.3}
    yield "experts", tokens, "softmax_cross_entropy", 9, [{"type": "embedding", "units": 4}, experts, dense(9)], lambda: Sequence(
        embedding1=nn.Embedding(9, 4), block1=Block(4, 5, Attention(4, 2, batch_first=True), nn.LayerNorm, Experts(4, 5, 4, 2, 0.3)),
        fc1=nn.Linear(4, 9))
    yield "lora", 6, "softmax_cross_entropy", 3, [dense(5, activation="relu"), dense(3)], lambda: Sequence(
        fc1=LowRank(6, 5, 2, 3), a=torch.relu, fc2=nn.Linear(5, 3)), {"freeze": ["fc1.bias"], "lora": {"rank": 2, "alpha": 3, "targets": ["fc1.weight"]}}


def show(word, values, name=None):
    values = values.detach().flatten().tolist()
    print(word, *([name] if name else []), len(values), *(f"{v:.10g}" for v in values))


def names(model):
    """Parameters and statistics by Rondo's name: First's inner module is no level of its own."""
    return {k.replace(".inner.", "."): v for k, v in model.state_dict(keep_vars=True).items() if "num_batches" not in k}


def batch(shape, loss, outputs, per_position):
    if isinstance(shape, dict):
        x = torch.randint(shape["vocabulary"], (BATCH, shape["tokens"]))
        labels = torch.randint(outputs, (BATCH, shape["tokens"]) if per_position else (BATCH,))
        if per_position:
            labels[0, -2:] = -1
        return x, labels
    size = [shape] if isinstance(shape, int) else shape
    x = torch.randn(BATCH, *size).double()
    if loss in ("mse", "mae", "huber"):
        return x, torch.randn(BATCH, outputs).float().double()
    return x, torch.randint(max(outputs, 2), (BATCH,))


def main():
    torch.manual_seed(1)
    for name, shape, loss, outputs, layers, make, *fine_tuning in cases():
        model = make()
        for key, value in names(model).items():
            with torch.no_grad():
                value.copy_(torch.rand_like(value) + 0.5 if "running_var" in key else torch.randn_like(value) * 0.5)
        model = model.double()
        described = {"input": shape, "loss": SPELT.get(loss, loss), "layers": layers}
        if fine_tuning:
            described["fine_tuning"] = fine_tuning[0]
            model.fc1.bias.requires_grad = False
        x, wanted = batch(shape, loss, outputs, not any(layer["type"] == "last" for layer in layers))
        x = x if x.dtype == torch.int64 else x.float().double()
        print("case", name)
        print("model", json.dumps(described))
        show("x", x)
        show("targets" if wanted.dtype == torch.float64 else "labels", wanted)
        for key, value in names(model).items():
            show("initial", value, key)
        model.eval()
        y = model(x)
        show("outputs", y)
        show("loss", LOSSES[loss](y, wanted))
        model.train()

        def gradient(m):
            m.zero_grad()
            total = LOSSES[loss](m(x), wanted)
            for part in m.modules():
                total = total + (part.extra if isinstance(part, Experts) else 0)
            total.backward()

        start = copy.deepcopy(model.state_dict())
        gradient(model)
        for key, value in names(model).items():
            if value.requires_grad:
                show("gradient", value.grad, key)
        for word, momentum in (("plain", 0.0), ("momentum", 0.9)):
            model.load_state_dict(start)
            steps = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=RATE, momentum=momentum)
            for _ in range(STEPS):
                gradient(model)
                steps.step()
            for key, value in names(model).items():
                show(word, value, key)


if __name__ == "__main__":
    main()
