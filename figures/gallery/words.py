"""An experiment's settings in words, for captions: what a file says is read from it, not written a second time."""

from collections.abc import Iterable, Sequence

from curriculode.theory.core.description import Description
from curriculode.theory.describe.committee import Committee
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.protocol import Protocol
from curriculode.theory.describe.tangent import TangentRidge, TangentSGD
from curriculode.theory.describe.training import BatchSlices, OnlineSGD, Training
from curriculode.theory.tasks import Level, Task, TeacherStudent, XorMixture

_ACTIVATIONS = {"gelu": "GELU", "relu": "ReLU"}


def settings_in_words(experiment: Experiment, varied: Sequence[str] = (), dimension: int | None = None) -> str:
    """Task, student, training and protocol in words; `dimension` tells the number of examples that the duration is.

    varied : dotted names that are left out, since the caption speaks of their values itself: "student.width", "levels.hard.noise";
        "levels" for all levels

    >>> from curriculode import load
    >>> settings_in_words(load("finite-size"), dimension=1000)
    'XOR-like Gaussian mixture, separation 1; K = 4 GELU units, weights from N(0, 1), readouts trained from N(0, 1); online SGD, \
squared loss, learning rate 2; noise 0.3; t = 0.5 (500 examples at D = 1000)'
    """
    parts = [
        _task(experiment.task, varied),
        _student(experiment.student, experiment.training, varied),
        _training(experiment.training, experiment.student, varied),
        _levels(experiment.protocol, varied),
        _order(experiment.protocol, varied),
        _duration(experiment.protocol, varied, dimension),
    ]
    return "; ".join(part for part in parts if part)


def listed(items: Iterable[object]) -> str:
    """Things one after the other in a sentence.

    >>> listed([4, 16, 32])
    '4, 16 and 32'
    """
    *first, last = [f"{item:g}" if isinstance(item, float) else str(item) for item in items]
    return f"{', '.join(first)} and {last}" if first else last


def percent(share: float) -> str:
    """A share in per cent.

    >>> percent(0.1)
    '10 %'
    """
    return f"{100 * share:g} %"


def _joined(section: str, varied: Sequence[str], words: list[tuple[str, str]]) -> str:
    """The words of the settings of a section that are not varied; settings without a name are always told."""
    return ", ".join(text for name, text in words if text and f"{section}.{name}" not in varied)


def _rest(settings: Description, told: Sequence[str]) -> list[tuple[str, str]]:
    """What differs from its default and is not told otherwise, such as the settings of classes from outside."""
    fields = type(settings).model_fields
    return [
        (name, f"{name.replace('_', ' ')} {_value(getattr(settings, name))}")
        for name, field in fields.items()
        if name not in (*told, "kind") and getattr(settings, name) != field.default
    ]


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _task(task: Task, varied: Sequence[str]) -> str:
    if isinstance(task, XorMixture):
        faded = f"fading on {percent(task.faded_fraction)} of the inputs" if 0 < task.faded_fraction < 1 else ""
        words = [("", "XOR-like Gaussian mixture"), ("separation", f"separation {task.separation:g}"), ("faded_fraction", faded)]
        return _joined("task", varied, words + _rest(task, ["separation", "faded_fraction"]))
    if isinstance(task, TeacherStudent):
        units = f"of M = {task.teacher_width} {task.teacher_activation} units"
        words = [("", f"{task.teacher_activation} teacher" if task.teacher_width == 1 else f"teacher {units}")]
        if task.relevant_fraction < 1:
            words.append(("relevant_fraction", f"{percent(task.relevant_fraction)} of the inputs relevant"))
        return _joined("task", varied, words + _rest(task, ["teacher_width", "teacher_activation", "relevant_fraction"]))
    return _joined("task", varied, [("", task.kind), *_rest(task, [])])


def _student(student: Committee, training: Training, varied: Sequence[str]) -> str:
    unit = f"{_ACTIVATIONS.get(student.activation, student.activation)} unit"
    count = "K " if "student.width" in varied else "one " if student.width == 1 else f"K = {student.width} "
    words = [("", count + unit + ("s" if count != "one " else ""))]
    if not isinstance(training, BatchSlices):  # a minimum does not know where it was approached from
        words += [("weight_scale", f"weights from N(0, {student.weight_scale**2:g})"), ("readout", _readouts(student))]
    told = ["width", "activation", "weight_scale", "readout", "readout_scale", "readout_start"]
    return _joined("student", varied, words + _rest(student, told))


def _readouts(student: Committee) -> str:
    """Where the readouts start, and whether they stay there."""
    scale = student.readout_scale
    squares = {"1/sqrt(K)": "1/K", "1/K": "1/K^2"}
    variance = squares[scale] if isinstance(scale, str) else f"{scale**2:g}"
    drawn = student.readout_start == "gaussian"
    start = f"N(0, {variance})" if drawn else _value(scale)
    fixed = f"fixed, drawn from {start}" if drawn else f"fixed at {start}"
    noun = "readout" if student.width == 1 else "readouts"
    return f"{noun} {fixed}" if student.readout == "fixed" else f"{noun} trained from {start}"


def _training(training: Training, student: Committee, varied: Sequence[str]) -> str:
    if isinstance(training, OnlineSGD):
        words = [
            ("", "online SGD"),
            ("loss", f"{training.loss} loss"),
            ("learning_rate", f"learning rate {training.learning_rate:g}"),
        ]
        if student.readout == "trained" and training.eta_v != training.learning_rate:
            words.append(("readout_learning_rate", f"{training.eta_v:g} of the readouts"))
        if training.weight_decay > 0:
            words.append(("weight_decay", f"weight decay {training.weight_decay:g}"))
        told = ["loss", "learning_rate", "readout_learning_rate", "weight_decay"]
        return _joined("training", varied, words + _rest(training, told))
    if isinstance(training, (TangentSGD, TangentRidge)):
        variants = {
            "layers": ""
            if training.layers == "both"
            else f"{training.layers} layer alone"
            if training.layers == "first"
            else "readout alone",
            "centred": "" if training.centred else "output of the start included",
        }
        words = [
            ("", "online SGD in the tangent space" if isinstance(training, TangentSGD) else "ridge regression in the tangent space")
        ]
        if isinstance(training, TangentSGD):
            words.append(("learning_rate", f"learning rate {training.learning_rate:g}"))
        else:
            words.append(("regularization", f"regularisation {_value(training.regularization)}"))
        words += [(name, said) for name, said in variants.items() if said]
        rest = _rest(training, ["loss", "learning_rate", "regularization", "examples", *variants])
        return _joined("training", varied, words + rest)
    if isinstance(training, BatchSlices):
        words = [
            ("", "slices learnt to convergence"),
            ("loss", f"{training.loss} loss"),
            ("regularization", f"regularisation {_value(training.regularization)}"),
            ("coupling", f"coupling {_value(training.coupling)}"),
        ]
        return _joined("training", varied, words + _rest(training, ["loss", "regularization", "coupling"]))
    return _joined("training", varied, [("", training.kind), ("loss", f"{training.loss} loss"), *_rest(training, ["loss"])])


def _levels(protocol: Protocol, varied: Sequence[str]) -> str:
    if "levels" in varied:
        return ""
    if len(protocol.levels) == 1:
        return _joined(f"levels.{protocol.levels[0].name}", varied, _of_level(protocol.levels[0]))
    # The shares sum to 1: where one of them varies, none is a setting.
    shares = [] if any(name.startswith("levels.") and name.endswith(".share") for name in varied) else [*protocol.shares]
    words = []
    for i, level in enumerate(protocol.levels):
        share = [("", percent(shares[i]) + (" of the examples" if i == 0 else ""))] if shares else []
        inside = _joined(f"levels.{level.name}", varied, share + _of_level(level))
        words.append(level.name + (f" ({inside})" if inside else ""))
    return f"levels {listed(words)}"


def _of_level(level: Level) -> list[tuple[str, str]]:
    return [(name, f"{name.replace('_', ' ')} {_value(value)}") for name, value in level.settings.items()]


def _order(protocol: Protocol, varied: Sequence[str]) -> str:
    if "protocol.order" in varied or len(protocol.levels) == 1:
        return ""
    return f"a plan of {len(protocol.plan)} stages" if protocol.order == "stages" else f"{protocol.order} order"


def _duration(protocol: Protocol, varied: Sequence[str], dimension: int | None) -> str:
    if "protocol.duration" in varied:
        return ""
    examples = f" ({round(protocol.duration * dimension):,} examples at D = {dimension})" if dimension is not None else ""
    return f"t = {protocol.duration:g}{examples}"
