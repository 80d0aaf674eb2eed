"""The student: a committee f(x) = sum_k v_k g(lambda_k), lambda_k = w_k . x / sqrt(D)."""

from typing import Annotated, Literal

from pydantic import Field

from .activations import Activation, activation
from .description import Description

ActivationName = Literal["erf", "relu", "gelu", "linear", "quadratic", "tanh"]


class Committee(Description):
    """A two-layer network of K = `width` hidden units.

    width : K >= 1
    activation : erf, relu, gelu, linear, quadratic or tanh
    readout : "trained" by SGD, or "fixed" at its initial value
    weight_scale : standard deviation of the components of the initial w_k, > 0
    readout_scale : scale of the initial v_k, > 0
    readout_start : "gaussian", v_k ~ N(0, readout_scale^2), or "equal", v_k = readout_scale (the soft committee)

    >>> Committee(width=4, activation="gelu").width
    4
    """

    width: Annotated[int, Field(ge=1)]
    activation: ActivationName = "erf"
    readout: Literal["trained", "fixed"] = "trained"
    weight_scale: Annotated[float, Field(gt=0)] = 1.0
    readout_scale: Annotated[float, Field(gt=0)] = 1.0
    readout_start: Literal["gaussian", "equal"] = "gaussian"

    @property
    def g(self) -> Activation:
        """The activation as functions."""
        return activation(self.activation)
