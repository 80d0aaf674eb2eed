"""How the student is trained: online SGD, one fresh example a step.

w_k <- (1 - eta kappa / D) w_k - (eta / sqrt(D)) e v_k g'(lambda_k) x
v_k <- (1 - eta_v kappa / D) v_k - (eta_v / D) e g(lambda_k)
"""

from typing import Annotated, Literal

from pydantic import Field

from curriculode.theory.description import Description


class OnlineSGD(Description):
    """Online stochastic gradient descent.

    learning_rate : eta >= 0, of the weights
    readout_learning_rate : eta_v >= 0, of the readout; by default eta
    weight_decay : kappa >= 0, of weights and trained readout
    loss : "squared", (f-y)^2/2, or "logistic", ln(1+exp(-y f))

    >>> OnlineSGD(learning_rate=1.5).eta_v
    1.5
    """

    learning_rate: Annotated[float, Field(ge=0, le=1e6)]
    readout_learning_rate: Annotated[float, Field(ge=0)] | None = None
    weight_decay: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    loss: Literal["squared", "logistic"] = "squared"

    @property
    def eta_v(self) -> float:
        """Learning rate of the readout."""
        return self.learning_rate if self.readout_learning_rate is None else self.readout_learning_rate
