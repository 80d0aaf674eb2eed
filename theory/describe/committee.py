"""The student: a committee f(x) = sum_k v_k g(lambda_k), lambda_k = w_k . x / sqrt(D)."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from curriculode.theory.core.description import LARGEST, NOT_TINY, Description
from curriculode.theory.core.errors import InputError
from curriculode.theory.units.activations import Activation, activation


def _known(name: str) -> str:
    return activation(name).name


ActivationName = Annotated[str, AfterValidator(_known)]


class Committee(Description):
    """A two-layer network f(x) = sum_k v_k g(lambda_k), lambda_k = w_k . x / sqrt(D), of K = `width` hidden units.

    Parameters
    ----------
    width : int
        K, from 1 to 10000.
    activation : str, default "erf"
        erf, relu, gelu, linear, quadratic, tanh, hermite-n (n = 1 to 12), or a registered one.
    readout : {"trained", "fixed"}, default "trained"
        Trained by SGD, or fixed at its initial value.
    weight_scale : float, default 1.0
        Standard deviation of the components of the initial w_k, > 0 (1e-15 to 1e6).
    readout_scale : float or {"1/sqrt(K)", "1/K"}, default 1.0
        Scale of the initial v_k: a number > 0 (1e-15 to 1e6), or one that follows the width.
    readout_start : {"gaussian", "equal"}, default "gaussian"
        v_k ~ N(0, readout_scale^2), or v_k = readout_scale (the soft committee).
    pairs : bool, default False
        Whether the units start in pairs (w, v), (w, -v), whose outputs cancel: f = 0 at the start. `width` is even then.

    Raises
    ------
    InputError
        For pairs of an odd number of units.

    Examples
    --------
    >>> Committee(width=4, activation="gelu", readout_scale="1/sqrt(K)").v_scale
    0.5
    """

    width: Annotated[int, Field(ge=1, le=10_000)]
    activation: ActivationName = "erf"
    readout: Literal["trained", "fixed"] = "trained"
    weight_scale: Annotated[float, Field(gt=0, le=LARGEST), NOT_TINY] = 1.0
    readout_scale: Annotated[float, Field(gt=0, le=LARGEST), NOT_TINY] | Literal["1/sqrt(K)", "1/K"] = 1.0
    readout_start: Literal["gaussian", "equal"] = "gaussian"
    pairs: bool = False

    @model_validator(mode="after")
    def _even(self) -> "Committee":
        if self.pairs and self.width % 2:
            raise InputError(f"width = {self.width} is no number of pairs; with pairs = true use an even width")
        return self

    @property
    def v_scale(self) -> float:
        """`readout_scale` as a number."""
        powers = {"1/sqrt(K)": -0.5, "1/K": -1.0}
        return self.width ** powers[self.readout_scale] if isinstance(self.readout_scale, str) else self.readout_scale

    @property
    def g(self) -> Activation:
        """The activation as functions."""
        return activation(self.activation)
