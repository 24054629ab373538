#!/usr/bin/env python3
"""Writes mlp.txt: what PyTorch computes for small networks, which tests/unit compares with Rondo's own.

Run it again (Debian: apt-get install python3-torch) with:  /usr/bin/python3 make_mlp.py > mlp.txt

Networks are 7-5-4-3 on a batch of 6. Inputs and initial parameters are float32 numbers, the arithmetic is float64,
so the values are right to all digits printed. Parameters stand in PyTorch's order: fc1.weight, fc1.bias, ...

One line per array: its name, the number of values, the values. A line "case NAME ACTIVATION LOSS" starts a network:
  x, labels or targets   the batch                     outputs, loss, correct   of the forward pass
  parameters             initial                       gradient                 of the mean loss
  after-MOMENTUM-WEIGHT_DECAY   parameters after 3 steps of torch.optim.SGD, learning rate 0.1, on that batch
"""
import torch
from torch.nn import functional

ACTIVATIONS = {"none": lambda y: y, "relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}
CASES = [("relu", "softmax_cross_entropy"), ("tanh", "softmax_cross_entropy"),
         ("relu", "mse"), ("sigmoid", "mse")]
OPTIMIZERS = [(0.0, 0.0), (0.9, 0.0), (0.0, 0.05), (0.9, 0.05)]
SIZES, BATCH, RATE, STEPS = [7, 5, 4, 3], 6, 0.1, 3


def show(name, values):
    values = values.detach().flatten().tolist()
    print(name, len(values), *(f"{v:.10g}" for v in values))


def flat(tensors):
    return torch.cat([t.flatten() for t in tensors])


def main():
    torch.manual_seed(1)
    for activation, loss_name in CASES:
        print("case", f"{loss_name}-{activation}", activation, loss_name)
        x = torch.randn(BATCH, SIZES[0]).double()
        labels = torch.randint(SIZES[-1], (BATCH,))
        targets = torch.randn(BATCH, SIZES[-1]).double()
        initial = []
        for inputs, outputs in zip(SIZES, SIZES[1:]):
            initial += [torch.randn(outputs, inputs).double() * 0.6, torch.randn(outputs).double() * 0.2]
        initial = [t.float().double() for t in initial]

        def forward(p):
            y = ACTIVATIONS[activation](functional.linear(x, p[0], p[1]))
            y = ACTIVATIONS[activation](functional.linear(y, p[2], p[3]))
            return functional.linear(y, p[4], p[5])

        def loss_of(y):
            return functional.mse_loss(y, targets) if loss_name == "mse" else functional.cross_entropy(y, labels)

        show("x", x)
        if loss_name == "mse":
            show("targets", targets)
        else:
            show("labels", labels)
        show("parameters", flat(initial))
        parameters = [t.clone().requires_grad_() for t in initial]
        y = forward(parameters)
        loss = loss_of(y)
        loss.backward()
        show("outputs", y)
        show("loss", loss)
        if loss_name != "mse":
            show("correct", (y.argmax(1) == labels).sum())
        show("gradient", flat(p.grad for p in parameters))

        for momentum, decay in OPTIMIZERS:
            parameters = [t.clone().requires_grad_() for t in initial]
            optimizer = torch.optim.SGD(parameters, lr=RATE, momentum=momentum, weight_decay=decay)
            for _ in range(STEPS):
                optimizer.zero_grad()
                loss_of(forward(parameters)).backward()
                optimizer.step()
            show(f"after-{momentum}-{decay}", flat(parameters))


main()
