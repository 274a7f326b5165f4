"""Sphinx configuration; `make docs` treats warnings as errors."""

import spikeinterface_gen

project = "spikeinterface_gen"
author = "The spikeinterface_gen developers"
copyright = f"2026, {author}"
version = release = spikeinterface_gen.__version__

extensions = ["sphinx.ext.autodoc", "numpydoc"]
exclude_patterns = ["_build"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say types and shapes in words
numpydoc_show_class_members = False

html_theme = "alabaster"
html_theme_options = {"description": "Synthetic spikes you can trust", "page_width": "1100px"}
