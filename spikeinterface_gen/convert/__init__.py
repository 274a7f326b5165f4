"""Real data in, synthetic data out: SpikeCounts from and to the objects of Neo and SpikeInterface."""
