"""What happens where memory does not suffice."""

import re
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from spikeinterface_gen import LDNS, SpikeCounts, devices
from spikeinterface_gen.devices import check_memory, in_halves
from spikeinterface_gen.models import ldns_fit
from spikeinterface_gen.models.latent_draws import bytes_to_draw


def doubled(limit, sizes):
    """Doubles batches of at most ``limit`` and adds a mask and the parts of a pair, where there are any."""

    def function(y, mask, pair):
        sizes.append(len(y))
        if len(y) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 2 * y + (0 if mask is None else mask) + (0 if pair is None else pair[0] - pair[1])

    return function


@pytest.mark.parametrize(("limit", "sizes"), [(7, [7]), (4, [7, 3, 4]), (1, [7, 3, 1, 2, 1, 1, 4, 2, 1, 1, 2, 1, 1])])
def test_batches_are_halved_until_they_fit(limit, sizes):
    y, mask = torch.arange(7.0), torch.arange(7.0) > 3
    pair = torch.arange(7.0) ** 2, torch.arange(7.0)
    for m, p in ((None, None), (mask, pair)):
        called = []
        torch.testing.assert_close(in_halves(doubled(limit, called), y, m, p), doubled(9, [])(y, m, p))
        assert called == sizes


def test_one_that_does_not_fit_is_a_clear_error():
    with pytest.raises(MemoryError, match="one trial is more than the memory of the GPU holds"):
        in_halves(doubled(0, []), torch.arange(3.0), None, None)


def test_what_does_not_fit_is_refused_with_its_size(monkeypatch):
    check_memory(2.0**20, "a few numbers", "")
    monkeypatch.setattr(devices.psutil, "virtual_memory", lambda: SimpleNamespace(available=2**30))
    with pytest.raises(MemoryError, match=r"^ten trials take about 3 GiB at once, and 1 GiB are free\. Draw fewer\.$"):
        check_memory(3 * 2.0**30, "ten trials", "Draw fewer.")


@pytest.fixture(scope="module")
def model():
    counts = SpikeCounts(np.random.default_rng(0).poisson(0.3, (20, 20, 8)), 10.0, trial_locked=False)
    return LDNS(channels=16, denoiser_channels=16, num_blocks=1, denoiser_blocks=1).fit(
        counts, num_steps=2, progress=False
    )


def test_durations_beyond_memory_say_how_much_and_offer_blocks(model):
    # A year.
    message = (
        r"1 trials of up to 3153600000 bins of 8 units take about \S+ GiB at once, .*a session block by block: run\(\)"
    )
    with pytest.raises(MemoryError, match=message):
        model.sample(1, durations=365 * 24 * 3600.0, seed=0)


def test_the_estimate_is_of_the_right_size(model):
    # numpy's share of it alone: rates and counts of 64 trials of 20 s.
    tracemalloc.start()
    model.sample(64, durations=20.0, seed=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.5 * peak < bytes_to_draw(model.networks_, np.full(64, 2000)) < 6 * peak


def test_a_fit_that_does_not_fit_the_gpu_says_what_to_change(monkeypatch):
    def full(*args):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(ldns_fit.AutoencoderTask, "loss", full)
    counts = SpikeCounts(np.random.default_rng(0).poisson(0.3, (20, 20, 8)), 10.0)
    expected = "stage 'autoencoder' does not fit the memory of the GPU: fewer channels=, shorter trials"
    with pytest.raises(MemoryError, match=re.escape(expected)):
        LDNS(channels=16, denoiser_channels=16).fit(counts, num_steps=2, progress=False)
