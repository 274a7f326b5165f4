import numpy as np
import pytest
import torch

from spikeinterface_gen.models.tasks import AutoencoderTask
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
