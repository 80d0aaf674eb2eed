"""Downloading the files of a set of images, on request alone, each verified by its sha256 before it is in its place."""

from pathlib import Path
from typing import Any

from curriculode.sims.networks.catalogue import known, user_folder
from curriculode.sims.networks.data import EXTRA
from curriculode.sims.runs.progress import Progress
from curriculode.theory.core.arguments import checked
from curriculode.theory.core.checks import file_name, text, truth
from curriculode.theory.core.errors import InputError


class _Bar:
    """What pooch tells how much is there."""

    def __init__(self, name: str, enabled: bool | None) -> None:
        self._name, self._enabled, self._done = name, enabled, 0
        self._bar: Progress | None = None
        self.total = 0

    def update(self, count: int) -> None:
        """So many bytes more."""
        if self._bar is None:
            self._bar = Progress(f"fetching {self._name}", max(self.total, 1), self._enabled).__enter__()
        self._done += count
        self._bar.update(self._done)

    def reset(self) -> None:
        """It begins again."""
        self._done = 0

    def close(self) -> None:
        """It is over."""
        if self._bar is not None:
            self._bar.__exit__()


@checked(folder=file_name, source=text, quiet=truth)
def fetch(name: str, folder: str | Path | None = None, *, source: str | None = None, quiet: bool = False) -> list[Path]:
    """Download the files of a set of images; those that are there already stay.

    Parameters
    ----------
    name : str
        "fashion-mnist" or "cifar-10".
    folder : str or Path, optional
        Where to, by default the set's folder in the user's data folder, where it is looked for.
    source : str, optional
        Address of the folder that has the files, by default their authors'.
    quiet : bool, default False
        Whether there is no progress bar.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    InputError
        Where they cannot be had, or are not what they should be; nothing is left of those.
    """
    wanted = known(name)
    if not wanted.files:
        raise InputError(f"{name} need not be fetched; they come with scikit-learn: {EXTRA}")
    try:
        import pooch
        import requests
    except ImportError:
        raise InputError(f"fetching needs pooch, which is not installed; {EXTRA}") from None
    pooch.get_logger().setLevel("ERROR")
    target = user_folder() / name if folder is None else Path(folder)
    address = (wanted.address if source is None else source).rstrip("/") + "/"
    found = []
    for each in wanted.files:
        place = target / each.name
        if place.exists():
            if not place.is_file() or pooch.file_hash(str(place)) != each.packed:
                raise InputError(f"{place} exists and is not the file that would be fetched; remove it, or give another folder")
            found.append(place)
            continue
        bar: Any = _Bar(each.name, False if quiet else None)
        try:
            target.mkdir(parents=True, exist_ok=True)
            downloader = pooch.HTTPDownloader(progressbar=bar, timeout=60)
            pooch.retrieve(address + each.name, f"sha256:{each.packed}", each.name, target, downloader=downloader)
        except requests.RequestException as error:
            reason = str(error).split("(Caused")[0][:80]
            raise InputError(f"{address + each.name} cannot be had ({reason}); put the file into {target} by hand") from None
        except ValueError:  # pooch's word for another sha256, and for an address of another kind
            raise InputError(
                f"what {address} gives as {each.name} is another file (by its sha256); nothing is kept: try another source"
            ) from None
        except OSError as error:
            raise InputError(f"{place} cannot be written: {error.strerror or error}; give another folder") from None
        finally:
            bar.close()
        found.append(place)
    return found
