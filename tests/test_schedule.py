"""The learning-rate schedule and the clock."""

import os
import signal
from types import SimpleNamespace

import pytest
import torch

from spikeinterface_gen import stage
from spikeinterface_gen.models import fit_settings
from spikeinterface_gen.training import StageReport, StageSettings, Task, train_stage


class Clock:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


class PacedTask(Task):
    """A step takes ``seconds_of(step)`` on the clock."""

    name = "paced"

    def __init__(self, clock, seconds_of):
        super().__init__()
        self.network = torch.nn.Linear(1, 1)
        self.clock, self.seconds_of, self.taken = clock, seconds_of, 0

    def loss(self, generator):
        self.clock.now += self.seconds_of(self.taken)
        self.taken += 1
        return self.network(torch.ones(1, 1)).square().sum()

    def held_out_loss(self, network):
        return torch.zeros(())


def trained(monkeypatch, seconds_of, max_steps=5000, checkpoint=None):
    clock = Clock()
    monkeypatch.setattr(stage, "time", SimpleNamespace(monotonic=clock.monotonic))
    task = PacedTask(clock, seconds_of)
    report = train_stage(
        task,
        StageSettings(max_steps, keep_best=False, patience=10**6),
        seed=0,
        deadline=clock.now + 10.0,
        checkpoint=checkpoint,
        accelerator="cpu",
        progress=False,
    )
    return report, clock.now - 100.0


def test_an_even_pace_is_planned_once(monkeypatch):
    report, took = trained(monkeypatch, lambda step: 0.05 if step < 3 else 0.02 + 0.002 * (step % 3))
    assert len(report.plans) == 1
    assert report.steps == report.schedule
    assert 8.5 < took <= 10.0


@pytest.mark.parametrize(("before", "after"), [(0.1, 0.02), (0.02, 0.1)])
def test_another_pace_makes_another_schedule_that_ends_in_time(monkeypatch, before, after):
    # A neighbour on the machine leaves, or comes, after 1.5 of the 10 seconds.
    report, took = trained(monkeypatch, lambda step: before if step < 1.5 / before else after)
    assert len(report.plans) > 1
    assert 8.5 < took <= 10.2
    assert report.steps == pytest.approx(1.5 / before + 8.5 / after, rel=0.15)
    assert report.progress(report.steps) > 0.95


def test_a_stage_that_goes_on_ends_where_it_would_have_ended(monkeypatch, tmp_path):
    def interrupted(step):
        if step == 300:
            os.kill(os.getpid(), signal.SIGINT)
        return 0.02

    whole, _ = trained(monkeypatch, lambda step: 0.02)
    with pytest.raises(KeyboardInterrupt, match="after step 301"):
        trained(monkeypatch, interrupted, checkpoint=tmp_path / "paced.safetensors")
    # Ten seconds more than are needed: the schedule stays.
    report, took = trained(monkeypatch, lambda step: 0.02, checkpoint=tmp_path / "paced.safetensors")
    assert report.schedule == report.steps == whole.steps
    assert took < 8.0


def test_progress_never_jumps():
    report = StageReport()
    assert report.progress(5) == 0.0
    report.plan(100)
    assert report.progress(25) == 0.25
    report.steps = 50
    report.plan(150)
    assert [report.progress(step) for step in (25, 50, 100, 150)] == [0.25, 0.5, 0.75, 1.0]
    assert report.schedule == 150


def test_a_schedule_stays_within_its_longest(monkeypatch):
    report, _ = trained(monkeypatch, lambda step: 0.1 if step < 20 else 0.001, max_steps=60)
    assert report.schedule == report.steps == 60


PARTS = tuple(fit_settings.SHARES)


def parts_of_a_fit(monkeypatch, slowness, late_s=0.0):
    """Seconds that each part is given, of which it makes ``slowness`` times as many; and how long the fit takes."""
    clock = Clock()
    monkeypatch.setattr(fit_settings, "time", SimpleNamespace(monotonic=clock.monotonic))
    budget = fit_settings.TimeBudget(max_minutes=5.0)
    clock.now = budget.deadline("denoiser") + late_s
    given = {}
    for part in PARTS:
        with budget.seconds_for(part) as seconds:
            given[part] = seconds
            clock.now += seconds * slowness
    return given, clock.now - 100.0


def test_what_follows_the_stages_fits_into_the_time(monkeypatch):
    given, took = parts_of_a_fit(monkeypatch, slowness=0.9)
    assert given == pytest.approx({name: 300 * fit_settings.SHARES[name] for name in PARTS})
    assert 280 < took < 300


@pytest.mark.parametrize("slowness", [1.5, 3.0])
def test_a_slow_machine_is_given_less_to_do(monkeypatch, slowness):
    given, took = parts_of_a_fit(monkeypatch, slowness)
    assert given["history"] < 300 * fit_settings.SHARES["history"] / slowness * 1.05
    assert 290 < took <= 303


def test_lost_time_is_lost_by_all_parts(monkeypatch):
    given, took = parts_of_a_fit(monkeypatch, slowness=1.0, late_s=20.0)
    assert took <= 300.001
    assert given["history"] / given["sampler"] == pytest.approx(
        fit_settings.SHARES["history"] / fit_settings.SHARES["sampler"]
    )


def test_without_bound_nothing_is_spared():
    budget = fit_settings.TimeBudget()
    assert budget.deadline("denoiser") is None
    for part in PARTS:
        with budget.seconds_for(part) as seconds:
            assert seconds == float("inf")
