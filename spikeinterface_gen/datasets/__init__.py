"""Real and simulated recordings to learn from, by name."""

from spikeinterface_gen.datasets.loading import SimulatedDataset, load_dataset

__all__ = ["SimulatedDataset", "load_dataset"]
