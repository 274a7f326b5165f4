"""What autoencoder and denoiser are shown in training."""

import numpy as np
import pytest
import torch

from spikeinterface_gen.models.tasks import AutoencoderTask, DenoiserTask
from spikeinterface_gen.observation.likelihood import poisson_nll

TRIALS, BINS, UNITS = 40, 31, 12


class Seen(torch.nn.Module):
    """Remembers what it was shown, and expects half a spike everywhere."""

    def forward(self, s, mask=None):
        self.shown = s
        return torch.full(s.shape, 0.5).log(), torch.zeros(*s.shape[:2], 2)


@pytest.mark.parametrize(("share", "run"), [(0.3, 1), (0.3, 6), (0.7, 6)])
def test_runs_of_a_unit_are_hidden_together(share, run):
    counts = torch.ones(TRIALS, BINS, UNITS, dtype=torch.uint8)
    network = Seen()
    task = AutoencoderTask(
        network,
        *(counts, None, counts, None, poisson_nll),
        name="autoencoder",
        dropout_range=(share, share),
        hidden_run=run,
        l2_penalty=0.0,
        smoothness_penalty=0.0,
        batch_size=TRIALS,
        seed=0,
    )
    loss = task.loss(torch.Generator().manual_seed(0))
    # One spike where half of one is expected.
    assert float(loss) == pytest.approx(0.5 - np.log(0.5), rel=1e-5)
    hidden = (network.shown == 0).numpy()
    np.testing.assert_allclose(network.shown[~torch.from_numpy(hidden)], 1 / (1 - share), rtol=1e-6)
    runs = TRIALS * UNITS * BINS / run
    assert abs(hidden.mean() - share) < 4 * np.sqrt(share * (1 - share) / runs)
    changes = hidden[:, 1:] != hidden[:, :-1]
    expected = 2 * share * (1 - share) / run
    assert abs(changes.mean() - expected) < 4 * np.sqrt(expected / changes.size)
    # A trial's runs change at every run-th bin only, from a bin on that differs between trials.
    phases = [set((np.flatnonzero(trial.any(axis=1)) + 1) % run) for trial in changes]
    assert all(len(phase) == 1 for phase in phases)
    assert len(set.union(*phases)) == run


class ShownWindows(torch.nn.Module):
    """Remembers what it was shown."""

    def loss(self, x, sigma, noise, mask, condition):
        assert noise.shape == x.shape
        self.shown, self.mask = x[..., 0], mask
        return x.mean(dim=(1, 2))


def shown_windows(num_bins, max_shift):
    """Of windows of so many valid bins, which hold the number of the bin, and of padding, which holds −1."""
    valid = torch.arange(BINS) < torch.as_tensor(num_bins)[:, None]
    latents = torch.where(valid, torch.arange(BINS), -1).float()[..., None]
    mask = None if valid.all() else valid.float()[..., None]
    network = ShownWindows()
    task = DenoiserTask(network, latents, mask, latents[:2], None, batch_size=400, seed=0, max_shift=max_shift)
    task.loss(torch.Generator().manual_seed(0))
    return network


def test_windows_begin_at_any_bin_of_the_first_few():
    shown = shown_windows(np.full(TRIALS, BINS), max_shift=5).shown
    assert shown.shape == (400, BINS - 5)
    assert (shown.diff(dim=1) == 1).all()
    first, number = shown[:, 0].unique(return_counts=True)
    assert first.tolist() == [0, 1, 2, 3, 4, 5]
    assert number.min() > 400 / 6 - 4 * np.sqrt(400 / 6)


def test_trials_are_shown_from_their_first_bin():
    assert (shown_windows(np.full(TRIALS, BINS), max_shift=0).shown == torch.arange(BINS)).all()


def test_windows_that_end_early_are_not_shifted_into_their_padding():
    network = shown_windows(np.resize([3, BINS - 2, BINS], TRIALS), max_shift=5)
    ends = network.shown.amax(dim=1)
    assert set(ends.tolist()) == {2.0, *range(BINS - 6, BINS)}
    assert torch.equal(network.mask[..., 0] > 0, network.shown >= 0)
    # Of those that end early, no more padding than there must be.
    assert set((network.shown < 0).sum(dim=1).tolist()) == {0, BINS - 5 - 3}
