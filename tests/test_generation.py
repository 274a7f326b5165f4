"""From models and counts to recordings; names on SpikeInterface's modules; provenance."""

import json
import subprocess
import sys

import numpy as np
import pytest
import spikeinterface.full as si
from probeinterface import generate_linear_probe
from probeinterface.neuropixels_tools import build_neuropixels_probe
from spikeinterface.core.testing import check_recordings_equal, check_sortings_equal

from spikeinterface_gen import (
    GenerativeRecordingExtractor,
    GenerativeSortingExtractor,
    SpikeCounts,
    generate_from_counts,
    generate_with_ldns,
    is_synthetic,
)
from spikeinterface_gen.provenance import provenance


class PoissonModel:
    """The least a model can be: it draws counts and says so."""

    def __init__(self) -> None:
        self.calls: list[dict] = []

    def sample(self, num_trials, *, durations=None, covariates=None, seed=None):
        self.calls.append({"durations": durations, "covariates": covariates, "seed": seed})
        counts = np.random.default_rng(seed).poisson(0.1, (num_trials, 30, 5))
        return SpikeCounts(counts, 10.0, annotations=provenance("PoissonModel", "0" * 64, seed))


# ---- generate --------------------------------------------------------------------------------


def test_a_model_becomes_a_recording_and_the_seed_decides(tmp_path):
    model = PoissonModel()
    first, again, other = (
        generate_with_ldns(model, 4, seed=seed, folder=tmp_path / str(k), durations=0.3, covariates={"x": 1})
        for k, seed in enumerate((7, 7, 8))
    )
    assert model.calls[0] == {"durations": 0.3, "covariates": {"x": 1}, "seed": 7}
    check_recordings_equal(first, again)
    assert not np.array_equal(first.get_traces(), other.get_traces())
    assert np.array_equal(first.counts.counts, model.sample(4, seed=7).counts)
    assert first.get_annotation("model") == "PoissonModel"
    assert first.get_annotation("seed") == 7
    assert first.sorting.get_annotation("synthetic") is True
    trials = generate_with_ldns(model, 4, seed=7, layout="trials", folder=tmp_path / "trials")
    assert trials.get_num_segments() == 4
    recording, sorting = generate_with_ldns(
        model, 4, seed=7, layout="trials", folder=tmp_path / "pair", return_sorting=True
    )
    check_recordings_equal(recording, trials)
    check_sortings_equal(sorting, trials.sorting)
    assert np.array_equal(trials.get_traces(1), first.get_traces(0, 9000, 18000))


def test_no_seed_is_resolved_once_and_stored(tmp_path):
    model = PoissonModel()
    recording = generate_with_ldns(model, 2, folder=tmp_path / "a")
    seed = recording.get_annotation("seed")
    assert model.calls[0]["seed"] == seed == recording.get_annotation("placement_seed")
    check_recordings_equal(recording, generate_with_ldns(model, 2, seed=seed, folder=tmp_path / "b"))


def test_a_mistake_shows_before_the_model_is_asked(tmp_path):
    model = PoissonModel()
    with pytest.raises(TypeError, match="'noise_uv' is not a rendering parameter"):
        generate_with_ldns(model, 2, folder=tmp_path / "a", noise_uv=3.0)
    with pytest.raises(ValueError, match="layout"):
        generate_with_ldns(model, 2, folder=tmp_path / "a", layout="one")
    with pytest.raises(TypeError, match="seed"):
        generate_with_ldns(model, 2, folder=tmp_path / "a", seed=1.5)
    with pytest.raises(FileExistsError):
        generate_with_ldns(model, 2, folder=tmp_path)
    assert model.calls == []


def test_some_units_fire_as_among_all(counts, tmp_path):
    everything = generate_from_counts(counts, seed=1, folder=tmp_path / "all")
    some = generate_from_counts(counts, seed=1, folder=tmp_path / "some", unit_ids=["d", "a"])
    assert some.sorting.unit_ids.tolist() == ["d", "a"]
    for unit_id in ("a", "d"):
        assert np.array_equal(
            some.sorting.get_unit_spike_train(unit_id), everything.sorting.get_unit_spike_train(unit_id)
        )
    assert np.array_equal(some.counts.counts, counts.select_units(["d", "a"]).counts)
    with pytest.raises(KeyError, match="'z'"):
        generate_from_counts(counts, seed=1, folder=tmp_path / "none", unit_ids=["z"])


def test_trials_drawn_later_change_nothing(tmp_path):
    counts = PoissonModel().sample(9, seed=0)
    long, short = (
        generate_from_counts(part, seed=1, folder=tmp_path / str(len(part))) for part in (counts, counts[:4])
    )
    end = short.get_num_samples() - 60
    assert np.array_equal(short.get_traces(0, 0, end), long.get_traces(0, 0, end))


def test_any_probe_in_any_wiring(counts, tmp_path):
    probe = generate_linear_probe(16, ypitch=25)
    probe.set_device_channel_indices(np.random.default_rng(0).permutation(16))
    recording = generate_from_counts(counts, seed=1, folder=tmp_path / "a", probe=probe, noise_level_uv=0.0)
    locations = recording.get_channel_locations()
    assert np.array_equal(locations, probe.contact_positions[np.argsort(probe.device_channel_indices)])
    frame = recording.sorting.get_unit_spike_train("a")[0]
    nearest = np.linalg.norm(locations - recording.sorting.get_property("gt_unit_locations")[0, :2], axis=1).argmin()
    assert recording.get_traces(0, int(frame), int(frame) + 1).argmin() == nearest


@pytest.mark.parametrize(
    ("part", "sites"),
    [
        ("NP1010", np.arange(384)),
        ("NP2014", np.concatenate([np.arange(96) + 1280 * shank for shank in range(4)])),
    ],
)
def test_neuropixels_layouts_hold_units_by_area_and_depth(tmp_path, part, sites):
    probe = build_neuropixels_probe(part).get_slice(sites)
    probe.set_device_channel_indices(np.random.default_rng(0).permutation(384))
    areas, depth = np.repeat(["VISp", "CA1", "DG"], 10), np.full(30, np.nan)
    depth[:10] = np.linspace(600, 700, 10)
    depth[10:12] = 300.0, 400.0
    spikes = SpikeCounts(np.ones((1, 4, 30), int), 10.0, unit_properties={"area": areas, "depth_um": depth})
    recording = generate_from_counts(spikes, seed=0, folder=tmp_path / "a", probe=probe, noise_level_uv=0.0)
    assert recording.get_num_channels() == 384
    own = recording.get_probe()
    assert np.array_equal(own.contact_ids, probe.contact_ids[np.argsort(probe.device_channel_indices)])
    places = recording.sorting.get_property("gt_unit_locations")
    assert np.allclose(places[:10, 1], depth[:10])
    assert np.all((places[10:20, 1] >= 300.0) & (places[10:20, 1] <= 400.0))
    # Seen on the shank where it is, and on no other.
    locations, peaks = recording.get_channel_locations(), np.abs(recording._session.templates.dense_uv()).max(axis=1)
    seen_from = np.linalg.norm(locations[peaks.argmax(axis=1)] - places[:, :2], axis=1)
    assert seen_from.max() < 40.0
    for unit in range(30):
        assert np.abs(locations[peaks[unit] > 0, 0] - places[unit, 0]).max() < 200.0
    check_recordings_equal(recording, si.load(recording.to_dict()))


# ---- provenance ------------------------------------------------------------------------------


def test_everything_generated_says_so_in_memory_and_on_disk(counts, tmp_path):
    recording = generate_from_counts(counts, seed=1, folder=tmp_path / "session")
    sorting = recording.sorting
    block = recording.to_neo()
    filtered = si.bandpass_filter(recording)
    generated = [
        recording,
        sorting,
        recording.counts,
        recording.counts[1:, ["a"]],
        filtered,
        si.common_reference(filtered),
        recording.frame_slice(0, 1000),
        sorting.select_units(["a", "b"]),
        block,
        block.segments[0],
        block.segments[0].spiketrains[0],
        recording.spiketrains[0][1],
        tmp_path / "session",
    ]
    quiet = {"progress_bar": False, "verbose": False}
    generated.append(filtered.save(folder=tmp_path / "binary", **quiet))
    generated.append(recording.save(folder=tmp_path / "zarr", format="zarr", **quiet))
    generated.append(sorting.save(folder=tmp_path / "sorting"))
    filtered.dump_to_json(tmp_path / "filtered.json")
    analyzer = si.create_sorting_analyzer(sorting, filtered, folder=tmp_path / "analyzer", format="binary_folder")
    generated += [analyzer, tmp_path / "analyzer", str(tmp_path / "sorting"), tmp_path / "binary"]
    generated += [tmp_path / "zarr.zarr", tmp_path / "filtered.json"]
    assert [is_synthetic(item) for item in generated] == [True] * len(generated)


def test_what_drew_the_counts_is_told_as_far_as_it_is_known(counts, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    vague = counts.with_annotations(synthetic=True, model="somebody's")
    generate_from_counts(vague, seed=5, folder="~/session")
    recording = GenerativeRecordingExtractor("~/session")
    assert recording.get_annotation("model") == "somebody's"
    assert recording.get_annotation("seed") == 5
    assert len(recording.get_annotation("model_sha256")) == 64
    assert GenerativeSortingExtractor("~/session").get_annotation("model") == "somebody's"


def test_what_is_not_ours_is_not_synthetic(counts, tmp_path):
    recording, sorting = si.generate_ground_truth_recording(durations=[1.0], num_units=2, num_channels=4, seed=0)
    recording.save(folder=tmp_path / "binary", progress_bar=False, verbose=False)
    (tmp_path / "note.txt").write_text("synthetic")
    others = [counts, recording, sorting, counts.to_neo(), None, 3, tmp_path, tmp_path / "binary"]
    assert [is_synthetic(item) for item in [*others, tmp_path / "note.txt"]] == [False] * 9
    with pytest.raises(FileNotFoundError):
        is_synthetic(tmp_path / "nowhere")


# ---- names -----------------------------------------------------------------------------------


def in_a_fresh_process(code: str) -> dict:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_the_full_module_has_the_names_of_both_packages_without_torch():
    found = in_a_fresh_process(
        "import json, sys\n"
        "import spikeinterface.full, spikeinterface_gen\n"
        "import spikeinterface_gen.full as si\n"
        "ours = spikeinterface_gen.__all__[1:]\n"
        "print(json.dumps({\n"
        "  'both': [callable(si.generate_with_ldns), si.bandpass_filter is spikeinterface.full.bandpass_filter],\n"
        "  'listed': all(name in dir(si) for name in [*ours, 'bandpass_filter']),\n"
        "  'taken': [name for name in ours if hasattr(spikeinterface.full, name)],\n"
        "  'torch': 'torch' in sys.modules or 'lightning' in sys.modules}))"
    )
    # SpikeInterface has two of the names for something else, and keeps them.
    assert found == {"both": [True, True], "listed": True, "taken": ["load_model", "plot_rasters"], "torch": False}


def test_register_sets_the_names_on_spikeinterface_full():
    found = in_a_fresh_process(
        "import json\n"
        "import spikeinterface.full as si\n"
        "before = hasattr(si, 'generate_with_ldns')\n"
        "import spikeinterface_gen\n"
        "spikeinterface_gen.register()\n"
        "spikeinterface_gen.register()\n"
        "names = spikeinterface_gen.__all__[1:]\n"
        "theirs = [name for name in names if getattr(si, name) is not getattr(spikeinterface_gen, name)]\n"
        "print(json.dumps({'before': before, 'theirs': theirs}))"
    )
    assert found == {"before": False, "theirs": ["load_model", "plot_rasters"]}


def test_register_overwrites_nothing():
    found = in_a_fresh_process(
        "import json\n"
        "import spikeinterface.full as si\n"
        "si.generate_with_ldns = 'theirs'\n"
        "import spikeinterface_gen\n"
        "spikeinterface_gen.register()\n"
        "print(json.dumps({'kept': si.generate_with_ldns, 'set': hasattr(si, 'SpikeCounts')}))"
    )
    assert found == {"kept": "theirs", "set": True}
