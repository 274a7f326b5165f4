"""The command line: ``spikeinterface-gen fit | generate | validate | benchmark | info | demo``."""

from __future__ import annotations

from spikeinterface_gen.cli.main import main

__all__ = ["main"]
