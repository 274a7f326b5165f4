"""The bundled session, as benchmarks take it."""

from spikeinterface_gen import SpikeCounts, load_dataset

MIN_RATE_HZ = 1.0


def active_units(counts: SpikeCounts) -> SpikeCounts:
    """Only the units of at least 1 Hz."""
    return counts.select_units(counts.unit_ids[counts.rates_hz >= MIN_RATE_HZ])


def recorded_session() -> SpikeCounts:
    """Its units of at least 1 Hz."""
    return active_units(load_dataset("steinmetz2019"))
