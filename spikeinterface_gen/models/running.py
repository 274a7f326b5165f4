r"""Endless sessions of a model that is not locked to trials: blocks in constant memory, without seams.

The noise that latents are made of belongs to places in the session: block *k* has noise of its own. Window *k* is
sampled from the noise of blocks k − 1, k and k + 1 together. Inside, far from its ends, a bin does not know where the
window ends, so that two windows agree where they overlap; about the border between two blocks, the latents go from one
window to the other with weights that sum to one:

.. math:: z(t) = \cos^2\!\theta\, z^{(k)}(t) + \sin^2\!\theta\, z^{(k+1)}(t)

Latents of block k can thus be computed alone, from the windows k − 1, k and k + 1. Counts follow on those of the block
before through spike history.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
import torch

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.diffusion.windows import half_window
from spikeinterface_gen.models.conditions import Conditions, Trials, trials_to_draw
from spikeinterface_gen.models.latent_draws import condition_of, denoiser_of
from spikeinterface_gen.models.population import Population
from spikeinterface_gen.provenance import provenance
from spikeinterface_gen.randomness import normals, resolve_seed

__all__ = ["RunningSession"]

DEFAULT_BLOCK_TRIALS = 4
# Share of a block, on either side of a border, over which one window gives way to the next.
FADE_SHARE = 0.25


class RunningSession(Iterator[SpikeCounts]):
    """Iterates over the blocks of a session without end.

    Each block is a :class:`~spikeinterface_gen.SpikeCounts` of one trial, whose ``t_starts_s`` says where it lies.

    Attributes
    ----------
    block_bins : int
        Bins of a block.
    next_block : int
        Number of the block that comes next.
    """

    def __init__(
        self,
        model: Any,
        block_s: float | None,
        covariates: Mapping[str, Any] | None,
        seed: int | None,
        steps: int | None,
        snapshot: Mapping[str, Any] | None,
    ) -> None:
        self._networks = model._ready()
        self._population = population = model.population_
        if population.trial_locked:
            raise ValueError(
                "this model is locked to trials: its bins have places in a trial, beyond which it has seen nothing. "
                "Models of continuous recordings (SpikeCounts.from_…(window_s=…)) can run for ever."
            )
        hop = half_window(self._networks.num_bins)
        bins = DEFAULT_BLOCK_TRIALS * population.max_bins
        if block_s is not None:
            bins = round(block_s * 1000.0 / population.bin_size_ms)
            if bins < population.max_bins:
                raise ValueError(
                    f"block_s must be at least {population.max_bins * population.bin_size_ms / 1000:g} s, the length "
                    f"of the windows it was fitted to; got {block_s}."
                )
        # The denoiser's windows then cut the session at the same places in every block.
        self.block_bins = -(-bins // hop) * hop
        self.seed = resolve_seed(seed)
        # A window has three blocks.
        length = 3 * self.block_bins
        self._modes = self._networks.denoiser.modes(length)
        window = _window_to_draw(self._networks.conditions, population, length, covariates)
        self._covariates = window.covariates
        condition = condition_of(self._networks, window.encoded, range(1), length)
        self._denoise, _ = denoiser_of(self._networks, window.num_bins, length, condition)
        self._steps = steps or self._networks.steps
        self._windows: dict[int, np.ndarray] = {}
        self._model = self._networks.count_model()
        self._provenance = provenance("LDNS", model.sha256(), self.seed)
        self.next_block = 0
        # Counts and rates of the last bins that history reaches back to, both of shape (K, units).
        self._past: tuple[np.ndarray, np.ndarray] | None = None
        if snapshot is not None:
            self._go_on_from(snapshot)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> SpikeCounts:
        """Draw the next block."""
        k, K = self.next_block, self._model.history.num_bins
        rates = self._networks.expected_counts(self.latents(k)[None])
        given = None
        if K and self._past is not None:
            # The last bins of the block before come first, as they were.
            past, past_rates = self._past
            rates = np.concatenate([past_rates[None], rates], axis=1)
            before = np.zeros(rates.shape, past.dtype)
            before[0, :K] = past
            given = before, np.broadcast_to(np.arange(rates.shape[1])[None, :, None] < K, rates.shape)
        counts = self._model.draw(rates, self.seed, "session counts", k, given)[:, -self.block_bins :]
        self._past = counts[0, self.block_bins - K :], rates[0, rates.shape[1] - K :]
        self.next_block = k + 1
        population = self._population
        return SpikeCounts(
            counts,
            population.bin_size_ms,
            unit_ids=population.unit_ids,
            covariates=self._covariates,
            unit_properties=population.unit_properties,
            t_starts_s=[k * self.block_bins * population.bin_size_ms / 1000.0],
            trial_locked=False,
            annotations=self._provenance,
        )

    def latents(self, block: int) -> np.ndarray:
        """Latents of any block, float32, shape (bins, latents), without those before it."""
        if block < 0:
            raise ValueError(f"blocks count from 0; got {block}.")
        B = self.block_bins
        fade = round(FADE_SHARE * B)
        theta = np.clip((np.arange(B) - (B - fade)) / (2 * fade), 0, 0.5) * np.pi / 2
        to_next = (np.sin(theta) ** 2).astype(np.float32)[:, None]
        to_last = to_next[::-1]
        here = self._window(block)
        # A border lies where both windows weigh one half.
        return (
            (1 - to_next - to_last) * here[B : 2 * B]
            + to_next * self._window(block + 1)[:B]
            + to_last * self._window(block - 1)[2 * B :]
        )

    def snapshot(self) -> dict[str, Any]:
        """What ``model.run(snapshot=…)`` goes on from: the number of the next block, spikes and rates before it."""
        past, past_rates = (None, None) if self._past is None else (x.tolist() for x in self._past)
        return {
            "seed": self.seed,
            "block_bins": self.block_bins,
            "next_block": self.next_block,
            "past": past,
            "past_rates": past_rates,
        }

    def _go_on_from(self, snapshot: Mapping[str, Any]) -> None:
        if snapshot["seed"] != self.seed or snapshot["block_bins"] != self.block_bins:
            raise ValueError(
                f"snapshot is of seed {snapshot['seed']} and blocks of {snapshot['block_bins']} bins; this session has "
                f"seed {self.seed} and {self.block_bins}."
            )
        self.next_block = int(snapshot["next_block"])
        if snapshot["past"] is not None:
            units = len(self._population.unit_ids)
            past = np.asarray(snapshot["past"], np.uint8).reshape(-1, units)
            self._past = past, np.asarray(snapshot["past_rates"], np.float32).reshape(-1, units)

    @torch.no_grad()
    def _window(self, k: int) -> np.ndarray:
        """Latents of the blocks k − 1, k, k + 1; the last three windows are kept."""
        if k not in self._windows:
            device, shape = self._networks.latent_mean.device, (self.block_bins, self._networks.num_latents)
            # Block −2 comes before the first that is needed; indices of streams are not negative.
            noise = np.concatenate(
                [normals(self.seed, "session latents", block + 2, shape) for block in (k - 1, k, k + 1)]
            )
            start = torch.from_numpy(noise)[None].to(device)
            x = self._networks.solve(self._denoise, lambda _: start, self._steps, self._modes)
            z = self._networks.unstandardised(x, beyond=True)[0].cpu().numpy()
            self._windows = {j: window for j, window in self._windows.items() if abs(j - k) <= 2} | {k: z}
        return self._windows[k]


def _window_to_draw(
    conditions: Conditions | None, population: Population, num_bins: int, covariates: Mapping[str, Any] | None
) -> Trials:
    """A window of the session, as one trial: what is not in ``covariates`` is unknown."""
    given = dict(covariates or {})
    for covariate in [] if conditions is None else conditions.varying:
        if covariate.name in given:
            raise ValueError(
                f"covariates: {covariate.name!r} varies within trials; an endless session takes constant ones only."
            )
    asked = given or (None if conditions is None else {})
    duration_s = num_bins * population.bin_size_ms / 1000.0
    return trials_to_draw(population, conditions, 1, duration_s, asked, session=False, guidance=1.0, seed=0)
