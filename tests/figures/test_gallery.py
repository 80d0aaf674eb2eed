"""The gallery: each figure is computed once on a small grid, drawn, and asked for a number that it is there to show."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

import curriculode as cu
from curriculode.figures import gallery
from curriculode.figures.gallery.finite_d_bands import coverage
from curriculode.figures.gallery.finite_d_odds import means
from curriculode.figures.gallery.finite_d_shift import slopes
from curriculode.figures.gallery.finite_size import exponents
from curriculode.figures.gallery.lottery import independent_tickets
from curriculode.figures.gallery.paired_orders import paired_difference
from curriculode.figures.gallery.plateau_escape import summary
from curriculode.figures.gallery.width_gap import largest_and_final
from curriculode.figures.gallery.words import settings_in_words
from curriculode.sims.sweep.average import average
from curriculode.theory.describe.experiment import builtin_experiments, experiment_text
from tests.figures.small import computed, table

QUICK = ("finite-size", "perceptron-orders", "perceptron-speedup")
BUILT_IN = [
    "attractor-odds",
    "batch-coupling",
    "batch-gain",
    "batch-online",
    "branch-line",
    "committee",
    "dead-or-alive",
    "difficulty",
    "discovery-time",
    "finite-d-bands",
    "finite-d-odds",
    "finite-d-shift",
    "finite-size",
    "instability",
    "lottery",
    "matching",
    "perceptron-orders",
    "perceptron-speedup",
    "perturbations",
    "phase-diagrams",
    "plateau-escape",
    "plateau-length",
    "signal-to-noise",
    "ticket-indicators",
    "ticket-orders",
    "ticket-parts",
    "ticket-prize",
    "ticket-rewinding",
    "ticket-sparse",
    "ticket-sparsity",
    "ticket-stability",
    "unit-tickets",
    "verdict-power",
    "wide-limit",
    "width-gap",
    "width-lottery",
    "xor-orders",
]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_figure_says_what_it_shows(name: str) -> None:
    figure = gallery.figure(name)
    assert figure.title
    assert len(figure.caption) > 100
    assert figure.experiment in builtin_experiments()
    assert figure.settings == experiment_text(figure.experiment)
    assert figure.origin == f"the built-in experiment {figure.experiment}"


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in BUILT_IN])
def test_every_figure_draws_what_it_computes(name: str) -> None:
    data, drawn = computed(name)
    assert len(data)
    assert all(axis.get_title() for axis in drawn.axes if axis.get_label() != "<colorbar>")


def test_a_caption_follows_its_experiment() -> None:
    """The numbers of a caption are those of the file and of the module, wherever they are changed."""
    study = cu.Study.load("xor-curriculum")
    caption = gallery.figure("xor-orders").caption
    assert f"{study.starts} random starts" in caption
    assert f"{study.runs} runs" in caption
    assert settings_in_words(study.experiment, ["student.width", "protocol.order"], study.dimension) in caption


def test_independent_tickets_have_the_odds_of_the_paper() -> None:
    """2206.04030: 3/32 at K = 4, and .381, .623, .960 for independent tickets at K = 6, 8, 16."""
    assert [independent_tickets(4, c) for c in range(5)] == pytest.approx([0, 1 / 64, 21 / 64, 9 / 16, 3 / 32])
    assert [independent_tickets(K, 4) for K in (6, 8, 16)] == pytest.approx([0.381, 0.623, 0.960], abs=5e-4)
    assert "3/32 at K = 4" in gallery.figure("lottery").title


@pytest.mark.slow
def test_lottery_has_the_odds_of_the_paper() -> None:
    data = table("lottery")
    minimal = data[(data["part"] == "width") & (data["width"] == 4)].set_index("covered_clusters")
    runs = minimal["of_runs"].iloc[0]
    for covered, paper in ((1, 0.016), (2, 0.328), (3, 0.5625), (4, 0.094)):
        # Sampling error of the runs, and what interactions add to independent tickets at D = 250 (0.01 in 10,000 runs).
        assert abs(minimal["frequency"][covered] - paper) < 4 * np.sqrt(paper * (1 - paper) / runs) + 0.02
    full = data[data["covered_clusters"] == 4]
    by_width = full[full["part"] == "width"].set_index("width")["frequency"]
    assert by_width[4] < by_width[8] < by_width[16]
    # At high noise the hard examples alone find the clusters too late; easy ones, first or mixed in, keep the odds.
    hard = data[(data["part"] == "order") & (data["noise"] == 0.6) & (data["covered_clusters"] >= 3)]
    chance = hard.groupby("order")["frequency"].sum()
    assert chance["curriculum"] > chance["hard-only"] + 0.1


@pytest.mark.slow
def test_the_diffusion_has_the_odds_of_sgd() -> None:
    data = table("finite-d-odds")
    found = means(data).set_index(["order", "source"])
    for order in ("curriculum", "random", "hard-only"):
        diffusion, sgd = (found.loc[(order, source)] for source in ("diffusion", "SGD"))
        assert abs(diffusion["mean"] - sgd["mean"]) < 4 * np.hypot(diffusion["error"], sgd["error"])
        counts = data[(data["part"] == "order") & (data["order"] == order)].pivot(
            index="source", columns="covered_clusters", values="count"
        )
        assert chi2_contingency(counts.loc[:, counts.sum() > 0]).pvalue > 1e-4
    # The end of the equations is certain; at finite D the order of examples moves the odds.
    gap = found.loc[("curriculum", "diffusion")] - found.loc[("hard-only", "diffusion")]
    assert gap["mean"] > 4 * np.hypot(*found.loc[(["curriculum", "hard-only"], "diffusion"), "error"])


def test_finite_size_exponents() -> None:
    data = table("finite-size")
    fits = exponents(data).set_index(["quantity", "what"])
    for name in ("trace of Q", "M along its start", "v along its start"):
        row = fits.loc[(name, "scatter")]
        assert abs(row["exponent"] + 0.5) < 4 * row["error"]
    row = fits.loc[("trace of Q", "shift")]
    assert abs(row["exponent"] + 1.0) < 4 * row["error"] + 0.05
    large = data[data["dimension"] >= 1000]
    assert (np.abs(large["scatter"] - large["predicted_scatter"]) < 4 * large["scatter_error"] + 0.02 * large["scatter"]).all()
    # The next order in 1/D is no larger than a tenth of the first here.
    assert (np.abs(data["shift"] - data["predicted_shift"]) < 4 * data["shift_error"] + 0.1 * data["predicted_shift"].abs()).all()


def test_perceptron_is_sped_up_modestly_and_gains_nothing_in_the_end() -> None:
    """2106.08068, online: a curriculum helps on the way (less the harder its easy examples are), and not in the end."""
    data = table("perceptron-orders")
    middle = data[(data["part"] == "difficulty") & (data["levels.hard.irrelevant_variance"] == 2.0)]
    assert (middle["gain"] > 5 * middle["standard_error"]).all()
    assert (np.diff(middle.sort_values("levels.easy.irrelevant_variance")["gain"]) < 0).all()
    assert middle["gain"].max() < 0.03
    curves = data[data["part"] == "curves"].sort_values("t").groupby("protocol.order")["theory"].last()
    assert abs(curves["curriculum"] - curves["random"]) < 0.005


def test_exponents_of_known_powers() -> None:
    D = np.array([100, 1000, 10_000, 100_000])
    exact = {"scatter": D**-0.5, "scatter_error": 0.01 * D**-0.5, "shift": -2.0 / D, "shift_error": 0.01 / D}
    fits = exponents(pd.DataFrame({"dimension": D, "quantity": "x", **exact}))
    assert fits["exponent"].to_numpy() == pytest.approx([-0.5, -1.0])


@pytest.mark.slow
def test_the_speed_up_stays_and_the_gap_closes() -> None:
    """Accuracy gained over random: on the way at every width, in the end hardly any for a wide network."""
    ends = largest_and_final(table("width-gap"))
    wide = ends[ends["width"] >= 16].groupby("which")["gap"].mean()
    assert wide["largest"] > 0.04
    assert wide["final"] < 0.012
    minimal = ends[ends["width"] <= 6].groupby("which")["gap"].mean()
    assert minimal["largest"] > 0.04


@pytest.mark.slow
def test_difficulty_orders_the_losses_as_in_the_paper() -> None:
    """2406.01589: curriculum < random < hard-only; all tend to ln 2; the largest gap to hard-only near sigma = .35 to .5."""
    losses = table("difficulty").pivot(index=["kind", "noise"], columns="order", values="loss")
    fading = losses.loc["fading"]
    middle = fading.loc[0.3:0.7]
    assert (middle["curriculum"] < middle["hard-only"]).all()
    assert (middle["random"] < middle["hard-only"]).all()
    assert (fading["random"] - fading["curriculum"]).mean() > 0.005
    assert 0.3 < (fading["hard-only"] - fading["curriculum"]).idxmax() < 0.65
    assert (np.abs(losses.xs(0.8, level="noise") - np.log(2)) < 0.03).all(axis=None)
    hard = table("difficulty")
    covered = hard[(hard["kind"] == "fading") & (hard["noise"] == 0.6)].set_index("order")["covered_0"]
    assert covered["curriculum"] < covered["hard-only"] - 0.2


@pytest.mark.slow
def test_easy_examples_help_where_the_signal_is_neither_lost_nor_plain() -> None:
    data = table("signal-to-noise")
    data = data[data["order"] == "curriculum"].set_index("ratio")
    for gain, error in (("theory", "theory_standard_error"), ("gap", "standard_error")):
        assert data[gain].idxmax() == 3.0
        assert data[gain][3.0] > 0.03
        assert (np.abs(data[gain][[1.0, 16.0]]) < 0.03 + 4 * data[error][[1.0, 16.0]]).all()
    apart = np.abs(data["theory"] - data["gap"])
    assert (apart < 4 * np.hypot(data["theory_standard_error"], data["standard_error"])).all()


@pytest.mark.slow
def test_committees_specialise_or_stay() -> None:
    """K = M: the plateau is left and the teacher learnt; K < M: one unit between two teachers, |cosine| 1/sqrt 2, to the end."""
    data = table("committee")
    last = data[data["theory"].notna()].sort_values("t").groupby(["width", "start", "quantity"])["mean_field"].last().unstack()
    assert (last.loc[2, "generalization_error"] < 1e-8).all()
    assert (last.loc[2, "specialization"] > 0.999).all()
    assert last.loc[1, "specialization"].to_numpy() == pytest.approx(2**-0.5, abs=0.02)
    assert (last.loc[1, "generalization_error"] > 0.02).all()
    escape = data.groupby("width")["escape_time"].min()
    assert 30 < escape[2] < escape[4]
    assert np.isnan(escape[1])


@pytest.mark.slow
def test_bands_of_single_runs_are_as_wide_as_predicted() -> None:
    """Quantiles of 300 runs give the width of a band to 8 %, those of 60 paths to 15 %."""
    ratio = coverage(table("finite-d-bands"))
    assert (np.abs(ratio["closure"].dropna() - 1.0) < 0.2).all()
    assert (np.abs(ratio["expansion"].dropna() - 1.0) < 0.2).all()
    assert (np.abs(ratio["diffusion"] - 1.0) < 0.4).all()


@pytest.mark.slow
def test_the_mean_is_shifted_as_predicted() -> None:
    """Beyond statistics, the next order in 1/D may be a tenth of the first at D = 40."""
    data = table("finite-d-shift")
    apart = np.abs(data["shift"] - data["predicted_shift"])
    assert (apart < 4 * data["shift_error"] + 4.0 / data["dimension"] * data["predicted_shift"].abs()).all()
    committee = slopes(data, least=40).set_index("quantity").loc["Q[0,0]"]
    assert committee["error"] < 0.05  # there is something to be seen
    ratio = data["scatter"] / data["predicted_scatter"]
    assert (np.abs(ratio - 1.0) < 4 / np.sqrt(2 * data["runs"]) + 10.0 / data["dimension"]).all()


@pytest.mark.slow
def test_a_verdict_finds_less_in_more_runs_and_in_more_dimensions() -> None:
    data = table("verdict-power").set_index(["experiment", "dimension", "runs"])["found"].unstack()
    assert (data[32] < data[8]).all()
    for _, of in data.groupby("experiment"):
        assert of[32].iloc[-1] < of[32].iloc[0]
    # Of what is all chance, such as of a perceptron, D^(-1/2): 30^(-1/2) = .18 from D = 100 to 3000.
    perceptron = data.loc["perceptron", 32]
    assert 0.08 < perceptron[3000] / perceptron[100] < 0.4


@pytest.mark.slow
def test_the_plateau_is_left_when_simulation_leaves_it() -> None:
    found = summary(table("plateau-escape")).set_index(["source", "dimension"])
    assert (found["stayed"] == 0).all()
    for D in (100, 3000):
        sgd, equations = found.loc[("SGD", D)], found.loc[("equations", D)]
        assert abs(sgd["mean"] - equations["mean"]) < 4 * np.hypot(sgd["mean_error"], equations["mean_error"])
    # The equations wait for log D: from 1/sqrt 100 to 1/sqrt 3000.
    assert found.loc[("equations", 3000), "mean"] > found.loc[("equations", 100), "mean"] + 20


@pytest.mark.slow
def test_the_diffusion_leaves_the_plateau_with_sgd() -> None:
    found = summary(table("plateau-escape")).set_index(["source", "dimension"])
    for D in (100, 3000):
        sgd, paths = found.loc[("SGD", D)], found.loc[("diffusion", D)]
        assert abs(sgd["mean"] - paths["mean"]) < 4 * np.hypot(sgd["mean_error"], paths["mean_error"])


@pytest.mark.slow
def test_coupled_slices_gain_and_uncoupled_ones_do_not() -> None:
    """2106.08068, batch: uncoupled, the curriculum is far behind pooling; coupled, it is ahead; points lie on the lines."""
    data = table("batch-coupling")
    best = data[data["part"].isin(["uncoupled", "coupled"])].set_index(["part", "order"])["theory"]
    assert best["uncoupled", "curriculum"] > best["uncoupled", "random"] + 0.05
    assert best["coupled", "curriculum"] < best["uncoupled", "random"] - 0.02
    # No coupling: the hard slice alone. A perceptron of alpha = 1, logistic loss: the same number from the state evolution.
    alone = cu.load("batch-perceptron").replace({"protocol.order": "hard-only", "protocol.duration": 1.0})
    lone = cu.state_evolution(alone.replace({"training.regularization": "optimal"})).classification_error[-1]
    assert best["uncoupled", "curriculum"] == pytest.approx(lone, abs=1e-6)
    points = data[data["part"] == "point"]
    assert (abs(points["simulation"] - points["theory"]) < 0.03).all()
    assert abs((points["simulation"] - points["theory"]).mean()) < 0.015  # two runs, the same for all


@pytest.mark.slow
def test_gain_is_largest_where_easy_is_easiest_and_hard_hardest() -> None:
    data = table("batch-gain")
    difficulty = data[data["part"] == "difficulty"].set_index(["easy", "hard"])["gain"]
    assert difficulty.idxmax() == (0.0, 8.0)
    assert difficulty[0.0, 8.0] == pytest.approx(0.094, abs=1e-3)
    assert difficulty[0.8, 8.0] < 0  # examples that are nearly as hard are better pooled


@pytest.mark.slow
def test_batches_learn_more_than_online_and_gain_more() -> None:
    data = table("batch-online").pivot_table(index="alpha", columns=["way", "order"], values="theory")
    assert (data["batch"] < data["online"]).all().all()
    gain = data.xs("random", axis=1, level="order") - data.xs("curriculum", axis=1, level="order")
    assert (gain["batch"] > 2 * gain["online"]).all()


def test_the_perceptron_is_sped_up_by_a_fifth_at_most() -> None:
    """2106.08068, "modestly": more the easier the easy and the harder the hard examples, and the fewer inputs are relevant."""
    data = table("perceptron-speedup")
    levels = ["levels.easy.irrelevant_variance", "levels.hard.irrelevant_variance"]
    difficulty = data[data["part"] == "difficulty"].groupby(levels)["speed_up"].mean().unstack()
    assert (np.diff(difficulty, axis=0) < 0).all()
    assert (np.diff(difficulty, axis=1) > 0).all()
    assert 1.15 < difficulty.to_numpy().max() < 1.3
    structure = data[data["part"] == "structure"].groupby(["task.relevant_fraction", "levels.easy.share"])["speed_up"].mean()
    assert structure.idxmax()[0] == 0.1
    assert 0.3 <= structure.idxmax()[1] <= 0.6
    assert (structure.xs(0.9, level="task.relevant_fraction") < 1.05).all()


@pytest.mark.slow
def test_phase_diagrams_show_where_order_matters_and_where_learning_diverges() -> None:
    from curriculode.figures.gallery.phase_diagrams import ORDERS
    from curriculode.figures.gallery.phase_diagrams import part_of as of_part

    data = table("phase-diagrams")
    rate = of_part(data, "rate").groupby(["training.learning_rate", "levels.hard.noise"])["failed"].mean()
    assert rate[64.0, 1.0] == 1.0
    assert rate[64.0, 0.1] == 0.0
    assert rate[1.0, 1.0] == 0.0
    assert (rate.unstack().diff().dropna() >= 0).all(axis=None)  # the larger the rate, the more starts diverge
    gap = average(of_part(data, "width"), ["student.width", "levels.hard.noise"], "classification_error", gap=ORDERS)
    gap = gap.set_index(["student.width", "levels.hard.noise"])["value"]
    assert gap.loc[:, 0.6].mean() < -0.03  # the curriculum ends lower where the noise is high
    assert abs(gap[16, 0.3]) < 0.01  # and a wide network hardly cares where it is low


@pytest.mark.slow
def test_a_wide_network_is_sped_up_and_ends_the_same() -> None:
    data = table("xor-orders")
    wide = data[data["student.width"] == 16].pivot_table(index="t", columns="protocol.order", values="theory")
    lead = wide["random"] - wide["curriculum"]  # of classification errors
    assert lead.max() > 0.03
    assert abs(lead.iloc[-1]) < 0.25 * lead.max()


def test_paired_difference_by_hand() -> None:
    mean, error = paired_difference(np.array([3.0, 5.0]), np.array([1.0, 1.0]))
    assert (mean, error) == (3.0, 1.0)
