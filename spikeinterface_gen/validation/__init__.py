"""How far synthetic spikes can be trusted: statistics, distances to real spikes and their floors, memorisation.

Works on :class:`~spikeinterface_gen.SpikeCounts` of any generator, and never imports torch.
"""
