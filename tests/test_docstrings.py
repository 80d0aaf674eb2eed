"""Public docstrings are in numpydoc form, and say all that documentation tools look for."""

import inspect
from functools import cached_property

import numpydoc.validate
import pytest
from numpydoc.docscrape import get_doc_object

import curriculode as cu

# What public objects take or return, and hand to users in that way.
HANDED = (
    "figures.gallery.NamedFigure",
    "figures.plots.phase_diagram.PhaseDiagram",
    "sims.networks.compare.compare",
    "sims.networks.comparison.OrderComparison",
    "sims.networks.fetch.fetch",
    "sims.networks.pairs.instability",
    "sims.networks.record.NetworkInstability",
    "sims.networks.record.NetworkRuns",
    "sims.networks.study.NetworkStudy",
    "sims.networks.study.load",
    "sims.networks.tickets.NetworkTickets",
    "sims.networks.tickets.tickets",
    "sims.networks.train.train",
    "theory.describe.protocol.TimedStage",
    "theory.describe.training.Rates",
    "theory.units.activations.Activation",
)

# Left out: GL01 and GL02 (place of the quotes: ruff formats), GL09 and GL10 (nothing is deprecated, no directives are used);
# PR08 and RT04 (capital letters: descriptions may begin with a symbol, as eta or phi_b); ES01, SA01 to SA04 (extended summary and
# references are written where they say something). EX01 (examples) is asked of public functions.
CHECKED = {
    *("GL03", "GL05", "GL06", "GL07", "GL08"),  # blank lines, tabs, unknown sections, their order, no docstring
    *("SS01", "SS02", "SS03", "SS04", "SS05", "SS06"),  # a summary of one line, a sentence, a verb in the imperative
    *("PR01", "PR02", "PR03", "PR04", "PR05", "PR06", "PR07", "PR09", "PR10"),  # every parameter, in order, with type and meaning
    *("RT01", "RT02", "RT03", "RT05", "YD01"),  # what is returned, with type and meaning
}
MEMBERS = (property, cached_property, staticmethod, classmethod)


def own_members(cls: type) -> list[str]:
    """Names of the public methods and properties of a class that are written in this package."""
    names = {}
    for base in cls.__mro__:
        if base.__module__.startswith("curriculode."):
            names |= {name: None for name, value in vars(base).items() if inspect.isfunction(value) or isinstance(value, MEMBERS)}
    return sorted(name for name in names if not name.startswith("_"))


def public_names() -> list[str]:
    found = []
    for name in [*(each for each in cu.__all__ if each != "__version__"), *HANDED]:
        value = numpydoc.validate.Validator._load_obj(f"curriculode.{name}")
        found.append(name)
        if inspect.isclass(value):
            found += [f"{name}.{member}" for member in own_members(value)]
    return found


class Validator(numpydoc.validate.Validator):
    """Class methods are functions too, and the records of a kind have the constructor of `Record`, documented there."""

    def __init__(self, obj_name: str) -> None:
        super().__init__(get_doc_object(self._load_obj(obj_name)))

    @property
    def is_function_or_method(self) -> bool:
        return inspect.isfunction(self.obj) or inspect.ismethod(self.obj)

    @property
    def signature_parameters(self) -> tuple[str, ...]:
        if inspect.isclass(self.obj) and issubclass(self.obj, cu.Record) and self.obj is not cu.Record:
            assert self.obj.__init__ is cu.Record.__init__
            return ()
        return super().signature_parameters


@pytest.mark.parametrize("name", public_names())
def test_a_public_docstring_is_complete(name):
    mistakes = numpydoc.validate.validate(f"curriculode.{name}", validator_cls=Validator)["errors"]
    assert [f"{code}: {words}" for code, words in mistakes if code in CHECKED] == []


@pytest.mark.parametrize("name", [name for name in cu.__all__ if inspect.isfunction(getattr(cu, name))])
def test_a_public_function_has_an_example_and_says_what_it_raises(name):
    docstring = get_doc_object(getattr(cu, name))
    assert any(">>>" in line for line in docstring["Examples"])
    assert docstring["Raises"]


def test_every_public_name_and_its_members_are_checked():
    names = public_names()
    assert {"integrate", "Level.of", "Ensemble.finite", "Ensemble.escape_time", "Protocol.single", "XorMixture.example_law"} <= set(
        names
    )
    assert not any("model_" in name for name in names)  # pydantic's own


@pytest.mark.parametrize(
    ("docstring", "code"),
    [
        ("Do it.\n\nParameters\n----------\nx : int\n    Number.\n\nReturns\n-------\nint\n    It.\n", "PR01"),
        ("Do it.\n\nx : a number\n", "PR01"),
        ("Do it.\n\nParameters\n----------\nx : int\n    Number.\ny :\n    Another.\n\nReturns\n-------\nint\n    It.\n", "PR04"),
        ("Do it.\n\nParameters\n----------\nx, y : int\n    Numbers.\n", "RT01"),
    ],
)
def test_an_incomplete_docstring_is_found(monkeypatch, docstring, code):
    def done(x, y):
        return x + y

    done.__doc__ = docstring
    monkeypatch.setattr(cu, "done", done, raising=False)
    mistakes = numpydoc.validate.validate("curriculode.done", validator_cls=Validator)["errors"]
    assert code in {each for each, _ in mistakes} & CHECKED
