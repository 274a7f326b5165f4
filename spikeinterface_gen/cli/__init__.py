"""The command line: ``spikeinterface-gen fit | generate | validate | info | demo``."""

from __future__ import annotations

from spikeinterface_gen.cli.main import main

__all__ = ["main"]
