"""The XOR-like Gaussian mixture: four clouds at +mu_a, -mu_a (label +1) and +mu_b, -mu_b (label -1).

    x = gain * (+-mu_p) / sqrt(D) + sigma z,      mu_a . mu_b = 0,   |mu_p|^2 / D = separation,   z ~ N(0, 1)

A level sets `noise` = sigma, and `fading` = the gain (>= 1) of the centroids on a fraction `faded_fraction` of the inputs
(1 on the others). Refinetti, Goldt, Krzakala, Zdeborova (2102.11742); Ben Arous, Gheissari, Jagannath (2206.04030);
Sarao Mannelli, Ivashynka, Saxe, Saglietti (2406.01589).
"""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from curriculode.theory.core.description import LARGEST, NOT_TINY, PART
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.tasks.example_law import ExampleLaw
from curriculode.theory.tasks.level import Level
from curriculode.theory.tasks.strata import on_support
from curriculode.theory.tasks.task import Task, register_task


class XorLevel(Level):
    """Level of an XOR mixture.

    Parameters
    ----------
    noise : float, optional
        sigma, the standard deviation of the clouds, >= 0.
    fading : float, optional
        Gain of the centroids on the faded fraction, >= 1.
    """

    noise: Annotated[float, Field(ge=0, le=LARGEST), NOT_TINY] | None = None
    fading: Annotated[float, Field(ge=1, le=LARGEST)] | None = None


@register_task
class XorMixture(Task):
    """The XOR-like Gaussian mixture: four clouds at +mu_a, -mu_a (label +1) and +mu_b, -mu_b (label -1).

    An example is::

        x = gain * (+-mu_p) / sqrt(D) + sigma z,      mu_a . mu_b = 0,   |mu_p|^2 / D = separation,   z ~ N(0, 1)

    Refinetti, Goldt, Krzakala, Zdeborova (2102.11742); Ben Arous, Gheissari, Jagannath (2206.04030); Sarao Mannelli,
    Ivashynka, Saxe, Saglietti (2406.01589).

    Parameters
    ----------
    kind : {"xor-mixture"}
        Its name in files.
    separation : float, default 1.0
        mu . mu / D of each centroid, > 0 (1e-15 to 1e6).
    faded_fraction : float, default 0.0
        Fraction of the inputs on which a level's `fading` acts, in [0, 1]; strictly between 0 and 1 (by at least 1e-9) the
        inputs form two blocks (amplified, plain).
    support : float, default 1.0
        Share of the inputs, in (0, 1], on which the centroids are non-zero (of each block as many, for both centroids the same).
        Dense training does not see it; masks do.
    labels : {"clusters", "random", "one"}, default "clusters"
        Those of the clusters; or +1 and -1 as often in each cluster; or +1 for all. To begin with other labels and go on with the
        task, train with them first, and take the state for the start (Frankle, Schwab & Morcos 2020, 2002.10365).

    Examples
    --------
    >>> XorMixture(separation=2.0).reference_overlap()
    array([[[2., 0.],
            [0., 2.]]])
    """

    kind: Literal["xor-mixture"] = "xor-mixture"
    separation: Annotated[float, Field(gt=0, le=LARGEST), NOT_TINY] = 1.0
    faded_fraction: Annotated[float, Field(ge=0, le=1), PART] = 0.0

    support: Annotated[float, Field(gt=0, le=1), PART] = 1.0
    labels: Literal["clusters", "random", "one"] = "clusters"

    level_type: ClassVar[type[Level]] = XorLevel
    observable_names: ClassVar[tuple[str, ...]] = ("generalization_error", "classification_error", "covered_clusters")

    @property
    def reference_names(self) -> tuple[str, ...]:
        """Names of the two centroids."""
        return ("a", "b")

    def block_fractions(self) -> np.ndarray:
        """Return the fraction phi_b of the inputs in each block.

        Returns
        -------
        ndarray of shape (blocks,)
            The faded fraction and the rest, those above 0.
        """
        split = np.array([self.faded_fraction, 1.0 - self.faded_fraction])
        return split[split > 0]

    def reference_overlap(self) -> np.ndarray:
        """Return the overlaps T^b_pq = u_p . u_q / D of the centroids within each block b.

        Returns
        -------
        ndarray of shape (blocks, 2, 2)
            Diagonal.
        """
        return self.block_fractions()[:, None, None] * self.separation * np.eye(2)

    def strata(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the shares of the coordinates with and without centroids, and the overlaps of the centroids there.

        Returns
        -------
        shares : ndarray of shape (blocks, strata)
            Of all coordinates.
        overlaps : ndarray of shape (blocks, strata, 2, 2)
            All of T^b on the support.
        """
        return on_support(self.support, self.block_fractions(), self.reference_overlap())

    def example_law(self, level: Any) -> ExampleLaw:
        """Return the law of the examples of a level; components are +a, -a, +b, -b, with random labels each of them twice.

        Parameters
        ----------
        level : Level
            With `noise`, and `fading` where a fraction of the inputs is faded.

        Returns
        -------
        ExampleLaw
            The law.

        Raises
        ------
        InputError
            For a level without noise, and for a fading that acts on no inputs.
        """
        level = self.own_level(level)
        if level.noise is None:
            raise InputError(
                f"level {shown(level.name)} of an XOR mixture needs 'noise', the standard deviation of each cloud (>= 0)"
            )
        gain_on_block = np.array([1.0 if level.fading is None else level.fading, 1.0])
        if gain_on_block[0] != 1.0 and self.faded_fraction == 0.0:
            raise InputError(
                f"level {shown(level.name)} has fading {level.fading}, but faded_fraction is 0: "
                "set task.faded_fraction to the fraction of inputs on which it acts (in (0, 1])"
            )
        gain_on_block = gain_on_block[np.array([self.faded_fraction > 0, self.faded_fraction < 1])]
        signs = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        label = np.array([1.0, 1.0, -1.0, -1.0]) if self.labels == "clusters" else np.ones(4)
        if self.labels == "random":
            signs, label = np.concatenate([signs, signs]), np.repeat([1.0, -1.0], 4)
        return ExampleLaw(
            probability=np.full(label.size, 1.0 / label.size),
            gain=signs[:, :, None] * gain_on_block,
            scale=np.full(gain_on_block.size, level.noise),
            label=label,
        )

    def definitions(self) -> list[str]:
        """Return fields and blocks in words.

        Returns
        -------
        list of str
            A line each.
        """
        told = {
            "clusters": "±a (y = 1) and ±b (y = -1)",
            "random": "±a and ±b (y = 1 or -1, each as often)",
            "one": "±a and ±b (y = 1)",
        }
        lines = [
            f"fields of the components {told[self.labels]}: E λ_k = ±M_kp, Cov(λ_k, λ_l) = s² Q_kl, "
            f"|u_p|²/D = {self.separation:g}; s is the level's noise"
        ]
        if self.block_fractions().size > 1:
            lines.append(f"blocks b: amplified (φ = {self.faded_fraction:g}, means times the level's fading) and plain")
        return lines
