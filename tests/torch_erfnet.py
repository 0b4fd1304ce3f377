"""ERFNet in PyTorch, as the paper and the published figures have it, against which ours is measured.

Written for these tests from Romera et al., "ERFNet" (IEEE T-ITS 2018), table I, and what is known of its published
form: BatchNorm eps 1e-3, 2-D dropout with 0.03 and 0.3 before each residual sum, transposed convolutions with
output_padding 1. Its state dict has the names of the published checkpoints.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from erfnet_jobs.jobs import ENCODER, ERFNET

CLASSES = 20


class Down(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs - inputs, 3, stride=2, padding=1)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x):
        pooled = functional.max_pool2d(x, 2)
        return functional.relu(self.bn(torch.cat((self.conv(x), pooled), dim=1)))


class Up(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x):
        return functional.relu(self.bn(self.conv(x)))


class NonBottleneck1D(nn.Module):
    def __init__(self, channels, dilation=1, dropout=0.0):
        super().__init__()
        far = dilation
        self.conv3x1_1 = nn.Conv2d(channels, channels, (3, 1), padding=(1, 0))
        self.conv1x3_1 = nn.Conv2d(channels, channels, (1, 3), padding=(0, 1))
        self.bn1 = nn.BatchNorm2d(channels, eps=1e-3)
        self.conv3x1_2 = nn.Conv2d(channels, channels, (3, 1), padding=(far, 0), dilation=(far, 1))
        self.conv1x3_2 = nn.Conv2d(channels, channels, (1, 3), padding=(0, far), dilation=(1, far))
        self.bn2 = nn.BatchNorm2d(channels, eps=1e-3)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x):
        near = functional.relu(self.bn1(self.conv1x3_1(functional.relu(self.conv3x1_1(x)))))
        wide = self.bn2(self.conv1x3_2(functional.relu(self.conv3x1_2(near))))
        return functional.relu(x + self.dropout(wide))


class TorchEncoder(nn.Module):
    """To 1/8, with its head, which the whole network passes by."""

    def __init__(self):
        super().__init__()
        self.initial_block = Down(3, 16)
        shallow = [NonBottleneck1D(64, dropout=0.03) for _ in range(5)]
        deep = [NonBottleneck1D(128, dilation, dropout=0.3) for _ in range(2) for dilation in (2, 4, 8, 16)]
        self.layers = nn.Sequential(Down(16, 64), *shallow, Down(64, 128), *deep)
        self.output_conv = nn.Conv2d(128, CLASSES, 1)

    def forward(self, x):
        return self.layers(self.initial_block(x))


class TorchDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            Up(128, 64),
            *(NonBottleneck1D(64) for _ in range(2)),
            Up(64, 16),
            *(NonBottleneck1D(16) for _ in range(2)),
        )
        self.output_conv = nn.ConvTranspose2d(16, CLASSES, 2, stride=2)

    def forward(self, x):
        return self.output_conv(self.layers(x))


class TorchERFNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = TorchEncoder()
        self.decoder = TorchDecoder()

    def logits(self, name, x):
        """Of the whole network at full resolution, or of the encoder at 1/8."""
        features = self.encoder(x)
        return self.decoder(features) if name == ERFNET else self.encoder.output_conv(features)

    def head(self, name):
        """The last convolution, which makes the logits."""
        return {ERFNET: self.decoder, ENCODER: self.encoder}[name].output_conv


def random_erfnet(seed=0):
    """Random weights, and BatchNorm's scales, shifts and statistics random too, so that none of them can hide."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = TorchERFNet()
        for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.3)
            norm.running_mean.normal_(std=0.3)
            norm.running_var.uniform_(0.5, 2.0)
            norm.num_batches_tracked.fill_(7)
    return network


def away_from_kinks(network, name, images, seed=0, distance=8.0):
    """Biases and shifts such that on `images` no ReLU stands near 0, half of those within blocks on, the others off.

    Where one does, rounding decides whether a gradient passes, and PyTorch's own float32 and float64 gradients of a
    random ERFNet differ by percents; here by 1e-5, so that a comparison says something. `distance` counts standard
    deviations of a channel.
    """
    chance = torch.Generator().manual_seed(seed)

    def sides(channels):
        return torch.where(torch.rand(channels, generator=chance) < 0.5, -1.0, 1.0)

    def shift(convolution, _inputs, output):
        spread, mean = torch.std_mean(output, dim=(0, 2, 3))
        offset = distance * spread * sides(len(mean)) - mean
        convolution.bias.data += offset
        return output + offset[:, None, None]

    hooks = []
    for path, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            side = sides(len(module.bias)) if path.endswith("bn1") else 1.0
            module.weight.data.uniform_(0.3, 0.6, generator=chance)
            module.bias.data.uniform_(3.0, 4.0, generator=chance).mul_(side)
        elif "conv3x1" in path:
            hooks.append(module.register_forward_hook(shift))
    with torch.no_grad():
        without_dropout(network).logits(name, torch.from_numpy(images))
    for hook in hooks:
        hook.remove()
    return network


def with_close_classes(network, name, images):
    """The head's biases such that on `images` the classes' mean logits are equal, and no class wins everywhere."""
    with torch.no_grad():
        network.head(name).bias -= network.eval().logits(name, torch.from_numpy(images)).mean(dim=(0, 2, 3))
    return network


def without_dropout(network):
    """The network in training mode, its dropout taken out."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.Dropout2d):
            module.p = 0.0
    return network


def torch_loss(network, name, images, labels, weights):
    """The published training loss: NLL weighted by class, the mean by weight; images and labels are NumPy arrays."""
    precision = next(network.parameters()).dtype
    logits = network.logits(name, torch.from_numpy(images).to(precision))
    target = torch.from_numpy(labels.astype(np.int64))
    log_probabilities = functional.log_softmax(logits, dim=1)
    return functional.nll_loss(log_probabilities, target, weight=torch.tensor(weights, dtype=precision))
