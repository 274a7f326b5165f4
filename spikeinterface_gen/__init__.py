"""Synthetic spikes you can trust: generative models of neural populations for SpikeInterface, Neo and Elephant."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name → the module that defines it. Imported when first asked for: torch comes in with the models only.
# Add a name here and to the imports for type checkers below.
_LAZY = {
    "ComputeSpikeTrainStatistics": "spikeinterface_gen.validation.analyzer",
    "GenerativeRecordingExtractor": "spikeinterface_gen.extractors",
    "GenerativeSorterStudy": "spikeinterface_gen.benchmark.study",
    "GenerativeSortingExtractor": "spikeinterface_gen.extractors",
    "LDNS": "spikeinterface_gen.models.ldns",
    "SimulatedDataset": "spikeinterface_gen.datasets.loading",
    "SpikeCounts": "spikeinterface_gen.counts",
    "TwoSampleReport": "spikeinterface_gen.validation.two_sample",
    "TwoSampleTest": "spikeinterface_gen.validation.two_sample",
    "UseReport": "spikeinterface_gen.validation.decoding",
    "ValidationReport": "spikeinterface_gen.validation.report",
    "benchmark_sorters": "spikeinterface_gen.benchmark.study",
    "bits_per_spike": "spikeinterface_gen.validation.bits_per_spike",
    "co_smoothing": "spikeinterface_gen.validation.co_smoothing",
    "compute_spike_train_statistics": "spikeinterface_gen.validation.analyzer",
    "decode_covariate": "spikeinterface_gen.validation.decoding",
    "export_recording_to_phy": "spikeinterface_gen.convert.phy",
    "find_watermark": "spikeinterface_gen.watermark",
    "generate_from_counts": "spikeinterface_gen.generation",
    "generate_with_ldns": "spikeinterface_gen.generation",
    "is_synthetic": "spikeinterface_gen.provenance",
    "load_dataset": "spikeinterface_gen.datasets.loading",
    "load_model": "spikeinterface_gen.models",
    "make_controls": "spikeinterface_gen.benchmark.controls",
    "mark_synthetic": "spikeinterface_gen.provenance",
    "network_unit_model": "spikeinterface_gen.validation.network_unit",
    "paired_recordings": "spikeinterface_gen.benchmark.pairs",
    "plot_generated": "spikeinterface_gen.interactive",
    "plot_rasters": "spikeinterface_gen.plotting",
    "read_neo": "spikeinterface_gen.convert.neo_files",
    "register": "spikeinterface_gen.full",
    "spike_statistics": "spikeinterface_gen.validation.estimates",
    "synthesize_like": "spikeinterface_gen.counterpart.like",
    "two_sample_tests": "spikeinterface_gen.validation.two_sample",
    "validate": "spikeinterface_gen.validation.validate",
    "write_neo": "spikeinterface_gen.convert.neo_files",
}

__all__ = ["__version__", *_LAZY]

if TYPE_CHECKING:
    from spikeinterface_gen.benchmark.controls import make_controls as make_controls
    from spikeinterface_gen.benchmark.pairs import paired_recordings as paired_recordings
    from spikeinterface_gen.benchmark.study import GenerativeSorterStudy as GenerativeSorterStudy
    from spikeinterface_gen.benchmark.study import benchmark_sorters as benchmark_sorters
    from spikeinterface_gen.convert.neo_files import read_neo as read_neo
    from spikeinterface_gen.convert.neo_files import write_neo as write_neo
    from spikeinterface_gen.convert.phy import export_recording_to_phy as export_recording_to_phy
    from spikeinterface_gen.counterpart.like import synthesize_like as synthesize_like
    from spikeinterface_gen.counts import SpikeCounts as SpikeCounts
    from spikeinterface_gen.datasets.loading import SimulatedDataset as SimulatedDataset
    from spikeinterface_gen.datasets.loading import load_dataset as load_dataset
    from spikeinterface_gen.extractors import GenerativeRecordingExtractor as GenerativeRecordingExtractor
    from spikeinterface_gen.extractors import GenerativeSortingExtractor as GenerativeSortingExtractor
    from spikeinterface_gen.full import register as register
    from spikeinterface_gen.generation import generate_from_counts as generate_from_counts
    from spikeinterface_gen.generation import generate_with_ldns as generate_with_ldns
    from spikeinterface_gen.interactive import plot_generated as plot_generated
    from spikeinterface_gen.models import load_model as load_model
    from spikeinterface_gen.models.ldns import LDNS as LDNS
    from spikeinterface_gen.plotting import plot_rasters as plot_rasters
    from spikeinterface_gen.provenance import is_synthetic as is_synthetic
    from spikeinterface_gen.provenance import mark_synthetic as mark_synthetic
    from spikeinterface_gen.validation.analyzer import ComputeSpikeTrainStatistics as ComputeSpikeTrainStatistics
    from spikeinterface_gen.validation.analyzer import compute_spike_train_statistics as compute_spike_train_statistics
    from spikeinterface_gen.validation.bits_per_spike import bits_per_spike as bits_per_spike
    from spikeinterface_gen.validation.co_smoothing import co_smoothing as co_smoothing
    from spikeinterface_gen.validation.decoding import UseReport as UseReport
    from spikeinterface_gen.validation.decoding import decode_covariate as decode_covariate
    from spikeinterface_gen.validation.estimates import spike_statistics as spike_statistics
    from spikeinterface_gen.validation.network_unit import network_unit_model as network_unit_model
    from spikeinterface_gen.validation.report import ValidationReport as ValidationReport
    from spikeinterface_gen.validation.two_sample import TwoSampleReport as TwoSampleReport
    from spikeinterface_gen.validation.two_sample import TwoSampleTest as TwoSampleTest
    from spikeinterface_gen.validation.two_sample import two_sample_tests as two_sample_tests
    from spikeinterface_gen.validation.validate import validate as validate
    from spikeinterface_gen.watermark import find_watermark as find_watermark


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
