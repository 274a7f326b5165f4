"""Spikes to extracellular traces: probe, templates, amplitudes, drift, noise, and any slice of the sum.

``parameters`` names every quantity with its unit and default. ``scene`` puts together, once, when a session
is made, all that spikes are rendered with: ``probes``, ``templates`` (``spatial_model`` is our own,
``given_templates`` somebody else's), ``motion``, and ``noise_model`` or a ``parent`` recording. ``amplitudes``
are drawn for each spike. ``noise`` and ``renderer`` compute traces whenever they are asked for.
"""
