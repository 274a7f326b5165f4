"""Counter-based random numbers: functions of their key, of the right distribution, and fixed for good."""

import numpy as np
import pytest
from scipy import stats

from spikeinterface_gen.randomness import normals, random_bits, resolve_seed, uniforms

FIRST_BITS = [2926220213006798462, 1919414071480695058]


def test_numbers_are_functions_of_seed_stage_and_index():
    a = uniforms(3, "counts", 7, (5, 4))
    np.testing.assert_array_equal(a, uniforms(3, "counts", 7, (5, 4)))
    np.testing.assert_array_equal(a[:2], uniforms(3, "counts", 7, (2, 4)))
    for other in ((4, "counts", 7), (3, "latents", 7), (3, "counts", 8)):
        assert not np.any(a == uniforms(*other, (5, 4)))


def test_the_stream_is_fixed_for_good():
    # Stored sessions and seeds rely on these very numbers.
    assert random_bits(0, "counts", 0, 2).tolist() == FIRST_BITS
    np.testing.assert_allclose(uniforms(0, "counts", 0, (2,)), [bits / 2**64 for bits in FIRST_BITS], atol=2**-52)


def test_distributions():
    u, z = uniforms(1, "test", 0, (200_000,)), normals(1, "test", 0, (200_000,))
    assert u.min() > 0
    assert u.max() < 1
    assert z.dtype == np.float32
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    assert stats.kstest(z, "norm").pvalue > 1e-3
    assert stats.kstest(z, "norm", args=(0.02, 1)).pvalue < 1e-6
    assert abs(np.corrcoef(z[:-1], z[1:])[0, 1]) < 5 / 200_000**0.5


def test_seeds():
    assert resolve_seed(np.int64(5)) == 5
    assert resolve_seed(None) != resolve_seed(None)
    with pytest.raises(TypeError, match="seed must be an integer or None; got float"):
        resolve_seed(1.0)
    with pytest.raises(ValueError, match="must not be negative; got -1"):
        resolve_seed(-1)
