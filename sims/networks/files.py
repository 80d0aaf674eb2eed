"""Reading images from the files in which they are published: IDX (packed by gzip or not), and CIFAR's binary archive.

Nothing that is read is code: no pickle is ever opened. Whatever is truncated, foreign or damaged is told in one sentence.
"""

import gzip
import hashlib
import io
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np

from curriculode.theory.core.errors import InputError
from curriculode.theory.core.files import read_whole

_MOST = 2**29  # bytes of a file, and of what is in it
_ROW = 1 + 3072  # bytes of an image of CIFAR-10: its label, then red, green and blue


def _read(path: Path) -> bytes:
    try:
        return read_whole(path, "the file of images", _MOST)
    except OSError as error:
        raise InputError(f"the file of images {path} cannot be read: {error.strerror or error}") from None


def _unpacked(path: Path) -> bytes:
    """The content of a file, which gzip may have packed."""
    content = _read(path)
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            found = file.read(_MOST + 1)
    except (OSError, EOFError, zlib.error):
        raise InputError(f"the file of images {path} is truncated or damaged; fetch it again") from None
    if len(found) > _MOST:
        raise InputError(f"the file of images {path} holds more than {_MOST // 2**20} MB; give another file")
    return found


def _check(path: Path, content: bytes, sha256: str | None) -> None:
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(
            f"{path} is not the file it should be (its sha256 begins {hashlib.sha256(content).hexdigest()[:12]} and not "
            f"{sha256[:12]}); remove it, and fetch it again"
        )


def read_idx(path: Path, sha256: str | None = None) -> np.ndarray:
    """The array of bytes in a file in IDX form, of any shape.

    sha256 : of the unpacked content, by default not looked at

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "x").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
    ...     read_idx(Path(folder) / "x").tolist()
    [7, 8, 9]
    """
    content = _unpacked(path)
    if len(content) < 4 or content[:3] != b"\0\0\x08" or not 1 <= content[3] <= 4:
        raise InputError(f"{path} is no file of bytes in IDX form; give one such as train-images-idx3-ubyte.gz")
    head = 4 + 4 * content[3]
    shape = struct.unpack(f">{content[3]}I", content[4:head]) if len(content) >= head else ()
    size = int(np.prod(shape, dtype=object)) if shape else -1
    if size != len(content) - head:
        raise InputError(
            f"{path} is truncated or damaged: it should hold {size} bytes after its head and has {len(content) - head}"
        )
    _check(path, content, sha256)
    return np.frombuffer(content, dtype=np.uint8, offset=head).reshape(shape)


def read_cifar(path: Path, sha256: str | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images (n, 32, 32, 3) and labels (n,) for training, and for the test, in CIFAR-10's binary archive.

    sha256 : of the archive, by default not looked at
    """
    content = _read(path)
    _check(path, content, sha256)
    parts: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as archive:
            for member in archive:
                name = Path(member.name).name
                if member.isfile() and name.endswith(".bin") and member.size <= _MOST:
                    file = archive.extractfile(member)
                    parts[name] = b"" if file is None else file.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error):
        raise InputError(f"{path} is truncated, or no archive; give cifar-10-binary.tar.gz") from None
    batches = sorted(name for name in parts if name.startswith("data_batch"))
    if not batches or "test_batch.bin" not in parts:
        raise InputError(f"{path} holds no data_batch_1.bin and test_batch.bin; give the binary archive, cifar-10-binary.tar.gz")
    train, test = b"".join(parts[name] for name in batches), parts["test_batch.bin"]
    return (*_rows(path, train), *_rows(path, test))


def _rows(path: Path, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    if not content or len(content) % _ROW:
        raise InputError(f"{path} is damaged: a batch of {len(content)} bytes holds no whole number of images of {_ROW}")
    rows = np.frombuffer(content, dtype=np.uint8).reshape(-1, _ROW)
    labels = rows[:, 0]
    if labels.max() > 9:
        raise InputError(f"{path} is damaged, or not of CIFAR-10: it has the label {labels.max()}, and there are 10 classes")
    return np.moveaxis(rows[:, 1:].reshape(-1, 3, 32, 32), 1, -1), labels
