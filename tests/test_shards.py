"""Parts of one job, drawn by themselves and put together."""

import numpy as np
import pytest
from populations import with_two_slow_latents

from spikeinterface_gen import LDNS, SpikeCounts
from spikeinterface_gen.cli.main import main
from spikeinterface_gen.models.latent_draws import BLOCK_TRIALS

SMALL = {"channels": 16, "num_blocks": 1, "denoiser_channels": 16, "denoiser_blocks": 1, "history_bins": 2}
STEPS = {"autoencoder": 3, "refit": 1, "denoiser": 3}
TRIALS = 2 * BLOCK_TRIALS + 10


@pytest.fixture(scope="module")
def model():
    """Of trials of two lengths, under a condition of each trial and one of each bin."""
    num_bins = np.resize([20, 14], 60)
    rng = np.random.default_rng(0)
    speed = np.where(np.arange(20)[:, None] < num_bins[:, None, None], rng.standard_normal((60, 20, 1)), np.nan)
    whole = with_two_slow_latents()
    counts = SpikeCounts(
        whole.counts * (np.arange(20) < num_bins[:, None])[..., None],
        10.0,
        num_bins=num_bins,
        covariates={"side": np.resize(["left", "right"], 60), "speed": speed},
    )
    return LDNS(2, **SMALL).fit(counts, covariates=["side", "speed"], num_steps=STEPS, progress=False)


@pytest.mark.parametrize("number", [1, 3, 7])
def test_shards_together_are_the_whole(model, number):
    whole = model.sample(TRIALS, seed=1)
    parts = [model.sample(TRIALS, seed=1, shard=(k, number)) for k in range(1, number + 1)]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    together = SpikeCounts.concatenate(parts)
    assert together == whole
    assert together.annotations == whole.annotations


def test_shards_do_not_depend_on_blocks_or_memory(model):
    whole = model.sample(TRIALS, seed=1)
    start, stop = TRIALS // 3, 2 * TRIALS // 3
    assert start // BLOCK_TRIALS != (stop - 1) // BLOCK_TRIALS
    part = model.sample(TRIALS, seed=1, shard=(2, 3), batch_size=5)
    np.testing.assert_array_equal(part.counts, whole.counts[start:stop])


@pytest.mark.parametrize("shard", [(0, 3), (4, 3), (1, 0), (1, 5)])
def test_shards_that_are_not_there(model, shard):
    with pytest.raises(ValueError, match=r"shard must be \(k, n\), the k-th of n parts.* 4 trials; got"):
        model.sample(4, seed=1, shard=shard)


def test_shards_have_a_seed_in_common(model):
    with pytest.raises(ValueError, match="shard needs a seed"):
        model.sample(4, shard=(1, 2))


def test_shards_of_a_command_are_those_of_the_model(model, tmp_path, capsys):
    model.save(tmp_path / "model")
    common = ["--trials", "9", "--seed", "3", "--quiet"]
    for k in (1, 2):
        arguments = ["generate", str(tmp_path / "model"), str(tmp_path / f"{k}.nwb"), *common, "--shard", f"{k}/2"]
        assert main(arguments) == 0
    parts = [SpikeCounts.from_nwb(tmp_path / f"{k}.nwb", 10.0) for k in (1, 2)]
    whole = model.sample(9, seed=3)
    np.testing.assert_array_equal(np.concatenate([part.counts for part in parts]), whole.counts)
    for wrong, message in (
        (["out.nwb", *common, "--shard", "3"], "expected K/N"),
        (["out.nwb", "--trials", "9", "--shard", "1/2"], "--shard needs a --seed"),
        (["folder", *common, "--shard", "1/2"], "a file of spikes"),
    ):
        assert main(["generate", str(tmp_path / "model"), str(tmp_path / wrong[0]), *wrong[1:]]) == 2
        assert message in capsys.readouterr().err


# ---- putting together --------------------------------------------------------------------------


def test_what_all_parts_have_is_kept():
    rng = np.random.default_rng(0)
    properties = {"area": np.array(["V1", "CA1"])}

    def part(trials, bins, start, **more):
        return SpikeCounts(
            rng.poisson(1.0, (trials, bins, 2)),
            10.0,
            ["a", "b"],
            covariates={"x": rng.random((trials, bins, 1)), "side": np.full(trials, "left"), **more},
            unit_properties=properties,
            t_starts_s=start + np.arange(trials),
            annotations={"seed": 1, "part": start},
        )

    first, second = part(3, 5, 0.0, only_here=np.arange(3)), part(2, 7, 10.0)
    together = SpikeCounts.concatenate([first, second])
    assert together[:3] == SpikeCounts(
        first.counts,
        10.0,
        ["a", "b"],
        covariates={name: first.covariates[name] for name in ("x", "side")},
        unit_properties=properties,
        t_starts_s=first.t_starts_s,
    )
    assert together[3:] == second
    assert together.num_bins.tolist() == [5, 5, 5, 7, 7]
    assert np.isnan(together.covariates["x"][:3, 5:]).all()
    assert together.annotations == {"seed": 1}


def test_parts_that_do_not_fit_are_named():
    counts = SpikeCounts(np.ones((2, 3, 2), int), 10.0)
    with pytest.raises(ValueError, match="at least one SpikeCounts"):
        SpikeCounts.concatenate([])
    with pytest.raises(ValueError, match=r"parts\[1\] has other units"):
        SpikeCounts.concatenate([counts, counts.select_units([1, 0])])
    with pytest.raises(ValueError, match=r"parts\[1\] has bins of 5 ms"):
        SpikeCounts.concatenate([counts, SpikeCounts(counts.counts, 5.0)])
    wide, narrow = (counts.with_covariates(x=np.ones((2, k))) for k in (2, 1))
    with pytest.raises(ValueError, match=r"covariates\['x'\] must have the same shape"):
        SpikeCounts.concatenate([wide, narrow])
