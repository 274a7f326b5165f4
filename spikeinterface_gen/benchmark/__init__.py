"""Spike sorters on recordings whose units fire together, beside controls whose units do not.

``controls`` makes the recordings that differ in their spikes alone, ``pairs`` many of them; ``study``
runs sorters on them, in SpikeInterface's ``SorterStudy``; ``tables`` are what it found, unit by unit; ``effects``
says how much it matters, with intervals; ``figures`` draws it.
"""
