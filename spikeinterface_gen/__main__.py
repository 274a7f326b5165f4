"""``python -m spikeinterface_gen``."""

import sys

from spikeinterface_gen.cli.main import main

sys.exit(main())
