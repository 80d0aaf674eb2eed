"""Settings in words: each that an experiment has is told once, and those that vary are left out."""

import re

import curriculode as cu
from curriculode.figures.gallery.words import settings_in_words


def test_settings_of_the_built_in_experiments() -> None:
    curriculum = cu.load("xor-curriculum")
    assert settings_in_words(curriculum, ["student.width", "protocol.order"], 200) == (
        "XOR-like Gaussian mixture, separation 1; K GELU units, weights from N(0, 1), readouts trained from N(0, 1/K); online SGD, "
        "squared loss, learning rate 2; levels easy (10 % of the examples, noise 0.2) and hard (90 %, noise 0.5); t = 50 (10,000 "
        "examples at D = 200)"
    )
    assert settings_in_words(cu.load("perceptron-curriculum"), ["protocol.duration"]) == (
        "sign teacher, 50 % of the inputs relevant; one erf unit, weights from N(0, 1), readout fixed at 1; online SGD, squared "
        "loss, learning rate 1; levels easy (50 % of the examples, irrelevant variance 0) and hard (50 %, irrelevant variance 1); "
        "curriculum order"
    )
    assert settings_in_words(cu.load("batch-perceptron"), ["levels", "protocol.order"]).endswith(
        "one linear unit; slices learnt to convergence, logistic loss, regularisation 0.1, coupling 1; t = 2"
    )
    assert "teacher of M = 2 erf units; K = 2 erf units, weights from N(0, 0.25)" in settings_in_words(cu.load("committee-plateau"))


def test_a_changed_setting_changes_its_word(xor: cu.Experiment) -> None:
    """Whatever is changed shows in the words, unless it is said to vary."""
    changes = {
        "task.separation": 3.5,
        "student.width": 7,
        "student.activation": "tanh",
        "student.weight_scale": 0.25,
        "student.readout": "fixed",
        "training.learning_rate": 0.35,
        "training.readout_learning_rate": 0.45,
        "training.weight_decay": 0.55,
        "training.loss": "logistic",
        "protocol.duration": 9.0,
        "protocol.order": "random",
        "levels.hard.noise": 0.65,
        "levels.easy.noise": 0.15,
    }
    before = settings_in_words(xor)
    for name, value in changes.items():
        assert settings_in_words(xor.replace({name: value})) != before, name
    words = settings_in_words(xor.replace(changes), list(changes))
    assert set(re.findall(r"[\d.]+", words)) <= {"0", "0.25", "25", "75"}  # N(0, 0.25), and the shares


def test_a_plan_and_settings_from_outside(xor: cu.Experiment) -> None:
    plan = [{"share": 0.5, "probability": {"easy": 1.0}}, {"share": 0.5, "probability": {"hard": 1.0}}]
    planned = xor.replace({"protocol.order": "stages", "protocol.plan": plan})
    assert "a plan of 2 stages" in settings_in_words(planned)
    noisy = cu.load("committee-plateau").replace({"task.label_noise": 0.3})
    assert "label noise 0.3" in settings_in_words(noisy)
