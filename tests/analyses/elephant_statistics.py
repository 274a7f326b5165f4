"""Rates, intervals and their variability, trial by trial, of a Neo block."""

import numpy as np
import quantities as pq
from elephant.kernels import GaussianKernel
from elephant.statistics import cv, cv2, fanofactor, instantaneous_rate, isi, lv, mean_firing_rate, time_histogram


def analyse(block):
    """What a tutorial on statistics of spike trains computes."""
    trains = [train for segment in block.segments for train in segment.spiketrains]
    of_unit = {group.name: list(group.spiketrains) for group in block.groups}
    intervals = [isi(train) for train in trains]
    rates = instantaneous_rate(
        list(block.segments[0].spiketrains), sampling_period=5 * pq.ms, kernel=GaussianKernel(40 * pq.ms)
    )
    contrast = np.array([segment.annotations["contrast"] for segment in block.segments])
    counts = np.array([[len(train) for train in segment.spiketrains] for segment in block.segments])
    return {
        "names": sorted(of_unit),
        "rates_hz": np.array([mean_firing_rate(train).rescale("Hz").magnitude for train in trains]),
        "cv": np.array([cv(values, nan_policy="omit") for values in intervals]),
        "cv2": np.array([cv2(values, with_nan=True) for values in intervals]),
        "lv": np.array([lv(values, with_nan=True) for values in intervals]),
        "fano_factor": np.array([fanofactor(own) for own in of_unit.values()]),
        "rates_over_time_hz": rates.magnitude,
        "histogram": time_histogram(trains, 50 * pq.ms, output="rate").magnitude,
        "counts_by_contrast": np.array([counts[contrast == value].mean(axis=0) for value in np.unique(contrast)]),
        "areas": [train.annotations["area"] for train in block.segments[-1].spiketrains],
        "amplitudes_uv": np.array([np.mean(train.array_annotations["amplitude"].magnitude) for train in trains]),
        "event_times_s": np.concatenate([segment.events[0].rescale("s").magnitude for segment in block.segments]),
    }
