"""LDNS on a small population whose truth is known: the verbs, repeatability, files and bad input."""

import itertools
import json
import math
import os
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from spikeinterface_gen import LDNS, SpikeCounts, load_model
from spikeinterface_gen.models.base import NotFittedError
from spikeinterface_gen.models.trials import hold_out
from spikeinterface_gen.stage import StageModule
from tests.populations import with_two_slow_latents

SMALL = {"channels": 32, "num_blocks": 1, "denoiser_channels": 32, "denoiser_blocks": 2, "history_bins": 3}
STEPS = {"autoencoder": 40, "denoiser": 40}


def population(units=24, **keywords):
    return with_two_slow_latents(units=units, unit_ids=[f"u{k}" for k in range(units)], **keywords)


@pytest.fixture(scope="module")
def counts():
    return population()


@pytest.fixture(scope="module")
def model(counts):
    return LDNS(**SMALL).fit(counts, num_steps=STEPS, progress=False)


def test_fit_learns_what_units_share():
    counts = population(trials=200)
    settings = SMALL | {"denoiser_channels": 64}
    model = LDNS(**settings).fit(counts, num_steps={"autoencoder": 250, "denoiser": 800}, progress=False)
    synthetic = model.sample(200, seed=1)

    def correlations(x):
        return np.corrcoef(x.counts.reshape(-1, 24).T)[np.triu_indices(24, 1)]

    real, drawn = correlations(counts), correlations(synthetic)
    assert np.corrcoef(real, drawn)[0, 1] > 0.8
    np.testing.assert_allclose(synthetic.rates_hz, counts.rates_hz, rtol=0.25)
    recorded, several = counts.counts.sum(2), [model.sample(200, seed=seed).counts.sum(2) for seed in range(1, 6)]
    spread = np.subtract(*np.quantile(recorded, [0.9, 0.1]))
    assert 0.8 < np.subtract(*np.quantile(several, [0.9, 0.1])) / spread < 1.25
    # Latents of sines are bounded, and a denoiser of so few steps draws some of them far beyond.
    assert 0.8 < np.median([drawn.std() for drawn in several]) / recorded.std() < 1.6
    assert {"population_count", "correlation", "isi_mean", "isi_sd"} <= set(model.stage_metrics_.columns)


def test_shapes_and_units(model, counts):
    latents, rates = model.encode(counts), model.rates(counts)
    assert latents.shape == (60, 20, model.networks_.num_latents)
    assert rates.shape == counts.counts.shape
    # Hz: counts of 0.3 in 10 ms are about 30 Hz.
    assert rates.mean() == pytest.approx(counts.rates_hz.mean(), rel=0.2)
    drawn = model.sample_rates(3, seed=0)
    assert drawn.shape == (3, 20, 24)
    np.testing.assert_allclose(model.decode(model.sample_latents(3, seed=0)), drawn, rtol=1e-5)
    with pytest.raises(ValueError, match=r"latents must have shape \(trials, bins, 6\); got \(20, 6\)"):
        model.decode(latents[0])


def test_samples_say_what_they_are(model, counts):
    synthetic = model.sample(4, seed=5)
    assert synthetic.annotations["synthetic"] is True
    assert synthetic.annotations["model"] == "LDNS"
    assert synthetic.annotations["model_sha256"] == model.sha256()
    assert synthetic.annotations["seed"] == 5
    assert synthetic.unit_ids.tolist() == counts.unit_ids.tolist()
    fresh = model.sample(1)
    assert model.sample(1, seed=fresh.annotations["seed"]) == fresh


def test_trial_i_of_a_seed_is_always_the_same(model):
    many = model.sample(70, seed=3)
    few = model.sample(3, seed=3, batch_size=2)
    np.testing.assert_array_equal(many.counts[:3], few.counts)
    assert not np.array_equal(many.counts[:3], model.sample(3, seed=4).counts)
    np.testing.assert_array_equal(model.sample_latents(70, seed=3)[:3], model.sample_latents(3, seed=3))


def test_samplers_agree_on_the_distribution(model):
    reference = model.sample_latents(64, seed=0, sampler="ddpm")
    for sampler in ("modal", "angular", "dpmpp", "heun", "ddim"):
        drawn = model.sample_latents(64, seed=0, sampler=sampler)
        for statistic in (np.mean, np.std):
            a, b = statistic(reference, axis=(0, 1)), statistic(drawn, axis=(0, 1))
            assert np.abs(a - b).max() < 0.4 * reference.std()


def test_durations(model, counts):
    synthetic = model.sample(3, durations=[0.05, 0.2, 0.1], seed=0)
    assert synthetic.num_bins.tolist() == [5, 20, 10]
    assert model.sample(2, durations=0.1, seed=0).counts.shape == (2, 10, 24)
    with pytest.raises(ValueError, match=r"durations go up to 0.3 s; this model is locked to trials of at most 0.2 s"):
        model.sample(2, durations=0.3)
    with pytest.raises(ValueError, match="at least one bin"):
        model.sample(2, durations=0.0)


def test_trials_of_different_lengths():
    full = population(trials=30)
    lengths = np.where(np.arange(30) % 2, 20, 12)
    counts = SpikeCounts(full.counts * (np.arange(20) < lengths[:, None])[..., None], 10.0, num_bins=lengths)
    model = LDNS(**SMALL).fit(counts, num_steps=5, progress=False)
    drawn = model.sample(200, seed=0).num_bins
    assert set(drawn) == {12, 20}
    assert 60 < (drawn == 12).sum() < 140


def test_without_trials_models_run_longer():
    model = LDNS(**SMALL).fit(population(trials=20, trial_locked=False), num_steps=5, progress=False)
    assert model.sample(2, durations=1.0, seed=0).counts.shape == (2, 100, 24)


def test_binary_counts_are_found_and_kept():
    counts = SpikeCounts(np.minimum(population().counts, 1), 10.0)
    model = LDNS(**SMALL).fit(counts, num_steps=30, progress=False)
    assert model.networks_.binary
    assert model.sample(20, seed=0).is_binary
    assert "Bernoulli" in repr(model)
    with pytest.raises(ValueError, match="at most one spike; counts has up to"):
        LDNS(observation="bernoulli").fit(population())
    with pytest.raises(ValueError, match="'auto', 'poisson' or 'bernoulli'; got 'gamma'"):
        LDNS(observation="gamma").fit(population())


# ---- repeatability ---------------------------------------------------------------------------


def weights(model):
    return {name: value.clone() for name, value in model.networks_.state_dict().items()}


def assert_same_weights(a, b):
    a, b = weights(a), weights(b)
    for name, value in a.items():
        torch.testing.assert_close(b[name], value, rtol=0, atol=0, msg=name)


def test_the_same_seed_and_steps_give_the_same_model(model, counts):
    again = LDNS(**SMALL).fit(counts, num_steps=model.num_steps_, progress=False)
    assert_same_weights(model, again)
    other = LDNS(**SMALL).fit(counts, num_steps=model.num_steps_, seed=1, progress=False)
    assert other.sha256() != model.sha256()


@pytest.mark.parametrize("most", [1, 3])
def test_encoded_rates_have_the_means_of_the_counts(monkeypatch, most):
    # Hardly trained, they would be those that the decoder begins with, times what its weights happen to do.
    counts = population(trials=60)
    if most == 1:
        counts = SpikeCounts(np.minimum(counts.counts, 1), counts.bin_size_ms, counts.unit_ids)
    monkeypatch.setattr("spikeinterface_gen.models.readout.MIN_EVALUATIONS", math.inf)
    model = LDNS(**SMALL, observation="auto").fit(counts, num_steps=3, progress=False)
    expected = model.rates(counts) * counts.bin_size_ms / 1000
    if most == 1:
        expected = 1 - np.exp(-expected)
    np.testing.assert_allclose(expected.mean(axis=(0, 1)), counts.counts.mean(axis=(0, 1)), rtol=0.01)


def test_global_random_state_is_left_alone(counts):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    LDNS(**SMALL).fit(counts, num_steps=2, progress=False)
    torch.testing.assert_close(torch.rand(3), expected)


@pytest.mark.parametrize("step", [25, 60])
def test_an_interrupted_fit_goes_on_to_the_same_model(model, counts, tmp_path, monkeypatch, step):
    handler = signal.getsignal(signal.SIGINT)
    after_step, steps = StageModule.on_train_batch_end, itertools.count(1)

    def interrupting(self, *args):
        after_step(self, *args)
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(StageModule, "on_train_batch_end", interrupting)
        interrupted = LDNS(**SMALL)
        with pytest.raises(KeyboardInterrupt, match="fit again with it"):
            interrupted.fit(counts, num_steps=STEPS, checkpoint=tmp_path / "checkpoint", progress=False)
    assert not hasattr(interrupted, "networks_")
    assert signal.getsignal(signal.SIGINT) is handler
    resumed = interrupted.fit(counts, num_steps=STEPS, checkpoint=tmp_path / "checkpoint", progress=False)
    assert_same_weights(model, resumed)


def test_checkpoints_of_other_fits_are_refused(counts, tmp_path):
    LDNS(**SMALL).fit(counts, num_steps=2, checkpoint=tmp_path / "c", progress=False)
    fits = {
        "other data": (LDNS(**SMALL), population(seed=1), {}),
        "other settings": (LDNS(**{**SMALL, "channels": 16}), counts, {}),
        "another fit": (LDNS(**SMALL), counts, {"seed": 1}),
    }
    for message, (other, data, keywords) in fits.items():
        with pytest.raises(ValueError, match=f"belongs to {message}" if message != "another fit" else "belongs to"):
            other.fit(data, num_steps=2, checkpoint=tmp_path / "c", progress=False, **keywords)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(ValueError, match="holds something else"):
        LDNS(**SMALL).fit(counts, num_steps=2, checkpoint=tmp_path / "mine", progress=False)


def test_max_minutes_bounds_the_fit(counts):
    import time

    started = time.monotonic()
    model = LDNS(**SMALL).fit(counts, max_minutes=0.1, progress=False)
    # Six seconds, and what the observation model and the metrics of a small population take.
    assert time.monotonic() - started < 20
    assert model.num_steps_["autoencoder"][1] >= 1


def test_diverging_losses_stop_with_advice(counts, monkeypatch):
    from spikeinterface_gen.models.tasks import AutoencoderTask

    loss = AutoencoderTask.loss
    monkeypatch.setattr(AutoencoderTask, "loss", lambda self, generator: loss(self, generator) * float("nan"))
    fresh = LDNS(**SMALL)
    with pytest.raises(FloatingPointError, match="'autoencoder' is no longer finite"):
        fresh.fit(counts, num_steps=3, progress=False)
    assert not hasattr(fresh, "networks_")


# ---- files -----------------------------------------------------------------------------------


def test_saved_models_come_back(model, tmp_path):
    folder = model.save(tmp_path / "model")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    for loaded in (LDNS.load(folder), load_model(folder)):
        assert loaded.sha256() == model.sha256()
        assert loaded.sample(3, seed=2) == model.sample(3, seed=2)
        assert loaded.settings() == model.settings()
        assert loaded.num_steps_ == model.num_steps_
    with pytest.raises(FileExistsError, match="overwrite=True"):
        model.save(folder)
    model.save(folder, overwrite=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("")
    with pytest.raises(FileExistsError, match="no saved model"):
        model.save(tmp_path / "other", overwrite=True)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"num_latents": 0}, "num_latents must be a whole number of at least 1; got 0"),
        ({"channels": 100}, "channels must be a multiple of 8; got 100"),
        ({"num_blocks": 2.5}, "num_blocks must be a whole number"),
        ({"num_directions": 0}, "num_directions must be a whole number of at least 1"),
        ({"history_bins": -1}, "history_bins must be a whole number of at least 0"),
        ({"dropout_range": (0.9, 0.1)}, "dropout_range must be two shares"),
        ({"l2_penalty": float("nan")}, "l2_penalty must be a number of at least 0"),
    ],
)
def test_settings_that_no_model_can_have(setting, message):
    with pytest.raises(ValueError, match=message):
        LDNS(**setting).fit(population())


def test_accelerators_that_are_not_there():
    with pytest.raises(ValueError, match="accelerator='abacus' with devices=1 cannot be had here"):
        LDNS(**SMALL).fit(population(), num_steps=1, accelerator="abacus", progress=False)


def test_unit_properties_survive_with_unknown_values(tmp_path):
    properties = {"area": np.array(["V1"] * 12 + ["CA1"] * 12), "refractory_period_ms": np.r_[np.nan, np.full(23, 1.5)]}
    model = LDNS(**SMALL).fit(population(unit_properties=properties), num_steps=2, progress=False)
    loaded = LDNS.load(model.save(tmp_path / "model"))
    for name, values in properties.items():
        np.testing.assert_array_equal(loaded.sample(1).unit_properties[name], values)


def damaged(folder, name, change):
    path = folder / name
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("config.json", lambda data: data[: len(data) // 2], "config.json .* is damaged"),
        ("config.json", lambda data: b'{"model": "Other", "format_version": 1, "weights_sha256": ""}', "holds a Other"),
        ("config.json", lambda data: data.replace(b'"format_version": 1', b'"format_version": 99'), "version 99"),
        ("config.json", lambda data: data.replace(b'"channels"', b'"chanels"'), "no LDNS model that this version"),
        ("model.safetensors", lambda data: data[:-100], "is damaged or belongs to another model"),
        ("model.safetensors", lambda data: b"\x80\x04cos\nsystem\n(S'true'\ntR.", "is damaged or belongs to another"),
    ],
)
def test_damaged_and_foreign_files_are_refused(model, tmp_path, name, change, message):
    folder = model.save(tmp_path / "model")
    damaged(folder, name, change)
    with pytest.raises(ValueError, match=message):
        LDNS.load(folder)


def test_weights_of_another_shape_are_refused(model, tmp_path):
    import hashlib

    folder = model.save(tmp_path / "model")
    save_file({"latent_mean": torch.zeros(3)}, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    config["weights_sha256"] = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="no LDNS model that this version can read"):
        LDNS.load(folder)


def test_missing_files(model, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no model folder"):
        LDNS.load(tmp_path / "nowhere")
    folder = model.save(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"model.safetensors is missing"):
        LDNS.load(folder)


def test_a_full_disk_leaves_the_old_model(model, tmp_path, monkeypatch):
    import errno

    from spikeinterface_gen.models import saved

    folder = model.save(tmp_path / "model")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(saved, "write_tensors", full)
    with pytest.raises(OSError, match=r"No space left on device\. Nothing was changed"):
        model.save(folder, overwrite=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


# ---- bad input -------------------------------------------------------------------------------


def test_not_fitted():
    with pytest.raises(NotFittedError, match="call fit"):
        LDNS().sample(3)
    assert repr(LDNS(num_latents=5)).endswith("not fitted")


def test_data_must_fit_the_model(model, counts):
    with pytest.raises(TypeError, match="counts must be a SpikeCounts; got ndarray"):
        model.encode(counts.counts)
    with pytest.raises(ValueError, match="bins of 5 ms; expected 10 ms"):
        model.encode(SpikeCounts(counts.counts, 5.0, counts.unit_ids))
    with pytest.raises(ValueError, match=r"select_units"):
        model.encode(counts.select_units(counts.unit_ids[::-1]))
    with pytest.raises(ValueError, match="num_trials must be a positive integer; got 0"):
        model.sample(0)
    with pytest.raises(ValueError, match="sampler must be one of"):
        model.sample(1, sampler="euler")
    with pytest.raises(ValueError, match="fitted without covariates"):
        model.sample(1, covariates={"contrast": 1.0})


def test_few_trials_silent_units_and_short_trials():
    with pytest.raises(ValueError, match="counts has 1 trials; fit needs at least 4"):
        LDNS().fit(population(trials=1))
    quiet = population(trials=6, bins=2).counts.copy()
    quiet[:, :, 3] = 0
    model = LDNS(**SMALL).fit(SpikeCounts(quiet, 10.0), num_steps=5, progress=False)
    synthetic = model.sample(50, seed=0)
    assert synthetic.counts[:, :, 3].sum() <= 20
    assert synthetic.counts.shape == (50, 2, 24)


def test_hold_out_is_bounded():
    assert [len(part) for part in hold_out(population(trials=100), 0)] == [85, 15]
    assert [len(part) for part in hold_out(population(trials=10), 0)] == [5, 5]


def test_num_steps_are_checked(counts):
    with pytest.raises(ValueError, match="unknown stages"):
        LDNS(**SMALL).fit(counts, num_steps={"decoder": 3})
    with pytest.raises(ValueError, match="within its schedule"):
        LDNS(**SMALL).fit(counts, num_steps={"autoencoder": (5, 9)})
    with pytest.raises(ValueError, match="max_minutes must be positive"):
        LDNS(**SMALL).fit(counts, max_minutes=0)


def test_unit_properties_without_a_number_are_saved(tmp_path):
    properties = {
        "place": np.array([[1.0, np.nan]] * 6),
        "depth_um": np.array([np.inf, -np.inf, np.nan, 0.0, 1.0, 2.0]),
    }
    data = population()
    properties = {name: np.resize(values, (data.num_units, *values.shape[1:])) for name, values in properties.items()}
    data = population(unit_properties=properties)
    model = LDNS(**{**SMALL, "channels": np.int64(32)}).fit(data, num_steps=1, progress=False)
    loaded = LDNS.load(model.save(tmp_path / "model"))
    for name, values in properties.items():
        np.testing.assert_array_equal(loaded.population_.unit_properties[name], values)


def test_rates_beyond_any_neuron_are_refused():
    with pytest.raises(ValueError, match=r"counts has a unit of 40 spikes a bin on average; .* shorter bins"):
        LDNS(**SMALL).fit(SpikeCounts(np.full((8, 5, 2), 40), 1000.0), num_steps=1, progress=False)


def test_sampled_rates_have_the_lengths_asked_for(counts):
    model = LDNS(**SMALL).fit(counts, num_steps=2, progress=False)
    rates = model.sample_rates(3, durations=[0.05, 0.03, 0.05], seed=0)
    assert rates.shape == (3, 5, counts.num_units) == model.sample(3, durations=[0.05, 0.03, 0.05], seed=0).counts.shape
    assert not rates[1, 3:].any()
    assert rates[1, :3].all()
