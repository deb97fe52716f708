"""Sphinx: MyST pages, executed where they hold code cells; maths drawn by a local MathJax."""

import hashlib
import importlib.util
import os
from pathlib import Path

import meanfield

HERE = Path(__file__).parent
os.environ.setdefault("TQDM_DISABLE", "1")  # pages show results, not bars

project = "meanfield"
author = "The meanfield developers"
copyright = author
version = release = meanfield.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "jupyter_execute", "_*.md"]  # made by myst_nb; parts of pages

# -- Pages ---------------------------------------------------------------------------------------
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

# -- Execution: a page that fails is an error ----------------------------------------------------
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_render_markdown_format = "myst"
nb_execution_show_tb = True
nb_merge_streams = True
nb_execution_timeout = 120
nb_execution_in_temp = True  # what a page writes is gone afterwards
nb_output_stderr = "warn"  # warnings of a page are warnings of the build
# What the pages run is the package: its outputs are kept for as long as its sources stay as they are.
_package = Path(meanfield.__file__).parent
_digest = hashlib.sha256()
for _source in sorted(_package.rglob("*.py")):
    _digest.update(_source.read_bytes())
nb_execution_cache_path = str(HERE / "_build" / ".jupyter_cache" / _digest.hexdigest()[:12])
os.environ["MATPLOTLIBRC"] = str(HERE / "matplotlibrc")
os.environ["MEANFIELD_DOCS"] = str(HERE)

# -- Reference -----------------------------------------------------------------------------------
autodoc_typehints = "none"  # docstrings say it with shapes and units
autodoc_member_order = "bysource"
autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False


def _leave_out(app, what, name, obj, skip, options):
    """A name of the package itself stands on its own page, not on those of its rooms, too."""
    again = name in meanfield.__all__ and getattr(meanfield, name) is obj
    return True if again and app.env.docname != "reference/core" else None


def setup(app):
    """Called by Sphinx."""
    app.connect("autodoc-skip-member", _leave_out)


# -- HTML ----------------------------------------------------------------------------------------
html_theme = "furo"
html_title = f"meanfield {release}"
html_static_path = ["_static"]
html_css_files = ["meanfield.css"]
html_copy_source = False
html_show_sourcelink = False
copybutton_prompt_text = r">>> |\.\.\. |\$ |In \[\d*\]: "
copybutton_prompt_is_regexp = True

# -- Maths without a network: one file of MathJax that holds its fonts ----------------------------
_mathjax = importlib.util.find_spec("sphinx-mathjax-offline")
if _mathjax is None or not _mathjax.submodule_search_locations:
    raise ImportError("formulas need MathJax's files: pip install '.[docs]'")
_mathjax_files = Path(_mathjax.submodule_search_locations[0]) / "static" / "mathjax"
html_static_path.append(str(_mathjax_files / "tex-svg.js"))
mathjax_path = "tex-svg.js"
mathjax3_config = {
    "options": {"enableMenu": False},  # its entries would load further files
    "svg": {"fontCache": "global"},
}
