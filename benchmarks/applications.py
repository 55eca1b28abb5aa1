"""Inference of VGG16, ResNet50 and MobileNetV2: batches of 8 pictures of 224×224, float32.

PyTorch runs the same network eagerly, layer by layer with its own functions: the calls of nnx's network are
translated, so architecture and weights are nnx's, and the outputs are compared before anything is timed.
Its memory layout is the faster of its two (channels first, channels last), found out in each process.
"""

from __future__ import annotations

from functools import partial

import _turns
import numpy as np

NETWORKS = {"VGG16": 3, "ResNet50": 7, "MobileNetV2": 20}  # and how often a turn repeats the batch
BATCH, SIZE = 8, 224


def built(name):
    import nnx

    return getattr(nnx.applications, name)(weights=None, seed=0)


def pictures():
    return np.random.default_rng(0).uniform(-1.0, 1.0, (BATCH, SIZE, SIZE, 3)).astype("float32")


def nnx_predict(name):
    model, x = built(name), pictures()
    return _turns.median_time(lambda: model.predict_on_batch(x), NETWORKS[name], warmup=2)


def torch_eager(name):
    import torch

    model, x = built(name), pictures()
    network, expected = model.network, model.predict(x[:2])
    last = {r: k for k, call in enumerate(network.calls) for r in call.reads}
    times = []
    with torch.inference_mode():
        for layout in (torch.contiguous_format, torch.channels_last):
            steps = [translated(layer, layout) for layer in network.layers]

            def forward(pictures, steps=steps):
                values = [pictures]
                for k, call in enumerate(network.calls):
                    values.append(steps[call.layer](*(values[r] for r in call.reads)))
                    for r in call.reads:  # let go after its last use, as a module's forward does
                        values[r] = None if last[r] == k else values[r]
                return values[network.outputs[0]]

            given = torch.tensor(x).permute(0, 3, 1, 2).contiguous(memory_format=layout)
            np.testing.assert_allclose(
                forward(given[:2]).numpy(), expected, atol=1e-4 * np.abs(expected).max()
            )
            times.append(_turns.median_time(lambda: forward(given), NETWORKS[name], warmup=2))  # noqa: B023
    return min(times)


def translated(layer, layout):
    """A layer as a function of PyTorch's tensors, channels first in their shape."""
    import torch
    from torch.nn import functional as F  # noqa: N812

    kind, w = type(layer).__name__, [torch.tensor(array) for array in layer.get_weights()]
    if kind in ("Conv2D", "DepthwiseConv2D"):
        each = kind == "DepthwiseConv2D"
        kernel = w[0].permute((2, 3, 0, 1) if each else (3, 2, 0, 1)).contiguous(memory_format=layout)
        bias, groups = (w[1] if len(w) > 1 else None), (kernel.shape[0] if each else 1)
        strides, active = layer.strides, getattr(layer.activation, "name", "linear") == "relu"

        def convolve(x):
            padding, size = 0, kernel.shape[-1]
            if layer.padding == "same":  # on even sizes with stride 2 the odd zero stands at the end
                both = max((-(-x.shape[2] // strides[0]) - 1) * strides[0] + size - x.shape[2], 0)
                if both % 2:
                    x = F.pad(x, (both // 2, both - both // 2) * 2)
                else:
                    padding = both // 2
            y = F.conv2d(x, kernel, bias, strides, padding, groups=groups)
            return F.relu_(y) if active else y

        return convolve
    if kind == "BatchNormalization":
        gamma, beta, mean, variance = w
        return lambda x: F.batch_norm(x, mean, variance, gamma, beta, False, 0.0, layer.epsilon)
    if kind == "Dense":
        kernel, name = w[0].T.contiguous(), layer.activation.name
        last = {"relu": F.relu_, "softmax": partial(torch.softmax, dim=-1)}[name]
        return lambda x: last(F.linear(x, kernel, w[1]))
    if kind == "ZeroPadding2D":
        (top, bottom), (left, right) = layer.padding
        return lambda x: F.pad(x, (left, right, top, bottom))
    return {
        "Activation": F.relu,
        "ReLU": lambda x: torch.clamp(x, 0.0, 6.0),
        "Add": torch.add,
        "MaxPooling2D": lambda x: F.max_pool2d(x, layer.pool_size, layer.strides),
        "GlobalAveragePooling2D": lambda x: x.mean((2, 3)),
        "Flatten": lambda x: x.permute(0, 2, 3, 1).flatten(1),
    }[kind]


CONTENDERS = {
    f"{name} {who}": partial(run, name)
    for name in NETWORKS
    for who, run in (("in PyTorch", torch_eager), ("in nnx", nnx_predict))
}

if __name__ == "__main__":
    title = "Inference of a batch of 8"
    results, missing = _turns.in_turns(__file__, CONTENDERS, title, turns=3)
    print(_turns.blas())
    for name in NETWORKS:
        own = {contender: times for contender, times in results.items() if contender.startswith(f"{name} ")}
        if own:
            _turns.table(f"{title}: {name}", own, missing, "ms")
