"""What the settings of an LDNS may be: checked before a fit spends minutes on them."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

from spikeinterface_gen.nn.ssm import NUM_KERNELS

__all__ = ["check_settings"]

# Least value of each whole number; those of the second line may be None.
_COUNTS = {"channels": 1, "num_blocks": 1, "history_bins": 0}
_OPTIONAL_COUNTS = {"num_latents": 1, "num_directions": 1, "denoiser_channels": 1, "denoiser_blocks": 1}
_PENALTIES = ("l2_penalty", "smoothness_penalty", "weight_decay")


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings that no model can have.

    Raises
    ------
    ValueError
        Naming the setting, what it was and what it may be.
    """
    for name, least in (_COUNTS | _OPTIONAL_COUNTS).items():
        value = settings[name]
        if value is None and name in _OPTIONAL_COUNTS:
            continue
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}; got {value!r}.")
    for name in ("channels", "denoiser_channels"):
        if settings[name] is not None and settings[name] % NUM_KERNELS:
            raise ValueError(f"{name} must be a multiple of {NUM_KERNELS}; got {settings[name]}.")
    for name in _PENALTIES:
        value = settings[name]
        if value is None and name == "weight_decay":
            continue
        if not (isinstance(value, (int, float)) and 0 <= value < math.inf):
            raise ValueError(f"{name} must be a number of at least 0; got {value!r}.")
    share = settings["dropout_range"]
    if not (isinstance(share, (tuple, list)) and len(share) == 2 and 0 < share[0] <= share[1] < 1):
        raise ValueError(f"dropout_range must be two shares between 0 and 1, the smaller first; got {share!r}.")
