"""The errors of the package. Each message is one sentence: what was given, what is allowed, what to do."""

import reprlib
from typing import Any

LONGEST = 300  # letters of a message
_HEAD = 130  # of them what comes before the cut: what was given; after it what is allowed, and what to do
_MANY_DIGITS = 30


class InputError(ValueError):
    """Something the user gave cannot be used: an argument, an experiment, a file: one sentence on one line.

    Parameters
    ----------
    message : str
        What was given, what is allowed, what to do; beyond 300 letters its middle is left out.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(message))


def one_line(message: str, longest: int = LONGEST) -> str:
    """`message` on one line of at most `longest` letters: what is too long loses its middle, where values stand.

    >>> one_line("rate = " + 300 * "1" + "; give a number", 40)
    'rate = 1111111111 ... 111; give a number'
    """
    if len(message) > 8 * longest:  # nobody's letters are looked at one by one who gave a million of them
        message = f"{message[: 4 * longest]} ... {message[-4 * longest :]}"
    letters = (letter if letter.isprintable() else " " if letter.isspace() else ascii(letter)[1:-1] for letter in message)
    text = " ".join("".join(letters).split())
    if len(text) <= longest:
        return text
    head = _HEAD * longest // LONGEST
    return f"{text[:head].rstrip()} ... {text[-(longest - head - 5) :].lstrip()}"


def shown(value: Any) -> str:
    """A value in a message, in a few words whatever it is: `repr` for what is small, and never an exception.

    >>> shown([1, "two", None]), shown(10**5000)
    ("[1, 'two', None]", 'a whole number of about 5001 digits')
    """
    try:
        return one_line(_REPR.repr(value), _REPR.maxother)
    except Exception:  # a class of the user's, whose own repr fails
        return f"a {type(value).__name__}"


class _Repr(reprlib.Repr):
    """`repr` of a few items and letters; Python refuses to write numbers of thousands of digits, and this does not try."""

    def repr_int(self, x: int, level: int) -> str:
        digits = int(abs(x).bit_length() * 0.30103) + 1
        return repr(x) if digits <= _MANY_DIGITS else f"a whole number of about {digits} digits"

    def repr_instance(self, x: Any, level: int) -> str:
        return one_line(repr(x), self.maxother)


_REPR = _Repr()
_REPR.maxlevel, _REPR.maxother, _REPR.maxstring, _REPR.maxlist, _REPR.maxtuple, _REPR.maxdict = 4, 90, 80, 8, 8, 8
