"""The models that come with the package: small, described by their cards, and what they say they are."""

from pathlib import Path

import numpy as np
import pytest

import spikeinterface_gen
from spikeinterface_gen import load_dataset, load_model
from spikeinterface_gen.models import BUNDLED_MODELS

FOLDER = Path(spikeinterface_gen.__file__).parent / "models" / "bundled"


@pytest.mark.parametrize("name", BUNDLED_MODELS)
def test_bundled_model(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = load_model(name)
    assert sum(file.stat().st_size for file in (FOLDER / name).iterdir()) <= 5e6
    card = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert model.sha256() in card
    assert "population_count" in card
    synthetic, recorded = model.sample(64, seed=0), load_dataset(name)
    assert list(synthetic.unit_ids) == list(recorded.unit_ids)
    # Means over 64 trials: within a tenth in all, and unit by unit nearly on a line.
    assert synthetic.rates_hz.mean() == pytest.approx(recorded.rates_hz.mean(), rel=0.1)
    correlation = np.corrcoef(synthetic.rates_hz, recorded.rates_hz)[0, 1]
    assert 0.97 < correlation < 1


def test_a_folder_comes_before_a_bundled_model_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / BUNDLED_MODELS[0]).mkdir()
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        load_model(BUNDLED_MODELS[0])


def test_unknown_names_say_what_is_bundled():
    with pytest.raises(FileNotFoundError, match="no bundled model of that name; bundled are steinmetz2019"):
        load_model("steinmetz1920")
