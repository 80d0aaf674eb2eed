"""Tickets at finite D: real masks on the weights."""
