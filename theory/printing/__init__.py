"""The equations of an experiment as text and LaTeX."""
