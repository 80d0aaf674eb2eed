"""Files of the user's: read whole, but never without an end."""

from pathlib import Path

from curriculode.theory.core.errors import InputError


def read_whole(path: Path, what: str, most: int) -> bytes:
    """The bytes of a file, `what` in words; raises OSError, or `InputError` for more than `most` (some devices have no end).

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "x").write_text("abc")
    ...     read_whole(Path(folder) / "x", "the note", 10)
    b'abc'
    """
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise InputError(f"{what} {path} is larger than {most // 2**20} MB; give another file")
    return content
