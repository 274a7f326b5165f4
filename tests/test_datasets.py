import h5py
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import gammaln

from spikeinterface_gen import SimulatedDataset, SpikeCounts, load_dataset
from spikeinterface_gen.datasets import lorenz


def test_unknown_names_and_options_say_what_there_is(tmp_path):
    with pytest.raises(ValueError, match="'lorenz', 'mc_maze', 'reaching', 'retinal_waves', 'steinmetz2019'"):
        load_dataset("mnist")
    with pytest.raises(TypeError, match="does not take path; its options are: none"):
        load_dataset("steinmetz2019", path=tmp_path)
    with pytest.raises(TypeError, match="needs path"):
        load_dataset("retinal_waves")


# ---- the bundled session ---------------------------------------------------------------------


def test_the_bundled_session_has_all_that_was_recorded():
    counts = load_dataset("steinmetz2019")
    assert counts.counts.shape == (300, 40, 983)
    assert counts.counts.dtype == np.uint8
    assert counts.counts.sum(dtype=int) == 724770
    assert counts.bin_size_ms == 10.0
    assert counts.trial_locked
    assert np.all(np.diff(counts.t_starts_s) > 0)
    assert set(counts.covariates) == {"contrast_left", "contrast_right", "feedback_type"}
    assert set(np.unique(counts.covariates["contrast_left"])) == {0, 0.25, 0.5, 1}
    assert set(np.unique(counts.covariates["feedback_type"])) == {-1, 1}
    areas, units = np.unique(counts.unit_properties["area"], return_counts=True)
    assert len(areas) == 15
    assert dict(zip(areas, units, strict=True))["PL"] == 184
    assert counts.annotations["licence"] == "CC-BY-4.0"


# ---- Lorenz ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulated():
    return load_dataset("lorenz", num_trials=300, return_truth=True)


def test_the_integrator_agrees_with_scipy():
    starts = np.array([[-9.787, -15.039, 20.534], [1.0, 2.0, 3.0]])
    path = lorenz.integrate_lorenz(starts, 150)

    def flow(_, state):
        x, y, z = state
        return [10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z]

    times = np.arange(150) * 0.01505
    for trial, start in enumerate(starts):
        reference = solve_ivp(flow, (0, times[-1]), start, t_eval=times, method="DOP853", rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(path[trial], reference.y.T, atol=1e-4)


def test_lorenz_is_the_simulation_of_the_paper(simulated):
    assert isinstance(simulated, SimulatedDataset)
    assert simulated.counts.counts.shape == simulated.rates.shape == (300, 256, 128)
    assert simulated.counts.counts.dtype == np.uint8
    assert simulated.rates.dtype == simulated.latents.dtype == np.float32
    np.testing.assert_allclose(simulated.latents.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(simulated.latents.std(1), 1, rtol=1e-5)
    # Rates are functions of the latents through unit vectors sorted by their first entry.
    readout = np.log(np.expm1(2 * simulated.rates[:8].astype(float))) / 2 - np.log(0.3)
    vectors = np.linalg.lstsq(simulated.latents[:8].reshape(-1, 3), readout.reshape(-1, 128), rcond=None)[0]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=0), 1, rtol=1e-3)
    assert np.all(np.diff(vectors[0]) > 0)


def test_lorenz_has_the_rates_and_the_likelihood_that_the_paper_has(simulated):
    rates, spikes = simulated.rates.astype(float), simulated.counts.counts
    # The paper's draw of the readout has a mean of 0.140 and an oracle likelihood of 0.2999; ours is another draw.
    assert rates.mean() == pytest.approx(0.140, abs=0.006)
    of_units = rates.mean((0, 1))
    assert 0.045 < of_units.min() < 0.075
    assert 0.19 < of_units.max() < 0.25
    oracle = np.mean(rates - spikes * np.log(rates) + gammaln(spikes + 1.0))
    constant = np.mean(of_units - spikes * np.log(of_units) + gammaln(spikes + 1.0))
    assert oracle == pytest.approx(0.2999, abs=0.008)
    assert constant == pytest.approx(0.4353, abs=0.012)


def test_lorenz_counts_are_poisson_given_the_rates(simulated):
    rates, spikes = simulated.rates.astype(float), simulated.counts.counts
    z_of_mean = (spikes.sum() - rates.sum()) / np.sqrt(rates.sum())
    assert abs(z_of_mean) < 4
    dispersion = np.mean((spikes - rates) ** 2 / rates)
    assert dispersion == pytest.approx(1.0, abs=0.01)


def test_a_trial_of_lorenz_does_not_depend_on_how_many_there_are(simulated):
    few = load_dataset("lorenz", num_trials=3)
    assert isinstance(few, SpikeCounts)
    np.testing.assert_array_equal(few.counts, simulated.counts.counts[:3])
    other = load_dataset("lorenz", num_trials=3, seed=1)
    assert np.any(other.counts != few.counts)
    with pytest.raises(ValueError, match="num_trials"):
        load_dataset("lorenz", num_trials=0)


# ---- retinal waves ---------------------------------------------------------------------------


def _write_recording(path, **changes):
    """A small file with the collection's layout: two units, 30 s."""
    contents = {
        "spikes": np.array([0.5, 10.1, 10.15, 29.0, 3.0]),
        "sCount": np.array([4, 1], dtype="i4"),
        "epos": np.array([[0.0, 42.0], [84.0, 126.0]]),
        "names": np.array([b"Ch1.31", b"Ch1.32"]),
        "summary/duration": np.array([30.0]),
        **changes,
    }
    with h5py.File(path, "w") as file:
        for name, value in contents.items():
            if value is not None:
                file[name] = value
    return path


def test_retinal_waves_are_cut_into_windows(tmp_path):
    path = _write_recording(tmp_path / "recording.h5")
    counts = load_dataset("retinal_waves", path=path)
    assert counts.counts.shape == (3, 500, 2)
    assert counts.bin_size_ms == 20.0
    assert not counts.trial_locked
    np.testing.assert_array_equal(counts.counts.sum(1), [[1, 1], [2, 0], [1, 0]])
    np.testing.assert_array_equal(np.flatnonzero(counts.counts[1, :, 0]), [5, 7])
    np.testing.assert_array_equal(counts.unit_ids, ["Ch1.31", "Ch1.32"])
    np.testing.assert_array_equal(counts.unit_properties["x_um"], [0.0, 42.0])
    np.testing.assert_array_equal(counts.unit_properties["y_um"], [84.0, 126.0])
    np.testing.assert_array_equal(counts.t_starts_s, [0.0, 10.0, 20.0])
    shorter = load_dataset("retinal_waves", path=str(path), bin_size_ms=100.0, window_s=5.0)
    assert shorter.counts.shape == (6, 50, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epos": None}, "lacks epos"),
        ({"sCount": np.array([4, 2])}, "contradicts itself"),
        ({"names": np.array([b"only"])}, "contradicts itself"),
        ({"spikes": np.array([0.5, np.nan, 1.0, 2.0, 3.0])}, "not finite"),
        ({"spikes": np.array([0.5, -1.0, 1.0, 2.0, 3.0])}, "negative"),
    ],
)
def test_files_with_another_layout_are_refused(tmp_path, changes, message):
    path = _write_recording(tmp_path / "recording.h5", **changes)
    with pytest.raises(ValueError, match=message):
        load_dataset("retinal_waves", path=path)


def test_files_that_are_not_there_or_not_hdf5_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        load_dataset("retinal_waves", path=tmp_path / "absent.h5")
    path = tmp_path / "text.h5"
    path.write_text("no HDF5")
    with pytest.raises(ValueError, match="no readable HDF5"):
        load_dataset("retinal_waves", path=path)
