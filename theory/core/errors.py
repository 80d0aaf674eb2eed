"""The errors of the package. Each message is one sentence: what was given, what is allowed, what to do."""


class InputError(ValueError):
    """Something the user gave cannot be used: an argument, an experiment, a file."""
