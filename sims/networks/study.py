"""A study of networks: an experiment, what is varied over it, and how often it is run. The section [study] of a file.

[study]
runs = 16
orders = ["curriculum", "random"]
rates = [0.003, 0.01, 0.03]

[study.over]
"network.width" = [12, 400]
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from curriculode.sims.networks.describe import NetworkExperiment, network_text
from curriculode.theory.core.arguments import MOST_RUNS, checked, inside
from curriculode.theory.core.description import LARGEST, Description, unknown
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import parse_toml
from curriculode.theory.describe.protocol import ORDERS
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.describe.study import listed_values
from curriculode.theory.tickets.treatments import checked_treatments


class NetworkStudy(Description):
    """An experiment on real data with everything that its verbs need.

    Parameters
    ----------
    experiment : NetworkExperiment
        What is learnt, by whom, how, and from which examples.
    runs : int, default 16
        Seeds.
    first : int, default 0
        Number of the first: a confirmation takes others than a search did.
    seed : int, default 0
        Of all runs.
    orders : sequence of str, default ("curriculum", "random")
        That are compared.
    rates : sequence of float, optional
        Learning rates that are tried for every network and order before they are compared; none are by default.
    scan : int, default 4
        Seeds of those trials; they are others than those of the comparison.
    over : dict of str to list, optional
        Dotted parameter -> values; the cells are all combinations.
    at : sequence of float, default (0.0,)
        Times of branching.
    match : bool, default False
        Whether the units of copies are matched before their barrier is measured.
    times : int, optional
        Number of output times of a training, by default 11.
    pruning : Pruning, optional
        What tickets keep: the section [pruning].
    treatments : sequence of str, default ("ticket", "reinit", "random")
        What is done with it.
    """

    experiment: NetworkExperiment
    runs: Annotated[int, Field(ge=1, le=MOST_RUNS)] = 16
    first: Annotated[int, Field(ge=0, le=MOST_RUNS)] = 0
    seed: Annotated[int, Field(ge=0, lt=2**128)] = 0
    orders: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] = ("curriculum", "random")
    rates: Annotated[tuple[Annotated[float, Field(gt=0, le=LARGEST)], ...], Field(strict=False)] = ()
    scan: Annotated[int, Field(ge=1, le=MOST_RUNS)] = 4
    over: dict[str, Any] = Field(default_factory=dict)
    at: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(strict=False, min_length=1)] = (0.0,)
    match: bool = False
    times: Annotated[int, Field(ge=2, le=10**6)] | None = None
    pruning: Pruning | None = None
    treatments: Annotated[tuple[str, ...], Field(strict=False)] = ("ticket", "reinit", "random")

    @field_validator("orders")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return checked_orders("orders", value)

    @field_validator("treatments")
    @classmethod
    def _of_pruning(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return checked_treatments(value)

    @model_validator(mode="after")
    def _check(self) -> "NetworkStudy":
        for name, values in listed_values("over", self.over).items():
            for value in values:
                self.experiment.replace({name: value})
        return self

    @classmethod
    @checked(name=inside)
    def load(cls, name: str | Path) -> "NetworkStudy":
        """Load the study of the built-in experiment called `name`, or of the TOML file at that path.

        Parameters
        ----------
        name : str or Path
            Of a built-in experiment on real data, or of a TOML file.

        Returns
        -------
        NetworkStudy
            The study.
        """
        return cls.from_toml(network_text(name), f"experiment {name}")

    @classmethod
    @checked
    def from_toml(cls, text: str, source: str = "the study") -> "NetworkStudy":
        """Build the study of the text of a TOML file; what it leaves out has its default.

        Parameters
        ----------
        text : str
            As `to_toml` writes it.
        source : str, optional
            What the text is called in messages.

        Returns
        -------
        NetworkStudy
            The study.

        Raises
        ------
        InputError
            For what is not TOML, and for sections and settings that are not allowed.
        """
        tables = parse_toml(text, source)
        settings, pruning = tables.pop("study", {}), Pruning.taken_from(tables)
        if not isinstance(settings, dict) or {"experiment", "self", "pruning"} & set(settings):
            raise InputError(f"study must be a section [study] with {', '.join(list(cls.model_fields)[1:-2])}")
        return cls(experiment=NetworkExperiment.from_dict(tables), pruning=pruning, **settings)

    def to_toml(self) -> str:
        """Return the study as the text of a TOML file, from which the same command gives the same numbers.

        Returns
        -------
        str
            The text.
        """
        import tomli_w

        held = {name: getattr(self, name) for name in type(self).model_fields if name not in ("experiment", "pruning")}
        settings = {name: list(value) if isinstance(value, tuple) else value for name, value in held.items()}
        settings = {name: value for name, value in settings.items() if value not in ([], {}, None)}
        more = {} if self.pruning is None else {"pruning": self.pruning.to_dict()}
        return tomli_w.dumps({**self.experiment.to_dict(), "study": settings, **more})

    def set(self, **settings: Any) -> "NetworkStudy":
        """Return the same study with those settings changed that are not None.

        Parameters
        ----------
        **settings : object
            Fields of `NetworkStudy`.

        Returns
        -------
        NetworkStudy
            The changed study.
        """
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return NetworkStudy(**{**fields, **{name: value for name, value in settings.items() if value is not None}})


def checked_orders(name: str, value: Any) -> tuple[str, ...]:
    """Names of orders, or `InputError`."""
    names = [value] if isinstance(value, str) else list(value) if isinstance(value, (list, tuple)) else []
    if not names:
        raise InputError(f"{name} is not allowed to be empty; give orders, such as ['curriculum', 'random']")
    for each in names:
        if each not in (*ORDERS, "stages"):
            raise InputError(unknown("order", each, [*ORDERS, "stages"]))
    if len(set(names)) < len(names):
        raise InputError(f"{name} = {names} has an order twice; give each once")
    return tuple(names)


@checked(name=inside)
def load(name: str | Path) -> NetworkExperiment:
    """Load the built-in experiment on real data called `name`, or that of the TOML file at that path.

    Parameters
    ----------
    name : str or Path
        Of a built-in experiment, or of a TOML file.

    Returns
    -------
    NetworkExperiment
        The experiment.

    Raises
    ------
    InputError
        For a name that is neither.

    Examples
    --------
    >>> load("digits-curriculum").examples
    1437
    """
    return NetworkStudy.load(name).experiment
