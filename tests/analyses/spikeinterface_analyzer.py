"""Quality, spike-train and template metrics of an analyzer, and what SpikeInterface draws of it."""

import numpy as np
import spikeinterface.full as si


def analyse(analyzer):
    """What a tutorial on quality metrics computes."""
    analyzer.compute({"correlograms": {"window_ms": 20.0, "bin_ms": 1.0}, "isi_histograms": {}})
    analyzer.compute("spiketrain_metrics")
    quality = analyzer.compute(
        "quality_metrics", metric_names=["num_spikes", "firing_rate", "snr", "isi_violation", "amplitude_cutoff"]
    ).get_data()
    templates = analyzer.get_extension("templates").get_data()
    good = quality.query("snr > 2 and isi_violations_ratio < 0.5").index.tolist()
    curated = analyzer.select_units(good[:2])
    raster = si.plot_rasters(analyzer, time_range=[0.0, 2.0])
    correlograms = si.plot_autocorrelograms(analyzer, unit_ids=analyzer.unit_ids[:2])
    waveforms = si.plot_unit_templates(analyzer, unit_ids=analyzer.unit_ids[:2])
    traces = analyzer.recording.get_traces(start_frame=0, end_frame=1000, return_in_uV=True)
    return {
        "metrics": [*quality.columns, *map(str, quality.index)],
        "firing_rate": quality["firing_rate"].to_numpy(),
        "snr": quality["snr"].to_numpy(dtype=float),
        "spike_trains": analyzer.get_extension("spiketrain_metrics").get_data().to_numpy(dtype=float),
        "peaks_uv": np.abs(templates).max(axis=(1, 2)),
        "locations_um": analyzer.get_extension("unit_locations").get_data(),
        "channels": [str(channel) for channel in analyzer.channel_ids],
        "curated": [curated.get_num_units()],
        "traces": traces.std(axis=0),
        "correlograms": analyzer.get_extension("correlograms").get_data()[0],
        "drawn": [raster.ax.has_data(), correlograms.axes.size, waveforms.axes.size],
    }
