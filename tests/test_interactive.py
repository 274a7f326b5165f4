"""The figure of a generated trial, and the sliders that redraw it, moved as a browser would move them."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.image import imread

from spikeinterface_gen import SpikeCounts, plot_generated
from spikeinterface_gen.models import ldns_sampling
from spikeinterface_gen.models.latent_draws import sample_latents
from spikeinterface_gen.models.psth import PSTHPoisson


@pytest.fixture(scope="module")
def widget(model_of_windows):
    return plot_generated(model_of_windows, duration_s=1.0, display=False)


def _picture(widget):
    return imread(io.BytesIO(widget.widget.children[-1].value))


def _dots(axes):
    return sum(len(line.get_xdata()) for line in axes.get_lines())


def test_the_figure_shows_latents_rates_and_every_spike(model_of_windows):
    shown = plot_generated(model_of_windows, seed=4, duration_s=1.5, backend="matplotlib")
    latents, rates, raster = shown.figure.axes[:3]
    assert len(latents.get_lines()) == 2
    expected = model_of_windows.sample_rates(1, durations=1.5, covariates={}, seed=4)[0]
    order = np.argsort(-shown.counts.rates_hz, kind="stable")
    np.testing.assert_allclose(np.asarray(rates.collections[0].get_array()), expected[:, order].T)
    assert _dots(raster) == shown.counts.counts.sum()
    assert shown.counts == model_of_windows.sample(1, durations=1.5, covariates={}, seed=4)
    assert "LDNS, seed 4" in raster.get_title(loc="left")


def test_latents_are_sampled_once_for_a_figure(model_of_windows, monkeypatch):
    calls = []
    monkeypatch.setattr(ldns_sampling, "sample_latents", lambda *a, **k: calls.append(a) or sample_latents(*a, **k))
    plot_generated(model_of_windows, duration_s=1.0, backend="matplotlib")
    assert len(calls) == 1


def test_moving_a_slider_redraws_at_once(widget, model_of_windows):
    before = _picture(widget)
    widget.controls["seed"].value = 7
    assert widget.counts == model_of_windows.sample(1, durations=1.0, covariates={}, seed=7)
    after = _picture(widget)
    assert before.shape == after.shape
    assert not np.array_equal(before, after)
    widget.controls["duration_s"].value = 2.5
    assert widget.counts.max_bins == 50
    assert widget.figure.axes[2].get_xlim() == (0.0, 2.5)
    # Models of windows run longer than these; the slider lets them, in whole bins.
    assert widget.controls["duration_s"].max == pytest.approx(4.0)
    assert widget.controls["duration_s"].step == pytest.approx(0.05)


def test_baselines_show_their_spikes():
    counts = SpikeCounts(np.random.default_rng(0).poisson(0.3, (20, 30, 5)), 10.0)
    widget = plot_generated(PSTHPoisson().fit(counts), max_units=3, display=False)
    assert list(widget.controls) == ["seed", "duration_s"]
    widget.controls["seed"].value = 2
    (raster,) = widget.figure.axes
    fastest = np.sort(widget.counts.counts.sum(axis=(0, 1)))[-3:].sum()
    assert _dots(raster) == fastest
    with pytest.raises(ValueError, match=r"not fitted; call model\.fit"):
        plot_generated(PSTHPoisson(), display=False)


def test_a_trial_that_cannot_be_drawn_leaves_the_last_one_and_says_why(widget):
    last = widget.figure
    widget.controls["duration_s"].min = 0.0
    widget.controls["duration_s"].value = 0.0
    assert "durations must be at least one bin" in widget.message.value
    assert widget.figure is last
    widget.controls["duration_s"].value = 0.5
    assert widget.message.value == ""
    assert widget.counts.max_bins == 10


class Conditional:
    """Units of 10 spikes a trial at the left, and 100 at the right; what was asked for is kept."""

    def __init__(self):
        self.population_ = SpikeCounts(np.ones((1, 20, 5), dtype=int), 10.0)
        self.conditions_ = SimpleNamespace(
            covariates={
                "side": SimpleNamespace(varying=False, num_columns=1, categories=["left", "right"]),
                "speed": SimpleNamespace(varying=False, num_columns=1, categories=[], low=[-1.0], high=[3.0]),
                "hand": SimpleNamespace(varying=True, num_columns=2, categories=[], low=[0.0], high=[1.0]),
            }
        )

    def sample(self, num_trials, *, durations=None, covariates=None, seed=None):
        self.asked = covariates
        spikes = np.zeros((num_trials, 20, 5), dtype=int)
        spikes[:, 3] = 100 if covariates.get("side") == ["right"] else 10
        return SpikeCounts(spikes, 10.0, annotations={"synthetic": True, "seed": seed})


def test_conditions_have_sliders_of_their_values():
    model = Conditional()
    widget = plot_generated(model, covariates={"speed": 1.0}, display=False)
    assert list(widget.controls) == ["seed", "duration_s", "side", "speed"]
    assert model.asked == {"speed": [1.0]}
    assert widget.counts.counts.max() == 10
    widget.controls["side"].value = "right"
    assert model.asked == {"speed": [1.0], "side": ["right"]}
    assert widget.counts.counts.max() == 100
    values = [value for _, value in widget.controls["speed"].options]
    assert values[0] == "any"
    np.testing.assert_allclose(values[1:], np.linspace(-1, 3, 21))
    widget.controls["speed"].value = "any"
    assert model.asked == {"side": ["right"]}
