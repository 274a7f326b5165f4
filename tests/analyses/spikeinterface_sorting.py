"""What SpikeInterface computes and draws of a sorting alone."""

import numpy as np
import spikeinterface.full as si


def analyse(sorting):
    """Trains, correlograms and rasters, by unit ids."""
    histograms, bins_ms = si.compute_correlograms(sorting, window_ms=20.0, bin_ms=2.0)
    first = sorting.unit_ids[0]
    frames = sorting.get_unit_spike_train(first, segment_index=0)
    times_s = sorting.get_unit_spike_train(first, segment_index=0, return_times=True)
    some = sorting.select_units(sorting.unit_ids[:2])
    merged = si.remove_duplicated_spikes(some, censored_period_ms=0.3)
    raster = si.plot_rasters(sorting, time_range=[sorting.get_start_time(), sorting.get_start_time() + 2.0])
    return {
        "correlograms": histograms,
        "bins_ms": bins_ms,
        "spikes_in_a_second": np.array([len(frames) / sorting.get_total_duration()]),
        "clock": np.array([np.all(times_s >= sorting.get_start_time()), times_s[-1] - times_s[0] < 20.0]),
        "areas": sorting.get_property("area").tolist(),
        "annotation": [sorting.get_annotation("subject")],
        "units": [str(unit_id) for unit_id in merged.unit_ids],
        "panels": [raster.ax.get_xlabel()],
    }
