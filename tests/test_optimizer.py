import pytest
import torch
from torch import nn

from spikeinterface_gen.nn.blocks import Block
from spikeinterface_gen.optimizer import DYNAMICS_SHARE, DenseMuon


def after_a_step(network: nn.Module, gradients: dict[str, torch.Tensor], rate: float, decay: float):
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    for name, p in network.named_parameters():
        p.grad = gradients[name].clone()
    optimizer = DenseMuon(network, rate, decay)
    optimizer.step()
    return {name: p.detach() - before[name] for name, p in network.named_parameters()}, before


@pytest.fixture
def block() -> Block:
    torch.manual_seed(0)
    return Block(32, bidirectional=True, embedding_size=16)


def test_dense_layers_move_along_all_directions_of_their_gradient_alike(block):
    """Singular vectors of the gradient, singular values of one size: 0.2 η √max(m, n), to within Newton–Schulz."""
    gradients = {name: torch.randn_like(p) for name, p in block.named_parameters()}
    moved, before = after_a_step(block, gradients, rate=0.01, decay=0.0)
    for name, module in block.named_modules():
        if not isinstance(module, nn.Linear):
            continue
        name = f"{name}.weight"
        U, _, Vh = torch.linalg.svd(gradients[name], full_matrices=False)
        along = -torch.linalg.diagonal(U.T @ moved[name] @ Vh.T) / (0.01 * 0.2 * max(before[name].shape) ** 0.5)
        assert along.min() > 0.5
        assert along.max() < 1.3
        assert abs(along.mean() - 0.9) < 0.15


def test_everything_else_moves_as_with_adamw(block):
    gradients = {name: torch.randn_like(p) for name, p in block.named_parameters()}
    moved, before = after_a_step(block, gradients, rate=0.01, decay=0.1)
    for name, (rate, decay) in {
        "mix_bins.log_step": (0.01 * DYNAMICS_SHARE, 0.0),
        "mix_bins.D": (0.01, 0.0),
        "mix_bins.C": (0.01, 0.1),
        "gate_bins.bias": (0.01, 0.0),
    }.items():
        alone = nn.Parameter(before[name].clone())
        alone.grad = gradients[name]
        torch.optim.AdamW([alone], lr=rate, betas=(0.9, 0.98), weight_decay=decay).step()
        assert torch.allclose(moved[name], alone.detach() - before[name], atol=1e-6)


def test_set_rate_gives_each_group_its_share(block):
    optimizer = DenseMuon(block, 0.01, 0.1)
    optimizer.set_rate(0.5)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates[id(block.mix_bins.log_step)] == pytest.approx(0.5 * DYNAMICS_SHARE)
    assert rates[id(block.gate_bins.weight)] == 0.5
    assert sorted(rates) == sorted(id(p) for p in block.parameters())
