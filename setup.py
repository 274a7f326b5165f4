import re
from pathlib import Path

from setuptools import find_namespace_packages, setup

HERE = Path(__file__).parent
INIT = (HERE / "spikeinterface_gen" / "__init__.py").read_text(encoding="utf-8")
README = HERE / "README.md"

# What the analyzer, the quality metrics and the comparison of sortings need comes with these extras.
SPIKEINTERFACE = "spikeinterface[preprocessing,postprocessing,metrics,comparison,generation]>=0.105"

setup(
    name="spikeinterface-gen",
    version=re.search(r'^__version__ = "(.+)"$', INIT, re.MULTILINE).group(1),
    description="Generative models of neural populations for SpikeInterface, Neo and Elephant",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="MIT",
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Bio-Informatics",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    packages=find_namespace_packages(include=["spikeinterface_gen", "spikeinterface_gen.*"]),
    include_package_data=True,
    entry_points={"console_scripts": ["spikeinterface-gen=spikeinterface_gen.cli:main"]},
    install_requires=[
        "elephant>=1.1",
        "lightning>=2.4",
        "matplotlib>=3.8",
        "neo>=0.14.5",
        "numpy>=2.0",
        "pandas>=2.2",
        "probeinterface>=0.4",
        "psutil>=5.9",
        "quantities>=0.16",
        "safetensors>=0.4.3",
        "scikit-learn>=1.5",
        "scipy>=1.13",
        SPIKEINTERFACE,
        "threadpoolctl>=3.0",
        "torch>=2.9",
        "tqdm>=4.66",
    ],
    extras_require={
        "networkunit": ["networkunit>=0.2.2"],
        "nix": ["nixio>=1.5.4"],
        "nwb": ["h5py>=3.10", "pynwb>=2.8"],
        "sorters": [
            "spikeinterface[lupin,sortingcomponents,spykingcircus2,tridesclous2]>=0.105",
            "statsmodels>=0.14.4",
        ],
        "tune": ["ray[tune]>=2.40"],
        "widgets": ["ipywidgets>=8"],
        "docs": [
            "latex2mathml>=3.77",
            "numpydoc>=1.8",
            "pydata-sphinx-theme>=0.16",
            "sphinx>=8",
            "sphinx-gallery>=0.18",
        ],
        "test": [
            "diffusers>=0.35",
            "h5py>=3.10",
            "hypothesis>=6.100",
            "ipywidgets>=8",
            "mearec>=1.11",
            "mypy>=1.13",
            "networkunit>=0.2.2",
            "nixio>=1.5.4",
            "pytest>=8.3",
            "ruff>=0.8",
            "setuptools>=77",
            "viziphant>=0.4",
        ],
    },
)
