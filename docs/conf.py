"""How the site is built: `sphinx-build -W --keep-going -n docs docs/_build`, with the extra "docs"."""

import hashlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext")]
os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # says nothing of frozen modules in every kernel

from curriculode import __version__  # noqa: E402


def sources() -> str:
    """A name for all sources of the package: pages executed by others are executed anew."""
    digest = hashlib.sha256()
    for floor in ("theory", "sims", "figures", "curriculode/cli"):
        for path in sorted((HERE.parent / floor).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


project = "curriculode"
author = "The curriculode authors"
copyright = author
release = version = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "numpydoc",
    "where",
    "public",
    "settings",
    "commands",
    "equations",
    "pictures",
    "sliders",
]
exclude_patterns = ["_build"]
templates_path: list[str] = []

# Pages: Markdown with mathematics; those with code are executed once, and again where the package's own sources have changed.
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_build" / f"executed-{sources()}")
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

# Docstrings.
default_role = "code"
numpydoc_show_class_members = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
add_module_names = False
nitpick_ignore = [("py:obj", "level_type")]  # of a task: described with `Task`

# Mathematics: one file of MathJax that draws its own letters, served with the pages, so that they need no network.
_mathjax = find_spec("sphinx-mathjax-offline")
if _mathjax is None or _mathjax.origin is None:
    raise SystemExit("sphinx-mathjax-offline is missing: pip install -e '.[docs]'")
mathjax_path = "tex-svg.js"
mathjax3_config = {"svg": {"fontCache": "global"}}

html_theme = "furo"
html_title = f"curriculode {__version__}"
html_static_path = ["_static", str(Path(_mathjax.origin).parent / "static" / "mathjax" / "tex-svg.js")]
html_css_files = ["curriculode.css"]
smartquotes = False  # keys and values are printed as they are written
html_show_sourcelink = False
html_copy_source = False
