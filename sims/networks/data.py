"""Real images as data: what a user writes down, and the arrays it stands for.

[data]
name = "fashion-mnist"
test = 2000
scaling = "standard"
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from curriculode.sims.networks.catalogue import Known, found, known, missing
from curriculode.sims.networks.files import read_cifar, read_idx
from curriculode.theory.core.description import Description
from curriculode.theory.core.errors import InputError
from curriculode.theory.tasks.images import ImageLevel
from curriculode.theory.tasks.level import Level

EXTRA = "pip install 'curriculode[networks]'"


class ImageData(Description):
    """A set of images with their classes.

    Levels of images take `pixel_noise` and `frame_scale`. Files are looked for in the folder given, else in $CURRICULODE_DATA, the
    user's data folder, and where Debian, torchvision and keras put them; nothing is downloaded unasked.

    Parameters
    ----------
    name : {"digits", "fashion-mnist", "cifar-10"}
        Which. The digits (1,797 images of 8 x 8) come with scikit-learn.
    scaling : {"standard", "unit"}, default "standard"
        Pixels less their mean over all training images, over their standard deviation; or from 0 to 1.
    test : int, optional
        Number of test images, the first ones; by default all.
    folder : str, optional
        Where the files are.

    Examples
    --------
    >>> ImageData(name="fashion-mnist").inputs
    784
    """

    name: Literal["digits", "fashion-mnist", "cifar-10"]
    scaling: Literal["standard", "unit"] = "standard"
    test: Annotated[int, Field(ge=1)] | None = None
    folder: str | None = None

    kind: ClassVar[str] = "set of images"
    level_type: ClassVar[type[Level]] = ImageLevel

    @property
    def known(self) -> Known:
        """What is known of the set, without its files."""
        return known(self.name)

    @property
    def inputs(self) -> int:
        """D, the number of pixels times channels."""
        return self.known.inputs

    def images(self) -> "Images":
        """Return the images; their files are verified.

        Returns
        -------
        Images
            Scaled images and their labels.

        Raises
        ------
        InputError
            Where files are missing or are not what they should be, and without scikit-learn for the digits.
        """
        return _images(self)


@dataclass(frozen=True)
class Images:
    """Images as arrays, scaled.

    train, test : (n, height, width, channels) of float32;  train_labels, test_labels : (n,) of int32
    fingerprint : sha256 of all of it, before it is scaled
    """

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    fingerprint: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        height, width, channels = self.train.shape[1:]
        return height, width, channels


@lru_cache(maxsize=2)
def _images(data: ImageData) -> Images:
    train, train_labels, test, test_labels = _raw(data.name, data.folder)
    digest = hashlib.sha256()
    for part in (train, train_labels, test, test_labels):
        digest.update(np.ascontiguousarray(part).tobytes())
    if data.test is not None and data.test > len(test):
        raise InputError(f"data.test = {data.test} is not allowed; {data.name} has {len(test)} test images")
    test, test_labels = test[: data.test], test_labels[: data.test]
    top = np.float32(train.max())
    mean, scale = np.float32(0.0), top
    if data.scaling == "standard":
        mean, scale = np.float32(train.mean(dtype=float)), np.float32(train.std(dtype=float))
    scaled = [((part.astype(np.float32) - mean) / scale).astype(np.float32) for part in (train, test)]
    labels = [part.astype(np.int32) for part in (train_labels, test_labels)]
    for array in (*scaled, *labels):
        array.flags.writeable = False
    return Images(scaled[0], labels[0], scaled[1], labels[1], digest.hexdigest())


def _raw(name: str, folder: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images (n, height, width, channels) and labels (n,), for training and for the test, as they are published."""
    if name == "digits":
        return _digits()
    paths, files = found(name, folder), known(name).files
    if paths is None:
        raise missing(name, folder)
    if name == "cifar-10":
        parts = read_cifar(paths[0], files[0].content)
    else:
        train, train_labels, test, test_labels = (read_idx(path, source.content) for path, source in zip(paths, files, strict=True))
        parts = (train[..., None], train_labels, test[..., None], test_labels)
    _check_shapes(paths[0].parent, known(name), *parts)
    return parts


def _check_shapes(folder: Path, expected: Known, *parts: np.ndarray) -> None:
    """Raise `InputError` for images of another size, or another number of them than there are labels."""
    for images, labels in zip(parts[::2], parts[1::2], strict=True):
        if images.shape[1:] != expected.shape or labels.shape != images.shape[:1]:
            raise InputError(
                f"the files in {folder} hold images of shape {images.shape} and labels of shape {labels.shape}; give the original "
                f"files, with images of {expected.shape} and a label each"
            )


def _digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scikit-learn's digits: every fifth is kept for the test."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise InputError(f"the digits come with scikit-learn, which is not installed; {EXTRA}") from None
    content = load_digits()
    images, labels = content.images[..., None].astype(np.uint8), content.target.astype(np.uint8)
    test = np.arange(len(images)) % 5 == 4
    # 359 images: one more is taken, so that the numbers are round.
    test[0] = True
    return images[~test], labels[~test], images[test], labels[test]
