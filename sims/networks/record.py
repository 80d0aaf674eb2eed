"""The records of real networks: as those of the theory, with a level for every error."""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from curriculode.sims.networks.describe import NetworkExperiment
from curriculode.sims.pairs.instability import Instability
from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.errors import InputError
from curriculode.theory.results.record import Record
from curriculode.theory.results.two_times import TwoTimes

if TYPE_CHECKING:
    import pandas as pd

MIXTURE = "mixture"


class OfNetworks(Record):
    """A record whose experiment is one of networks."""

    kind: ClassVar[str] = "network-record"
    described_by: ClassVar[type[Any]] = NetworkExperiment

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the levels, from easy to hard."""
        return tuple(level.name for level in self.experiment.protocol.levels)

    @property
    def data(self) -> str:
        """The sha256 of the images."""
        return str(self.statistics["data"])

    def _facts(self) -> dict[str, str]:
        """What is said of the record in a few words."""
        experiment: Any = self.experiment
        network, training = experiment.network, experiment.training
        facts = {
            "data": f"{experiment.data.name}, {experiment.examples} examples",
            "network": f"{network.kind}, width {network.size}, depth {network.depth}",
            "training": f"{training.optimizer}, rate {training.learning_rate:g}, {experiment.protocol.order} order",
        }
        facts["arrays"] = ", ".join(f"{name} {value.shape}" for name, value in self.arrays.items())
        return {**facts, "status": self.status}


class NetworkRuns(TwoTimes, OfNetworks):
    """Networks in training, one a seed.

    Made by `networks.train` and `load_record`; its constructor is that of `Record`.

    Attributes
    ----------
    t : ndarray of shape (times,)
        Examples seen per input.
    run : ndarray of int of shape (runs,)
        Numbers of the runs.
    classification_error : ndarray of shape (runs, times, levels)
        Share of the test images whose class is not told, at each level; NaN from where a run diverged.
    loss : ndarray of shape (runs, times, levels)
        Mean loss on the test images.
    """

    kind: ClassVar[str] = "networks"
    lead: ClassVar[tuple[str, ...]] = ("run", "time")
    dimensions: ClassVar[dict[str, tuple[str, ...]]] = {
        "t": ("time",),
        "run": ("run",),
        "classification_error": ("run", "time", "level"),
        "loss": ("run", "time", "level"),
        "remembered": ("memory",),
        "changed_signs": ("run", "time", "memory"),
        "common_weights": ("run", "time", "memory", "share"),
        "distance": ("run", "time", "memory"),
        "cosine": ("run", "time", "memory"),
    }
    needed: ClassVar[tuple[str, ...]] = ("t", "run", "classification_error", "loss")
    t: np.ndarray
    run: np.ndarray
    classification_error: np.ndarray
    loss: np.ndarray

    @checked(level=inside)
    def error(self, level: str | None = None) -> np.ndarray:
        """Return the classification error at a level, or on the mixture that the protocol shows.

        Parameters
        ----------
        level : str, optional
            Name of a level, or "mixture", which is the default.

        Returns
        -------
        ndarray of shape (runs, times)
            The error.

        Raises
        ------
        InputError
            For a level that there is not.
        """
        return at_level(self.experiment, self.classification_error, level)

    @checked(s=inside)
    def two_time(self, s: float = 0.0) -> np.ndarray:
        """Raise `InputError`: networks of layers have no overlaps C_lk(t, s); see `weight_correlation` and the other indicators.

        Parameters
        ----------
        s : float, default 0.0
            A time that was remembered.

        Returns
        -------
        ndarray
            Never.
        """
        raise InputError("networks have layers of their own sizes, and no overlaps of all units; ask for weight_correlation(share)")

    @checked(s=inside)
    def weight_distance(self, s: float = 0.0) -> np.ndarray:
        """Return the root mean square change of a weight since s, over all layers but the readout.

        Parameters
        ----------
        s : float, default 0.0
            A time that was remembered.

        Returns
        -------
        ndarray of shape (runs, times)
            At least 0; NaN before s.
        """
        return np.take(self.arrays["distance"], self._memory(s), axis=2)

    @checked(s=inside)
    def weight_cosine(self, s: float = 0.0) -> np.ndarray:
        """Return the cosine between all weights at t and at s, but for the readout's.

        Parameters
        ----------
        s : float, default 0.0
            A time that was remembered.

        Returns
        -------
        ndarray of shape (runs, times)
            In [-1, 1]; NaN before s.
        """
        return np.take(self.arrays["cosine"], self._memory(s), axis=2)

    def to_frame(self) -> "pd.DataFrame":
        """Return the runs as a table.

        Returns
        -------
        DataFrame
            One row a run, time and level, "mixture" the last of them: run, t, level, classification_error, loss.
        """
        import pandas as pd

        levels = (*self.levels, MIXTURE)
        shares = np.array(self.experiment.protocol.shares)
        columns = {}
        for name in ("classification_error", "loss"):
            value = self.arrays[name]
            columns[name] = np.concatenate([value, (value @ shares)[..., None]], axis=-1).ravel()
        runs, times, count = self.run.size, self.t.size, len(levels)
        labels = {
            "run": np.repeat(self.run, times * count),
            "t": np.tile(np.repeat(self.t, count), runs),
            "level": np.tile(np.array(levels), runs * times),
        }
        return pd.DataFrame({**labels, **columns})


class NetworkInstability(OfNetworks, Instability):
    """The barrier between copies of real networks at the end of training, against the time k at which they part.

    Made by `networks.instability` and `load_record`; its constructor is that of `Record`, its arrays those of `Instability`.
    """

    kind: ClassVar[str] = "network-instability"


def libraries() -> dict[str, str]:
    """Versions of what computes networks."""
    from importlib.metadata import version

    import jax

    return {"jax": version("jax"), "device": jax.devices()[0].device_kind}


def at_level(experiment: Any, values: np.ndarray, level: Any) -> np.ndarray:
    """Values (..., levels) at a level, or on the mixture."""
    names = [each.name for each in experiment.protocol.levels]
    if level is None or level == MIXTURE:
        mixture: np.ndarray = values @ np.array(experiment.protocol.shares)
        return mixture
    experiment.protocol.level(level)  # raises for a name that is not known
    found: np.ndarray = values[..., names.index(level)]
    return found
