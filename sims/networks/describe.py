"""What a user writes down of a real network: the network itself, how it is trained, and the experiment that they make with data.

[data]
name = "digits"

[network]              # kind = "mlp" (default) or "cnn"
width = 50
depth = 1

[training]
learning_rate = 0.1

[protocol]             # as everywhere: t = examples seen per input
order = "curriculum"
duration = 20.0

[levels.easy]          # from easy to hard
share = 0.1
pixel_noise = 0.0

[levels.hard]
pixel_noise = 1.5
"""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, model_validator

from curriculode.sims.networks.architectures import MOST_WEIGHTS, NETWORKS, Network
from curriculode.sims.networks.data import ImageData
from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.checks import plain
from curriculode.theory.core.description import LARGEST, Description, unknown
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.core.files import read_whole
from curriculode.theory.describe.experiment import Experiment, check_sections, parse_toml
from curriculode.theory.describe.protocol import Protocol
from curriculode.theory.tasks.level import Level

SECTIONS = ("data", "network", "training", "protocol", "levels")
_LARGEST_FILE = 4 * 2**20  # bytes of an experiment file


class NetworkSGD(Description):
    """Stochastic gradient descent on the examples of a protocol, seen in its order, `batch` of them a step.

    A step is w <- w - learning_rate (grad + weight_decay w), with the gradient of the mean loss of the batch, or what the optimizer
    makes of it. The unit is that of ordinary networks: nothing is divided by D.

    Parameters
    ----------
    kind : {"network-sgd"}
        Its name in files.
    loss : {"cross-entropy", "squared"}, default "cross-entropy"
        -ln p_y of the softmax, or |f - e_y|^2 / 2.
    learning_rate : float
        eta >= 0.
    batch : int, default 1
        Examples of a step.
    optimizer : {"sgd", "momentum", "adam"}, default "sgd"
        As optax has them; momentum is 0.9.
    weight_decay : float, default 0.0
        kappa >= 0, of weights and biases.
    common_tail : float, default 0.0
        Share of the examples, in [0, 1): the last ones, which are those of the random order whatever the order is. What the order
        gains with it is not owed to the examples that were seen last.

    Examples
    --------
    >>> NetworkSGD(learning_rate=0.1).batch
    1
    """

    kind: Literal["network-sgd"] = "network-sgd"
    loss: Literal["cross-entropy", "squared"] = "cross-entropy"
    learning_rate: Annotated[float, Field(ge=0, le=LARGEST)]
    batch: Annotated[int, Field(ge=1, le=10**6)] = 1
    optimizer: Literal["sgd", "momentum", "adam"] = "sgd"
    weight_decay: Annotated[float, Field(ge=0, le=LARGEST)] = 0.0
    common_tail: Annotated[float, Field(ge=0, lt=1)] = 0.0


class NetworkExperiment(Description):
    """A real network that learns real data, described as experiments of the theory are.

    Parameters
    ----------
    data : ImageData
        What is learnt.
    network : MLP or CNN
        By whom.
    training : NetworkSGD
        How.
    protocol : Protocol
        From which examples, in which order: levels set `pixel_noise` and `frame_scale`; its duration is in examples per input, as
        in theory: round(duration * D) examples are seen, those of the set in turn where there are more of them than images.

    Raises
    ------
    InputError
        For parts that do not fit together.

    Examples
    --------
    >>> from curriculode import MLP, Level, Protocol
    >>> levels = [Level("easy", share=0.2, pixel_noise=0.0), Level("hard", pixel_noise=1.0)]
    >>> experiment = NetworkExperiment(data=ImageData(name="digits"), network=MLP(width=20), training=NetworkSGD(learning_rate=0.1),
    ...                                protocol=Protocol(order="curriculum", duration=10.0, levels=levels))
    >>> experiment.examples, experiment.replace({"network.width": 40}).network.width
    (640, 40)
    """

    data: ImageData
    network: SerializeAsAny[Network]
    training: NetworkSGD
    protocol: SerializeAsAny[Protocol]

    @model_validator(mode="after")
    def _check(self) -> "NetworkExperiment":
        levels = tuple(level.of(self.data) for level in self.protocol.levels)  # type: ignore[arg-type]
        if levels != self.protocol.levels:
            # The levels become those of images; the protocol is otherwise the one given.
            self.__dict__["protocol"] = self.protocol.model_copy(update={"levels": levels})
        if self.examples < 1:
            raise InputError(
                f"duration = {self.protocol.duration:g} of {self.data.inputs} inputs is no full example; take at least "
                f"{1 / self.data.inputs:.2g}"
            )
        shapes = self.network.shapes(self.data.known.shape, self.data.known.classes)
        if (count := sum(_product(shape) for shape in shapes)) > MOST_WEIGHTS:
            raise InputError(
                f"the network has {count:.2g} weights, and at most {MOST_WEIGHTS:.0g} are allowed; take a smaller width"
            )
        if self.examples > MOST_WEIGHTS:
            raise InputError(
                f"duration = {self.protocol.duration:g} is {self.examples:.2g} examples, and at most {MOST_WEIGHTS:.0g} are "
                "allowed; take a shorter one"
            )
        return self

    @property
    def examples(self) -> int:
        """How many examples are seen: round(duration * D)."""
        return round(self.protocol.duration * self.data.inputs)

    # Dotted names and files know nothing of what is learnt: the same as those of experiments of the theory.
    if TYPE_CHECKING:

        def replace(self, changes: Mapping[str, Any]) -> "NetworkExperiment": ...  # noqa: D102
        def get(self, name: str) -> Any: ...  # noqa: D102
        def to_dict(self) -> dict[str, Any]: ...  # noqa: D102
        def to_toml(self) -> str: ...  # noqa: D102
    else:
        replace = Experiment.replace
        get = Experiment.get
        _tables = Experiment._tables
        to_dict = Experiment.to_dict
        to_toml = Experiment.to_toml

    @classmethod
    @checked(tables=inside)
    def from_dict(cls, tables: Mapping[str, Any]) -> "NetworkExperiment":
        """Build an experiment from the tables of its TOML file.

        Parameters
        ----------
        tables : mapping of str to table
            The sections data, network, training, protocol and levels.

        Returns
        -------
        NetworkExperiment
            The experiment.

        Raises
        ------
        InputError
            For a section that is missing or unknown, and for settings that are not allowed.
        """
        return cls._built(tables)

    @classmethod
    def _built(cls, tables: Mapping[str, Any], like: "NetworkExperiment | None" = None) -> "NetworkExperiment":
        check_sections(tables, SECTIONS)
        for name in SECTIONS:
            if any(not isinstance(key, str) or key in ("self", "name" if name != "data" else "self") for key in tables[name]):
                raise InputError(f"{name} = {shown(tables[name])} is not allowed; it must be a section [{name}] of settings")
        kind = plain(tables["network"].get("kind", "mlp"))
        if not isinstance(kind, str) or kind not in NETWORKS:
            raise InputError(unknown("network.kind", kind, list(NETWORKS)))
        levels = []
        for name, settings in tables["levels"].items():
            if not isinstance(settings, Mapping) or not isinstance(name, str) or {"self", "name"} & set(settings):
                raise InputError(
                    f"levels.{name} = {shown(settings)} is not allowed; write a section [levels.{name}] with share, pixel_noise"
                )
            levels.append(Level(name, **settings).of(ImageData))  # type: ignore[arg-type]
        return cls(
            data=ImageData(**tables["data"]),
            network=NETWORKS[kind](**tables["network"]),
            training=NetworkSGD(**tables["training"]),
            protocol=Protocol(**tables["protocol"], levels=tuple(levels)),
        )

    @classmethod
    @checked
    def from_toml(cls, text: str) -> "NetworkExperiment":
        """Build an experiment from the text of a TOML file.

        Parameters
        ----------
        text : str
            As `to_toml` writes it.

        Returns
        -------
        NetworkExperiment
            The experiment.

        Raises
        ------
        InputError
            As `from_dict`, and for what is not TOML.
        """
        return cls.from_dict(parse_toml(text, "the experiment"))


def _product(shape: tuple[int, ...]) -> int:
    result = 1
    for each in shape:
        result *= each
    return result


def checked_network_experiment(name: str, value: Any) -> NetworkExperiment:
    """The experiment that is given, or `InputError` for anything else."""
    if not isinstance(value, NetworkExperiment):
        raise InputError(
            f"{name} = {shown(value)} is not allowed; give a NetworkExperiment, such as networks.load('digits-curriculum')"
        )
    return value


def builtin_networks() -> list[str]:
    """Names of the built-in experiments on real data."""
    folder = resources.files("curriculode.sims.networks") / "experiments"
    return sorted(each.name.removesuffix(".toml") for each in folder.iterdir() if each.name.endswith(".toml"))


def network_text(name: str | Path) -> str:
    """The TOML text of the built-in experiment on real data called `name`, or of the file at that path."""
    if not isinstance(name, (str, Path)):
        raise InputError(f"experiment {shown(name)} is not allowed; give the name of a built-in one or the path of a TOML file")
    if str(name) in builtin_networks():
        return (resources.files("curriculode.sims.networks") / "experiments" / f"{name}.toml").read_text(encoding="utf-8")
    try:
        path = Path(name)
        if path.suffix != ".toml" and not path.exists():
            raise InputError(unknown("experiment", str(name), builtin_networks()) + "; or give the path of a TOML file")
        return read_whole(path, "the experiment file", _LARGEST_FILE).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"the experiment file {name} is not a text in UTF-8; it must be a TOML file") from None
    except OSError as error:
        raise InputError(f"the experiment file {name} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the experiment file {shown(name)} has a name that no file can have; give another") from None
