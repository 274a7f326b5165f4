"""Trajectories of the population by GPFA, drawn by viziphant."""

import numpy as np
import quantities as pq
from elephant.gpfa import GPFA
from viziphant import gpfa as figures


def analyse(block):
    """What a tutorial on GPFA computes."""
    trials = [list(segment.spiketrains) for segment in block.segments]
    gpfa = GPFA(bin_size=50 * pq.ms, x_dim=2, em_max_iters=3)
    latents = gpfa.fit_transform(trials, returned_data=["latent_variable_orth", "latent_variable"])
    figure, _ = figures.plot_dimensions_vs_time(latents, gpfa, dimensions=[0, 1], trials_to_plot=np.arange(10))
    _, axes = figures.plot_trajectories(latents, gpfa, dimensions=[0, 1], trials_to_plot=np.arange(10))
    return {
        "latents": np.stack(list(latents["latent_variable_orth"])),
        "panels": [axis.get_xlabel() for axis in figure.axes],
        "lines": [axes.has_data()],
    }
