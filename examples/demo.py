"""A recorded session in, a synthetic recording with ground truth out, and how good it is.

    python examples/demo.py [--minutes 4] [--output demo_output]

The same as ``spikeinterface-gen demo``; its code is in spikeinterface_gen/cli/demo.py. Leaves in the output folder:
model/, synthetic_neo.pkl, recording/, sorting/, validation.html, validation.png, rasters.png.
"""

import sys

from spikeinterface_gen.cli import main

if __name__ == "__main__":
    sys.exit(main(["demo", *sys.argv[1:]]))
