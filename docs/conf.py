"""Sphinx configuration; `make docs` treats warnings as errors."""

import sys
import warnings
from pathlib import Path

import spikeinterface_gen

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "spikeinterface_gen"
author = "The spikeinterface_gen developers"
copyright = f"2026, {author}"
version = release = spikeinterface_gen.__version__

extensions = ["sphinx.ext.autodoc", "numpydoc", "sphinx_gallery.gen_gallery", "benchmark_results", "mathml"]
exclude_patterns = ["_build", "_ext"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say types and shapes in words
numpydoc_show_class_members = False

# The examples are run, and their figures and output shown. An example that fails is a warning, and so an error.
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "generated/gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "gallery_figures.in_reading_order",
    "image_scrapers": ("gallery_figures.saved_figures",),
    "reset_modules": ("matplotlib", "gallery_figures.fresh_folder"),
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_signature": False,
    "write_computation_times": False,
}
# What libraries beneath an example warn of is not the reader's concern.
warnings.filterwarnings("ignore", module=r"(elephant|neo|spikeinterface|lightning|quantities|sklearn)(\.|$)")

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "spikeinterface_gen"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sourcelink = False
# Pages without pages below them need no list of these.
html_sidebars = {
    name: [] for name in ("index", "model", "how_good", "alternatives", "ethics", "generated/gallery/tutorial")
}
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
