"""Standard output and error that may be closed, full, or unable to hold a letter: no reason to lose a result."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Stream:
    """A text stream whose writing never fails: what it cannot hold is escaped, and when nobody reads any more nothing is written.

    failure : why what was written is lost, or None; a reader that left (`| head`) wanted no more, which is no failure
    """

    def __init__(self, stream: Any) -> None:
        self._stream, self._gone = stream, stream is None
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        """Write the text as far as it goes."""
        if not self._gone:
            try:
                try:
                    self._stream.write(text)
                except UnicodeEncodeError:
                    encoding = self._stream.encoding or "ascii"
                    self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            except (OSError, ValueError) as error:  # a closed file is a ValueError
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Hand on what was written."""
        if not self._gone:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._lose(error)

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return not self._gone and bool(self._stream.isatty())

    def _lose(self, error: OSError | ValueError) -> None:
        self._gone = True
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            self.failure = error
        try:  # what is still in its buffer goes nowhere, without another complaint when Python ends
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        except (OSError, ValueError, AttributeError):
            pass

    def __getattr__(self, name: str) -> Any:
        if self._stream is None:
            raise AttributeError(name)
        return getattr(self._stream, name)


@contextmanager
def lasting() -> Iterator[Stream]:
    """Standard output and error as such streams; standard output is returned."""
    before = sys.stdout, sys.stderr
    out, error = Stream(sys.stdout), Stream(sys.stderr)
    sys.stdout, sys.stderr = out, error
    try:
        yield out
    finally:
        out.flush()
        error.flush()
        sys.stdout, sys.stderr = before
