"""Spikes to extracellular traces: probe, templates, amplitudes, noise, and any slice of the sum.

``parameters`` names every quantity with its unit and default; ``probes``, ``templates`` and ``amplitudes``
are computed once, when a session is made, and stored in it; ``noise`` and ``renderer`` compute traces
whenever they are asked for.
"""
