"""Sphinx builds the documentation without the network: `tox -e docs`."""

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

from txevents import __version__

project = "txevents"
author = copyright = "txevents contributors"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]

myst_heading_anchors = 3
highlight_language = "none"  # for a fence that names no language

# Docstrings use single backticks for names: a link where it is one of the documented names.
default_role = "py:obj"
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
add_module_names = False

html_theme = "furo"
html_title = f"txevents {release}"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["txevents.css"]


def setup(app: Sphinx) -> None:
    """Leave consoles as they are: their lexer takes JSON in quotes for an error."""
    app.add_lexer("console", TextLexer)
