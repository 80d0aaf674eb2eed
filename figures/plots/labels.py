"""How quantities and parameters are called on axes and in titles."""

from typing import TYPE_CHECKING, Any

from curriculode.theory.results.registered import OBSERVABLES

if TYPE_CHECKING:
    from curriculode.theory.describe.experiment import Experiment

TIME = "examples per input dimension, t = n / D"
_QUANTITIES = {
    "accuracy": "accuracy",
    "generalization_error": "generalisation error",
    "classification_error": "classification error",
    "covered_clusters": "covered clusters",
    "specialization": "specialisation",
    "speed_up": "speed-up",
    "failed": "fraction of seeds that diverged or failed",
}
_AT_A_LEVEL = ("accuracy", "generalization_error", "classification_error")
_PARAMETERS = {
    "student.width": "width K",
    "training.learning_rate": r"learning rate $\eta$",
    "training.weight_decay": r"weight decay $\kappa$",
    "task.separation": "separation of the clusters",
    "protocol.duration": "examples per input dimension",
    "pruning.keep": "share of the weights kept",
    "pruning.rewind": "rewound to t = k",
}
_SYMBOLS = {"student.width": "K", "training.learning_rate": r"$\eta$", "training.weight_decay": r"$\kappa$"}


def quantity_label(name: str, experiment: "Experiment | None" = None) -> str:
    """How an observable, "accuracy" or an order parameter is called; with an experiment of several levels, at which level it is.

    >>> from curriculode import load
    >>> quantity_label("accuracy", load("xor-curriculum")), quantity_label("Q[0,0]")
    ('accuracy on the hard level', 'Q[0,0]')
    """
    if name in OBSERVABLES.names():
        return OBSERVABLES[name].label
    words = _QUANTITIES.get(name, name.replace("_", " "))
    if experiment is None or name not in _AT_A_LEVEL or len(experiment.protocol.levels) == 1:
        return words
    # Whole labels fit beside axes of the usual height.
    return f"{words}{' on the' if name == 'accuracy' else ','} {experiment.protocol.level().name} level"


def parameter_label(name: str) -> str:
    """How a parameter is called on an axis.

    >>> parameter_label("levels.hard.noise")
    'noise of the hard level'
    """
    if name in _PARAMETERS:
        return _PARAMETERS[name]
    first, *middle, last = name.split(".")
    of_level = first == "levels" and middle and middle[0] != "only"
    return last.replace("_", " ") + (f" of the {middle[0]} level" if of_level else "")


def setting_label(name: str, value: Any) -> str:
    """A parameter and its value in a title.

    >>> setting_label("student.width", 4), setting_label("levels.hard.noise", 0.1 + 0.2)
    ('K = 4', 'hard noise = 0.3')
    """
    words = _SYMBOLS.get(name) or name.split(".", 1)[-1].replace(".", " ").replace("_", " ")
    return f"{words} = {value:.6g}" if isinstance(value, float) else f"{words} = {value}"
