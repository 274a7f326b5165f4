"""Synthetic counterparts of recorded objects: :func:`spikeinterface_gen.synthesize_like`."""
