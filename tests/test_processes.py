"""A fit in two processes."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

SCRIPT = """
import os
import sys
from pathlib import Path

import numpy as np

from spikeinterface_gen import LDNS, SpikeCounts

rng = np.random.default_rng(0)
counts = SpikeCounts(rng.poisson(0.3 * rng.gamma(2.0, 0.5, (40, 20, 1)) * np.ones(10)), 10.0)
model = LDNS(channels=16, denoiser_channels=16, num_blocks=1, denoiser_blocks=1)
devices = int(sys.argv[1])
model.fit(counts, num_steps=6, devices=devices, accelerator="cpu", progress=False, checkpoint=sys.argv[2], seed=1)
trained = [report.steps for report in model.reports_.values()]
rank = os.environ.get("LOCAL_RANK", "0")
told = [rank, model.sha256(), model.reports_["denoiser"].best_loss, *trained]
Path(sys.argv[3], rank).write_text(" ".join(map(str, told)), encoding="utf-8")
"""


def fitted(devices, checkpoint):
    # A file for each process: what both print to one pipe, with Gloo's own messages, may end up in one line.
    told = Path(tempfile.mkdtemp(dir=checkpoint.parent))
    script = checkpoint.parent / "fit.py"
    script.write_text(SCRIPT, encoding="utf-8")
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script), str(devices), str(checkpoint), str(told)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return sorted(path.read_text(encoding="utf-8").split() for path in told.iterdir())


def test_two_processes_end_with_one_model(tmp_path):
    first, second = fitted(2, tmp_path / "two")
    assert (first[0], second[0]) == ("0", "1")
    assert first[1:] == second[1:]
    alone = fitted(1, tmp_path / "one")
    # Other batches, so another model, as far trained.
    assert len(alone) == 1
    assert alone[0][1] != first[1]
    assert alone[0][3:] == first[3:] == ["6", "6", "6"]
    assert abs(float(alone[0][2]) / float(first[2]) - 1) < 0.2
    # The checkpoint is whole: a fit that goes on from it has nothing left to do, and needs no second process.
    assert [row[1:] for row in fitted(2, tmp_path / "two")] == [first[1:]]
