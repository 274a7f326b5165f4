"""The quantities of a rendered recording, with their units and defaults that look like cortex."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

__all__ = ["OF_OWN_NOISE", "OF_OWN_TEMPLATES", "OF_OWN_TRACES", "RenderingParameters"]

# Which parameters do not apply where something else takes their place: templates, noise or traces that are given.
OF_OWN_TEMPLATES = (
    "amplitude_median_uv",
    "amplitude_spread",
    "amplitude_min_uv",
    "amplitude_max_uv",
    "amplitude_decay_um",
    "amplitude_reach_um",
    "propagation_um_per_ms",
    "widening_per_100_um",
)
OF_OWN_NOISE = ("noise_level_uv", "noise_spectrum", "noise_shared", "noise_decay_um")
OF_OWN_TRACES = (*OF_OWN_NOISE, "noise_mode", "gain_uv_per_bit", "offset_uv")

# What can change when a saved session is opened: the rest is in its templates, amplitudes and motion.
_CHANGEABLE = OF_OWN_TRACES


@dataclass(frozen=True)
class RenderingParameters:
    """How spikes become traces.

    Attributes
    ----------
    amplitude_median_uv : float
        Median over units of the peak-to-baseline amplitude on the best channel. Amplitudes are log-normal,
        cut at ``amplitude_min_uv`` and ``amplitude_max_uv``.
    amplitude_spread : float
        Standard deviation of the logarithm of the amplitudes.
    amplitude_min_uv, amplitude_max_uv : float
        Smallest and largest amplitude of a unit.
    amplitude_decay_um : float
        Distance from a unit at which its amplitude has fallen to one half.
    amplitude_reach_um : float
        Distance at which it is 0.
    propagation_um_per_ms : float
        Speed at which the spike spreads: the waveform of a channel is delayed by its distance.
    widening_per_100_um : float
        Relative widening of the waveform for 100 µm of distance.
    amplitude_variation : float
        Standard deviation of the amplitude from spike to spike, relative to the unit's amplitude.
    burst_attenuation : float
        Largest relative loss of amplitude within a burst.
    burst_recovery_ms : float
        Time constant with which the amplitude recovers after a spike.
    drift_um_per_hour : float
        Standard deviation, after one hour, of the displacement of the tissue along the probe, which is a random
        walk. Applies where motion is drawn (``motion="rigid"`` or ``"nonrigid"``).
    drift_nonrigid_share : float
        Share of its variance that differs along the probe, 0 to 1, for ``motion="nonrigid"``.
    drift_scale_um : float
        Distance along the probe over which that part becomes independent.
    drift_interval_s : float
        Time between the steps of the random walk.
    drift_step_um : float
        Distance between the positions at which the templates are computed; in between they are interpolated.
    noise_level_uv : float
        Standard deviation of the noise on every channel.
    noise_spectrum : {"cortex", "white"}
        "cortex": 1/f below 1.5 kHz, band from 300 Hz to 8 kHz, as an action-potential band is recorded.
    noise_shared : float
        Share of the noise variance that is correlated between channels, 0 to 1.
    noise_decay_um : float
        Distance over which that correlation falls to 1/e.
    noise_mode : {"fresh", "tiled"}
        "fresh": never repeats. "tiled": a few blocks, cyclically shifted and laid side by side, faster.
    gain_uv_per_bit : float
        µV of one step of the int16 traces.
    offset_uv : float
        µV of trace value 0.
    """

    amplitude_median_uv: float = 90.0
    amplitude_spread: float = 0.5
    amplitude_min_uv: float = 40.0
    amplitude_max_uv: float = 300.0
    amplitude_decay_um: float = 30.0
    amplitude_reach_um: float = 200.0
    propagation_um_per_ms: float = 500.0
    widening_per_100_um: float = 0.25
    amplitude_variation: float = 0.08
    burst_attenuation: float = 0.25
    burst_recovery_ms: float = 15.0
    drift_um_per_hour: float = 20.0
    drift_nonrigid_share: float = 0.3
    drift_scale_um: float = 400.0
    drift_interval_s: float = 1.0
    drift_step_um: float = 4.0
    noise_level_uv: float = 8.0
    noise_spectrum: Literal["cortex", "white"] = "cortex"
    noise_shared: float = 0.5
    noise_decay_um: float = 80.0
    noise_mode: Literal["fresh", "tiled"] = "fresh"
    gain_uv_per_bit: float = 0.195
    offset_uv: float = 0.0

    def __post_init__(self) -> None:
        choices = {"noise_spectrum": ("cortex", "white"), "noise_mode": ("fresh", "tiled")}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}; got {getattr(self, name)!r}.")
        for field in fields(self):
            if field.name not in choices:
                object.__setattr__(self, field.name, _number(field.name, getattr(self, field.name)))
        if self.amplitude_min_uv > self.amplitude_max_uv:
            raise ValueError(
                f"amplitude_min_uv must not exceed amplitude_max_uv; got {self.amplitude_min_uv:g} and "
                f"{self.amplitude_max_uv:g}."
            )
        if not self.amplitude_decay_um < self.amplitude_reach_um:
            raise ValueError(
                f"amplitude_reach_um must exceed amplitude_decay_um; got {self.amplitude_reach_um:g} and "
                f"{self.amplitude_decay_um:g}."
            )

    def changed(self, **changes: Any) -> RenderingParameters:
        """Return these parameters with some of those changed that a saved session leaves open.

        Raises
        ------
        TypeError
            If a name is unknown, or is fixed by the templates and amplitudes of the session.
        """
        for name in changes:
            if name in _CHANGEABLE:
                continue
            if name in {field.name for field in fields(self)}:
                raise TypeError(f"{name!r} is fixed when a session is generated; generate it anew to change it.")
            raise TypeError(
                f"{name!r} is not a rendering parameter; those of a saved session are {', '.join(_CHANGEABLE)}."
            )
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """Return names and values, JSON-able."""
        return asdict(self)

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, Any]) -> RenderingParameters:
        """Return the defaults with these keywords; an unknown one is a TypeError that lists them all."""
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(keywords) - set(known))
        if unknown:
            raise TypeError(f"{unknown[0]!r} is not a rendering parameter; these are: {', '.join(known)}.")
        return cls(**keywords)


def _number(name: str, value: Any) -> float:
    positive = name in (
        "amplitude_median_uv",
        "amplitude_min_uv",
        "amplitude_max_uv",
        "amplitude_decay_um",
        "amplitude_reach_um",
        "propagation_um_per_ms",
        "burst_recovery_ms",
        "drift_scale_um",
        "drift_interval_s",
        "drift_step_um",
        "noise_decay_um",
        "gain_uv_per_bit",
    )
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number; got {value!r}.") from None
    if not math.isfinite(number) or (name != "offset_uv" and number < 0) or (positive and number == 0):
        raise ValueError(f"{name} must be a finite number {'above 0' if positive else 'of at least 0'}; got {value!r}.")
    if name in ("noise_shared", "burst_attenuation", "drift_nonrigid_share") and number > 1:
        raise ValueError(f"{name} must lie between 0 and 1; got {number:g}.")
    return number
