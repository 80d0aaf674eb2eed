"""The networks: perceptrons of any depth, and small convolutional ones; what they are, not how they are computed."""

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from curriculode.theory.core.arguments import checked, whole
from curriculode.theory.core.checks import plain, whole_number
from curriculode.theory.core.description import LARGEST, Description
from curriculode.theory.core.errors import InputError, shown

MOST_WEIGHTS = 10**8
_MOST_DEPTH = 32


def _image(name: str, value: Any) -> tuple[int, int, int]:
    """Height, width and channels."""
    sizes = plain(value)
    if not isinstance(sizes, (list, tuple)) or len(sizes) != 3:
        raise InputError(f"{name} = {shown(value)} is not allowed; give height, width and channels, such as (28, 28, 1)")
    height, width, channels = (whole_number(name, size, 1, 10**5) for size in sizes)
    return height, width, channels


class Network(Description):
    """What every network has; `kind` is its name in files.

    Parameters
    ----------
    kind : str
        Its name in files.
    depth : int, default 1
        Number of hidden layers.
    activation : {"relu", "gelu", "erf", "tanh", "linear"}, default "relu"
        g, of all hidden units.
    weight_scale : float, default 1.0
        Initial weights are N(0, weight_scale^2 a / fan-in), a = 2 for ReLU and GELU and 1 for the others (He et al. 2015); those
        of the last layer have a = 1. Biases begin at 0.
    """

    kind: str
    depth: Annotated[int, Field(ge=1, le=_MOST_DEPTH)] = 1
    activation: Literal["relu", "gelu", "erf", "tanh", "linear"] = "relu"
    weight_scale: Annotated[float, Field(gt=0, le=LARGEST)] = 1.0

    def shapes(self, image: tuple[int, int, int], classes: int) -> list[tuple[int, ...]]:
        """Return the shape of the weights of each layer, units first.

        Parameters
        ----------
        image : (int, int, int)
            Height, width and channels.
        classes : int
            Number of outputs.

        Returns
        -------
        list of tuple of int
            (units, inputs) of a dense layer, (filters, 3, 3, channels) of a convolution.
        """
        raise NotImplementedError

    @property
    def size(self) -> int:
        """The width K that figures speak of: that of the first hidden layer."""
        raise NotImplementedError


class MLP(Network):
    """A multi-layer perceptron: `depth` hidden layers of `width` units each, and a linear readout of the classes.

    Parameters
    ----------
    kind : {"mlp"}
        Its name in files.
    depth : int, default 1
        Number of hidden layers.
    activation : {"relu", "gelu", "erf", "tanh", "linear"}, default "relu"
        g, of all hidden units.
    weight_scale : float, default 1.0
        Of initial weights, in units of He's initialisation.
    width : int or sequence of int, default 50
        Units of every hidden layer, or of each; then the depth is their number.

    Examples
    --------
    >>> MLP(width=[100, 50]).shapes((8, 8, 1), 10)
    [(100, 64), (50, 100), (10, 50)]
    """

    kind: Literal["mlp"] = "mlp"
    width: int | tuple[int, ...] = 50

    @field_validator("width", mode="before")
    @classmethod
    def _widths(cls, value: Any) -> Any:
        several = isinstance(value, (list, tuple))
        given = [int(each) if isinstance(each, float) and each.is_integer() else each for each in (value if several else [value])]
        if not given or any(isinstance(each, bool) or not isinstance(each, int) or not 1 <= each <= MOST_WEIGHTS for each in given):
            raise InputError(f"MLP: width = {shown(value)} is not allowed; give a whole number of at least 1, or a list of them")
        return tuple(given) if several else given[0]

    @model_validator(mode="before")
    @classmethod
    def _depth_of_widths(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("width"), (list, tuple)):
            count = len(values["width"])
            if values.get("depth", 1) not in (1, count):
                raise InputError(f"MLP: depth = {shown(values['depth'])} is not allowed with {count} widths; leave it out")
            values = {**values, "depth": count}
        return values

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return self.width if isinstance(self.width, tuple) else (self.width,) * self.depth

    @property
    def size(self) -> int:
        """The width of the first hidden layer."""
        return self.widths[0]

    @checked(image=_image, classes=whole(1, 10**6))
    def shapes(self, image: tuple[int, int, int], classes: int) -> list[tuple[int, ...]]:
        """Return the shape of the weights of each layer, units first.

        Parameters
        ----------
        image : (int, int, int)
            Height, width and channels.
        classes : int
            Number of outputs.

        Returns
        -------
        list of tuple of int
            (units, inputs) of each layer.
        """
        return [(after, before) for before, after in pairwise((image[0] * image[1] * image[2], *self.widths, classes))]


class CNN(Network):
    """A small convolutional network: `depth` times 3 x 3 filters, g, and the largest of 2 x 2; then a linear readout.

    Parameters
    ----------
    kind : {"cnn"}
        Its name in files.
    depth : int, default 2
        Number of convolutions; each halves the image.
    activation : {"relu", "gelu", "erf", "tanh", "linear"}, default "relu"
        g, of all hidden units.
    weight_scale : float, default 1.0
        Of initial weights, in units of He's initialisation.
    filters : int, default 16
        Of every convolution.

    Examples
    --------
    >>> CNN(filters=8).shapes((28, 28, 1), 10)
    [(8, 3, 3, 1), (8, 3, 3, 8), (10, 392)]
    """

    kind: Literal["cnn"] = "cnn"
    depth: Annotated[int, Field(ge=1, le=_MOST_DEPTH)] = 2
    filters: Annotated[int, Field(ge=1, le=10**4)] = 16

    @property
    def size(self) -> int:
        """The number of filters."""
        return self.filters

    @checked(image=_image, classes=whole(1, 10**6))
    def shapes(self, image: tuple[int, int, int], classes: int) -> list[tuple[int, ...]]:
        """Return the shape of the weights of each layer, units first.

        Parameters
        ----------
        image : (int, int, int)
            Height, width and channels.
        classes : int
            Number of outputs.

        Returns
        -------
        list of tuple of int
            (filters, 3, 3, channels) of each convolution, and (classes, inputs).

        Raises
        ------
        InputError
            Where nothing would be left of the image.
        """
        height, width, channels = image
        left = min(height, width) >> self.depth
        if left < 1:
            raise InputError(f"network.depth = {self.depth} is not allowed; each convolution halves images of {height} x {width}")
        before = [channels] + [self.filters] * (self.depth - 1)
        inputs = (height >> self.depth) * (width >> self.depth) * self.filters
        return [*((self.filters, 3, 3, each) for each in before), (classes, inputs)]


NETWORKS: dict[str, type[Network]] = {"mlp": MLP, "cnn": CNN}
