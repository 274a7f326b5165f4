"""Files of Neo's formats: a block with all that a block can carry comes back with its types, whatever the format."""

import warnings
from datetime import UTC, date, datetime

import neo
import numpy as np
import pytest
import quantities as pq

from spikeinterface_gen import SpikeCounts, is_synthetic
from spikeinterface_gen.convert import neo_files
from spikeinterface_gen.convert.annotation_text import decoded, encoded
from spikeinterface_gen.convert.neo_files import read_neo, write_neo
from spikeinterface_gen.provenance import provenance

ANNOTATIONS = {
    "nothing": None,
    "empty": "",
    "mixed": [1, "a"],
    "pair": (1, 2.5, "x"),
    "matrix": np.arange(6.0).reshape(2, 3),
    "single": np.arange(3, dtype=np.float32),
    "no_rows": np.empty((0, 3)),
    "truths": np.array([True, False]),
    "texts": ["a", "bbb"],
    "one": [1],
    "none_of_them": [],
    "nested": {"a": {"b": [None, 1, (2,)]}},
    "voltage": 3.5 * pq.mV,
    "voltages": np.arange(2.0) * pq.uV,
    "samples": np.arange(3) * pq.CompoundUnit("1.0/30000*s"),
    "when": datetime(2020, 1, 1, tzinfo=UTC),
    "day": date(2020, 1, 1),
    "true": np.bool_(True),
    "short": np.int16(4),
    "huge": 2**70,
    "z": 1 + 2j,
    "x": 3,
    "x_units": "mV",  # what Matlab's reader takes for the unit of x
    "a_name_of_more_than_thirty_one_characters": 1,
    "µ/odd name": 5,
    "description": "is an attribute too",
}


def full_block(*, nested_groups: bool) -> neo.Block:
    rng = np.random.default_rng(0)
    block = neo.Block(rec_datetime=datetime(2020, 1, 2, 3, 4, 5))
    block.annotations |= ANNOTATIONS
    for k in range(2):
        segment = neo.Segment(
            name=f"s{k}" if k else "",
            index=k,
            file_origin="here",
            rec_datetime=None if k else datetime(2021, 1, 2, 3, 4, 5, 678),
            nothing=None,
            mixed=[1, "a"],
        )
        for u in range(2):
            n = 3 * u + k
            segment.spiketrains.append(
                neo.SpikeTrain(
                    np.sort(rng.random(n)),
                    units="ms" if u else "s",
                    t_stop=2.0,
                    sampling_rate=30 * pq.kHz,
                    left_sweep=1 * pq.ms,
                    name=None if u else "unit 0",
                    array_annotations={"amplitude": np.arange(n) * 1.5 * pq.uV, "kind": np.array(["x"] * n)},
                    waveforms=rng.random((n, 2 - u, 5)) * pq.uV if n else None,
                    unit_id=u,
                    nothing=None,
                    pair=(1, 2),
                )
            )
        sides = {"side": np.array(["l", "right"]), "value": np.array([1, 2])}
        segment.events.append(
            neo.Event([0.2, 0.5] * pq.s, labels=["go", "stop"], array_annotations=sides, nothing=None)
        )
        segment.epochs.append(neo.Epoch([0.1] * pq.s, durations=[0.1] * pq.s, labels=["a"]))
        channels = {"channel": np.array([3, 4]), "area": np.array(["a", "bb"])}
        segment.analogsignals.append(
            neo.AnalogSignal(rng.random((9, 2)), units="mV", sampling_rate=1 * pq.kHz, array_annotations=channels)
        )
        segment.irregularlysampledsignals.append(
            neo.IrregularlySampledSignal([0.1, 0.4] * pq.s, rng.random((2, 2)) * pq.mV, array_annotations=channels)
        )
        block.segments.append(segment)
    for u in range(2):
        group = neo.Group(name=f"g{u}", mixed=[1, "a"], nothing=None)
        group.spiketrains.extend([segment.spiketrains[u] for segment in block.segments])
        if nested_groups:
            group.groups.append(neo.Group(name="within", pair=(1, 2)))
        block.groups.append(group)
    return block


ATTRIBUTES = (
    *("name", "description", "file_origin", "rec_datetime", "file_datetime", "index", "labels", "durations"),
    *("t_start", "t_stop", "sampling_rate", "left_sweep", "waveforms", "units", "times"),
)


def differences(one, other, path="block"):
    """Where two values or Neo objects differ, in type or in value."""
    if isinstance(one, neo.core.baseneo.BaseNeo):
        pairs = {name: (getattr(one, name), getattr(other, name)) for name in ATTRIBUTES if hasattr(one, name)}
        for name in ("annotations", "array_annotations"):
            if hasattr(one, name):
                pairs[name] = dict(getattr(one, name)), dict(getattr(other, name))
        for name in getattr(one, "_child_containers", ()):
            pairs[name] = list(getattr(one, name)), list(getattr(other, name))
        if isinstance(one, np.ndarray):
            pairs["values"] = np.asarray(one), np.asarray(other)
        return [found for name, pair in pairs.items() for found in differences(*pair, f"{path}.{name}")]
    same = type(one) is type(other)
    if same and isinstance(one, dict):
        same = one.keys() == other.keys()
        parts = [(one[key], other[key], key) for key in one] if same else []
    elif same and isinstance(one, (list, tuple)):
        same = len(one) == len(other)
        parts = [(a, b, k) for k, (a, b) in enumerate(zip(one, other, strict=True))] if same else []
    else:
        parts = []
        if same and isinstance(one, np.ndarray):
            same = (one.dtype, one.shape) == (other.dtype, other.shape) and np.array_equal(one, other)
            same = same and getattr(one, "dimensionality", 0) == getattr(other, "dimensionality", 0)
        elif same:
            same = one == other
    below = [found for a, b, key in parts for found in differences(a, b, f"{path}[{key!r}]")]
    return below if same else [(path, one, other)]


@pytest.mark.parametrize("suffix", [".nix", ".mat", ".pkl"])
def test_all_of_a_block_comes_back(suffix, tmp_path):
    block, expected = (full_block(nested_groups=suffix != ".mat") for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        path = write_neo(block, tmp_path / f"block{suffix}")
    assert not differences(expected, block)  # it is left as it was
    assert not differences(expected, read_neo(path, trust_pickle=True))
    assert not is_synthetic(path)


@pytest.mark.parametrize("suffix", [".nix", ".mat"])
def test_neo_alone_reads_what_the_formats_hold(suffix, tmp_path):
    synthetic = SpikeCounts(
        np.ones((2, 5, 3), np.uint8), 10.0, unit_ids=[4, 5, 6], covariates={"side": ["l", "r"]},
        annotations=provenance("LDNS", "0" * 64, 3),
    )  # fmt: skip
    path = write_neo(synthetic.to_neo(), tmp_path / f"block{suffix}")
    block = neo.io.get_io(str(path)).read_block()
    assert [segment.annotations["side"] for segment in block.segments] == ["l", "r"]
    assert block.annotations["model"] == "LDNS"
    assert [int(train.annotations["unit_id"]) for train in block.segments[1].spiketrains] == [4, 5, 6]
    parts = (block, *block.segments, *block.groups, *block.segments[0].spiketrains)
    assert all(is_synthetic(part) for part in parts)


def test_trains_in_nix_carry_their_annotations_once(tmp_path):
    annotations = {f"a{k}": float(k) for k in range(20)}
    block = neo.Block()
    block.segments.append(neo.Segment())
    block.segments[0].spiketrains.append(neo.SpikeTrain([0.5], units="s", t_stop=1.0, unit_id=3, **annotations))
    path = write_neo(block, tmp_path / "block.nix")
    bare = neo.io.NixIO(str(path), "ro").read_block().segments[0].spiketrains[0].annotations
    assert sorted(bare) == ["nix_name", "spikeinterface_gen_notes", "unit_id"]
    assert read_neo(path).segments[0].spiketrains[0].annotations == {"unit_id": 3, **annotations}


def test_long_writing_is_told_before_it_starts(tmp_path, monkeypatch):
    counts = SpikeCounts(np.zeros((40, 2, 200), np.uint8), 10.0)
    monkeypatch.setattr(neo_files, "_io", lambda path, mode: pytest.fail("written"))
    with (
        pytest.warns(
            UserWarning, match=r"about 4 min to write 8000 spike trains as NIX. As \.pkl, or with SpikeCounts"
        ),
        pytest.raises(pytest.fail.Exception, match="written"),
    ):
        write_neo(counts.to_neo(), tmp_path / "block.nix")


def test_what_cannot_be_written_is_told(tmp_path):
    block = full_block(nested_groups=False)
    block.segments[0].annotations |= {"thing": object(), "other": {1}}
    with pytest.warns(
        UserWarning, match="the annotation 'thing' of a Segment .a object., and 1 more cannot be written"
    ):
        path = write_neo(block, tmp_path / "block.mat")
    assert "thing" not in read_neo(path).segments[0].annotations
    assert "thing" in block.segments[0].annotations
    with pytest.raises(ValueError, match=r"groups within groups, .* write \.nix or \.pkl"):
        write_neo(full_block(nested_groups=True), tmp_path / "nested.mat")
    signal = neo.AnalogSignal([[1.0, 2.0]], units="mV", sampling_rate=1 * pq.Hz, name="lfp")
    block.segments[0].analogsignals.append(signal)
    with pytest.raises(ValueError, match="signal 'lfp' has one sample of several channels"):
        write_neo(block, tmp_path / "short.mat")
    assert not list(tmp_path.glob("*short*"))


@pytest.mark.parametrize("name", list(ANNOTATIONS))
def test_text_keeps_types(name):
    assert not differences(ANNOTATIONS[name], decoded(encoded(ANNOTATIONS[name])))


@pytest.mark.parametrize("value", [object(), {1}, {1: 2}, np.array([None]), {"__type__": "array"}])
def test_there_is_no_text_for_everything(value):
    with pytest.raises(TypeError, match="no text for"):
        encoded(value)
