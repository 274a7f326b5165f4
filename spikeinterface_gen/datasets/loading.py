"""``load_dataset``: every dataset by its name."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, overload

import numpy as np

from spikeinterface_gen.counts import SpikeCounts

__all__ = ["SimulatedDataset", "load_dataset"]

# Name → the module whose ``load`` makes it.
_DATASETS = {
    "human_speech": "spikeinterface_gen.datasets.human_speech",
    "lorenz": "spikeinterface_gen.datasets.lorenz",
    "mc_maze": "spikeinterface_gen.datasets.mc_maze",
    "reaching": "spikeinterface_gen.datasets.reaching",
    "retinal_waves": "spikeinterface_gen.datasets.retinal_waves",
    "steinmetz2019": "spikeinterface_gen.datasets.steinmetz2019",
}


@dataclass(frozen=True, eq=False)
class SimulatedDataset:
    """Spikes with what they were drawn from.

    Attributes
    ----------
    counts : SpikeCounts
        The spikes.
    rates : array of float32, shape (trials, bins, units)
        True expected counts per bin.
    latents : array of float32, shape (trials, bins, latents)
        True latents that the rates follow from.
    """

    counts: SpikeCounts
    rates: np.ndarray
    latents: np.ndarray

    def __repr__(self) -> str:
        return f"SimulatedDataset with true rates and {self.latents.shape[-1]} latents. {self.counts!r}"

    def _repr_html_(self) -> str:
        from spikeinterface_gen.html_repr import counts_html, facts_html

        return facts_html(
            f"SimulatedDataset with true rates and {self.latents.shape[-1]} latents", {}, below=counts_html(self.counts)
        )


@overload
def load_dataset(name: str, *, return_truth: Literal[True], **options: Any) -> SimulatedDataset: ...
@overload
def load_dataset(name: str, **options: Any) -> SpikeCounts: ...
def load_dataset(name: str, **options: Any) -> SpikeCounts | SimulatedDataset:
    """Return a dataset.

    ``"steinmetz2019"`` : no options
        One real session, which comes with the package: 983 units of 15 brain areas of a mouse, 300 trials
        of 40 bins of 10 ms from stimulus onset. Covariates ``contrast_left``, ``contrast_right`` and
        ``feedback_type``; unit property ``area``; ``t_starts_s``. Steinmetz et al. (2019) [1]_, CC-BY-4.0.
    ``"lorenz"`` : num_trials=5000, num_bins=256, standardise="trial", seed=0, return_truth=False
        The simulation of the LDNS paper [2]_: 128 units driven by a Lorenz attractor, 256 bins, nominally
        of 10 ms. The paper trains on 3500 trials, validates on 500 and tests on 1000: slice in this order.
        ``standardise="all"`` scales latents by the attractor instead of trial by trial: windows of a stationary
        process, not locked to anything, whose statistics are the same at every length.
    ``"reaching"`` : num_trials=2295, seed=0, return_truth=False
        A simulated motor cortex, of the shape of MC_Maze: delayed reaches round barriers, 182 units, 140 bins of 5 ms
        around move onset. Rates are functions of a nonlinear network that drives the hand, gains drift with the
        session, and spikes come of renewal processes with refractory periods and bursts. Covariates
        ``hand_velocity`` (100 ms after each bin, in m/s), ``reach_angle`` (of the velocity 100 ms after onset, in
        radians) and ``barrier``. Train on the first 2008 trials, test on the others.
    ``"mc_maze"`` : path, bin_size_ms=5.0
        The recording itself, from the training file of DANDI 000128 [4]_, with the covariates of ``"reaching"`` and
        those of its trials. The LDNS paper trains on the first 2008 trials.
    ``"human_speech"`` : path, split="train", num_channels=128, max_bins=512
        Threshold crossings of area 6v during attempted speech, 20 ms bins, trials of different lengths, from the
        files ``competitionData`` on Dryad [5]_. Covariates ``session``, ``block`` and ``sentence``.
    ``"retinal_waves"`` : path, bin_size_ms=20.0, window_s=10.0
        Spontaneous activity of a retina on an electrode array, from an HDF5 file of the collection by
        Eglen et al. (2014) [3]_, cut into windows without a common time origin.

    Parameters
    ----------
    name : str
        Of the dataset.
    return_truth : bool, default False
        For simulations: return a :class:`SimulatedDataset` with the true rates and latents instead.
    **options
        Of the dataset, as above.

    Returns
    -------
    SpikeCounts or SimulatedDataset

    Raises
    ------
    ValueError
        If there is no dataset of this name.
    TypeError
        If an option does not apply to it, or one that it needs is missing.

    References
    ----------
    .. [1] Steinmetz, Zatka-Haas, Carandini and Harris, "Distributed coding of choice, action and engagement
       across the mouse brain", Nature 576 (2019), doi:10.1038/s41586-019-1787-x.
    .. [2] Kapoor, Schulz, Vetter, Pei, Gao and Macke, "Latent diffusion for neural spiking data", NeurIPS 2024.
    .. [3] Eglen et al., "A data repository and analysis framework for spontaneous neural activity recordings
       in developing retina", GigaScience 3:3 (2014), doi:10.1186/2047-217X-3-3.
    .. [4] Pei et al., "Neural Latents Benchmark '21", NeurIPS Datasets and Benchmarks 2021; data of Churchland and
       Kaufman, dandiarchive.org/dandiset/000128.
    .. [5] Willett et al., "A high-performance speech neuroprosthesis", Nature 620 (2023),
       doi:10.5061/dryad.x69p8czpq.

    Examples
    --------
    >>> from spikeinterface_gen import load_dataset
    >>> load_dataset("steinmetz2019")
    SpikeCounts: 300 trials × 40 bins of 10 ms × 983 units, 6.1 Hz on average
    """
    if name not in _DATASETS:
        raise ValueError(f"there is no dataset {name!r}; there are {', '.join(map(repr, _DATASETS))}.")
    load = import_module(_DATASETS[name]).load
    parameters = inspect.signature(load).parameters
    unknown = [option for option in options if option not in parameters]
    missing = [key for key, p in parameters.items() if p.default is p.empty and key not in options]
    if unknown or missing:
        problem = f"does not take {', '.join(unknown)}" if unknown else f"needs {', '.join(missing)}"
        raise TypeError(f"dataset {name!r} {problem}; its options are: {', '.join(parameters) or 'none'}.")
    return load(**options)
