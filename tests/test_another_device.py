"""Models whose networks are not on the CPU: the same trials, and nothing that a GPU would refuse or wait for.

Completion is not tested: its derivatives (``torch.func.jvp``) cannot be pretended.
"""

import numpy as np
import pytest
import torch
from populations import with_two_slow_latents
from pretended_device import PRETENDED, PretendedDevice

from spikeinterface_gen import LDNS
from spikeinterface_gen.models import fit_settings, ldns_networks

SMALL = {"channels": 16, "num_blocks": 1, "denoiser_channels": 16, "denoiser_blocks": 1, "history_bins": 2}
STEPS = {"autoencoder": 3, "refit": 1, "denoiser": 3}
ASKED = {"side": "left", "speed": np.ones((20, 1))}


@pytest.fixture(scope="module")
def counts():
    side = np.resize(["left", "right"], 60)
    speed = np.random.default_rng(1).standard_normal((60, 20, 1))
    return with_two_slow_latents(covariates={"side": side, "speed": speed}, t_starts_s=3.0 * np.arange(60))


def fitted(counts):
    return LDNS(2, **SMALL).fit(counts, covariates=["side", "speed"], num_steps=STEPS, progress=False)


@pytest.fixture(scope="module")
def with_conditions(counts):
    return fitted(counts)


@pytest.fixture(scope="module")
def of_windows():
    return LDNS(2, causal=True, **SMALL).fit(with_two_slow_latents(trial_locked=False), num_steps=STEPS, progress=False)


@pytest.fixture(scope="module", autouse=True)
def without_bfloat16():
    """The pretended device has no units for it, so that others must not use theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ldns_networks, "has_bfloat16", lambda device: False)
        yield


@pytest.fixture
def device():
    with PretendedDevice() as device:
        yield device


def assert_moved(model):
    assert {tensor.device for tensor in model.networks_.state_dict().values()} == {PRETENDED}


def test_the_pretended_device_refuses_what_a_gpu_does(device):
    x = torch.arange(3.0, device=PRETENDED)
    assert x.device == torch.ones(2).to(PRETENDED).device == PRETENDED
    assert (2 * x).sum().item() == 6
    assert device.num_reads == 1
    with pytest.raises(RuntimeError, match="same device"):
        x + torch.ones(3)
    with pytest.raises(RuntimeError, match="numpy"):
        x.numpy()
    np.testing.assert_array_equal((x + 1).cpu().numpy(), [1, 2, 3])


def test_uses_of_a_model_on_another_device(of_windows, device):
    uses = {
        "sample": lambda: of_windows.sample(3, seed=1).counts,
        "longer": lambda: of_windows.sample(2, durations=1.0, seed=1).counts,
        "reference": lambda: of_windows.sample_latents(2, steps=4, sampler="heun", seed=1),
        "encode": lambda: of_windows.encode(with_two_slow_latents(trials=3)),
        "dials": lambda: of_windows.adjusted(rate_gain=1.2, num_units=30).sample(2, seed=1).counts,
        "session": lambda: next(of_windows.run(seed=1)).counts,
        "stream": lambda: of_windows.stream().push(np.ones(24))[0],
    }
    on_cpu = {name: use() for name, use in uses.items()}
    of_windows.to(PRETENDED)
    assert_moved(of_windows)
    try:
        for name, use in uses.items():
            np.testing.assert_array_equal(use(), on_cpu[name], err_msg=name)
    finally:
        of_windows.to("cpu")


def test_a_fit_stays_where_it_was_trained(counts, with_conditions, device, monkeypatch, tmp_path):
    monkeypatch.setattr(fit_settings, "trained_on", lambda accelerator: PRETENDED)
    model = fitted(counts)
    assert_moved(model)
    assert model.sha256() == with_conditions.sha256()
    drawn = model.sample(3, covariates=ASKED, guidance=1.5, seed=1)
    assert drawn == with_conditions.sample(3, covariates=ASKED, guidance=1.5, seed=1)
    loaded = LDNS.load(model.save(tmp_path / "model"))
    assert loaded.sha256() == model.sha256()
    assert_moved(model.fit_conditions(counts, ["side"], num_steps=2, progress=False))
    assert_moved(LDNS(**SMALL).fit(counts, start_from=model, num_steps=STEPS, progress=False))


def test_the_sampling_loop_waits_for_nothing(of_windows, device):
    of_windows.to(PRETENDED)
    try:
        reads = []
        for steps in (4, 12):
            of_windows.sample_latents(64, steps=steps, seed=1)
            before = device.num_reads
            of_windows.sample_latents(64, steps=steps, seed=1)
            reads.append(device.num_reads - before)
        assert reads == [0, 0]
    finally:
        of_windows.to("cpu")


def test_neither_does_that_for_conditions(with_conditions, device):
    model = with_conditions.adjusted().to(PRETENDED)
    reads = []
    for steps in (4, 12):
        before = device.num_reads
        model.sample_latents(64, covariates=ASKED, guidance=1.5, steps=steps, seed=1)
        reads.append(device.num_reads - before)
    assert reads[0] == reads[1]


def test_a_device_that_is_not_here_is_named(of_windows):
    with pytest.raises(ValueError, match=r"device must be one that is here, such as \"cpu\"; got 'cuda:7'"):
        of_windows.to("cuda:7")
    for name in ("gpu1", "meta"):
        with pytest.raises(ValueError, match=f"got '{name}'"):
            of_windows.to(name)
    assert of_windows.networks_.latent_mean.device.type == "cpu"


def test_a_device_that_cannot_hold_the_networks_gets_none_of_them(of_windows, device, monkeypatch):
    move, left = torch.nn.Module._apply, [3]

    def filling_up(module, function, recurse=True):
        left[0] -= 1
        if left[0] == 0:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return move(module, function, recurse)

    monkeypatch.setattr(torch.nn.Module, "_apply", filling_up)
    with pytest.raises(ValueError, match=r"device 'lazy:0' cannot hold the networks; they stay on cpu"):
        of_windows.to(PRETENDED)
    assert {tensor.device.type for tensor in of_windows.networks_.state_dict().values()} == {"cpu"}
