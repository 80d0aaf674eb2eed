"""Integration under error control: knows dynamics, and no Q, M, v."""
