"""The sets of images that are known: their files with hashes, where they come from, and where they are looked for.

Hashes are sha256. Those of files in IDX form are of the content, however it was packed: Debian and Zalando pack the same images.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError

VARIABLE = "CURRICULODE_DATA"


@dataclass(frozen=True)
class Source:
    """A file of a set of images.

    name : as it is published;  content : sha256 of what it holds, unpacked for IDX files, else of the file itself
    packed : sha256 of the file as it is published
    """

    name: str
    content: str
    packed: str


@dataclass(frozen=True)
class Known:
    """A set of images.

    shape : (height, width, channels);  train, test : numbers of images;  classes : number of them
    files : none where a library brings it along;  address : of the folder that has them;  places : where others keep them
    debian : the package of Debian that has the files
    """

    shape: tuple[int, int, int]
    train: int
    test: int
    classes: int
    files: tuple[Source, ...] = ()
    address: str = ""
    places: tuple[str, ...] = ()
    debian: str = ""

    @property
    def inputs(self) -> int:
        """D, the number of pixels times channels."""
        height, width, channels = self.shape
        return height * width * channels


KNOWN = {
    "digits": Known(shape=(8, 8, 1), train=1437, test=360, classes=10),
    "fashion-mnist": Known(
        shape=(28, 28, 1),
        train=60_000,
        test=10_000,
        classes=10,
        files=(
            Source(
                "train-images-idx3-ubyte.gz",
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            Source(
                "train-labels-idx1-ubyte.gz",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            Source(
                "t10k-images-idx3-ubyte.gz",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            Source(
                "t10k-labels-idx1-ubyte.gz",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
        address="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        places=(
            "/usr/share/datasets/fashion-mnist",
            "data/FashionMNIST/raw",
            "~/data/FashionMNIST/raw",
            "~/.keras/datasets/fashion-mnist",
        ),
        debian="dataset-fashion-mnist",
    ),
    "cifar-10": Known(
        shape=(32, 32, 3),
        train=50_000,
        test=10_000,
        classes=10,
        files=(
            Source(
                "cifar-10-binary.tar.gz",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
        address="https://www.cs.toronto.edu/~kriz/",
        places=("data", "~/data", "~/.keras/datasets"),
    ),
}
# Below a folder of data, torchvision and others keep a set of images in a folder of its own.
_FOLDERS = {"fashion-mnist": ("fashion-mnist", "FashionMNIST/raw"), "cifar-10": ("cifar-10",)}


def known(name: str) -> Known:
    """What is known of the set of images called `name`."""
    if name not in KNOWN:
        raise InputError(unknown("data", name, list(KNOWN)))
    return KNOWN[name]


def user_folder() -> Path:
    """The user's folder of data, where `fetch` puts files."""
    return Path(platformdirs.user_data_path("curriculode"))


def folders(name: str, given: str | Path | None = None) -> list[Path]:
    """The folders in which a set of images is looked for, in order; a given one alone."""
    if given is not None:
        roots = [Path(given)]
    else:
        roots = [Path(os.environ[VARIABLE])] if os.environ.get(VARIABLE) else []
        roots.append(user_folder())
    inside = [root / folder for root in roots for folder in ("", *_FOLDERS.get(name, ()))]
    others = [] if given is not None else [Path(place).expanduser() for place in known(name).places]
    return [*inside, *others]


def found(name: str, given: str | Path | None = None) -> list[Path] | None:
    """The files of a set of images, all in one folder, packed or unpacked; None where no folder has all of them."""
    files = known(name).files
    for folder in folders(name, given):
        paths = []
        for source in files:
            names = [source.name, *([source.name.removesuffix(".gz")] if "-ubyte" in source.name else [])]
            here = [folder / each for each in names if _is_file(folder / each)]
            paths += here[:1]
        if len(paths) == len(files):
            return paths
    return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def missing(name: str, given: str | Path | None = None) -> InputError:
    """What is said where the files are in no folder: which, where, and from where."""
    set_ = known(name)
    names = set_.files[0].name if len(set_.files) == 1 else f"{set_.files[0].name} and {len(set_.files) - 1} more"
    where = f"in {given}" if given is not None else f"in ${VARIABLE}, {user_folder()} or known places"
    debian = f", apt install {set_.debian}" if set_.debian else ""
    return InputError(f"{name} ({names}) is not found {where}; `curriculode data fetch {name}` downloads it{debian}")
