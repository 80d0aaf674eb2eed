"""`curriculode integrate`: theory alone."""

from typing import TYPE_CHECKING

from .options import NUMERICS, Request, takes
from .report import Files, print_files, print_json, print_table, ten_rows

if TYPE_CHECKING:
    from curriculode.theory.results import Trajectory

_NUMERICS = [name for name in NUMERICS if name not in ("space", "workers")]


@takes("dimension", "seed", *_NUMERICS, outputs=("out", "force", "json"))
def integrate(request: Request) -> int:
    """Integrate the mean-field equations from one random start of D inputs: one side of `compare`.

    For batch learning: the state evolution, slice by slice, which has no start and no dimension. In a tangent space: the ridge at
    each number of examples, or the linear model's own equations.

    Example: curriculode integrate xor-curriculum -s student.width=8 --accuracy 1e-4
    """
    from curriculode.sims.runs.progress import Progress
    from curriculode.theory.describe.tangent import TangentRidge
    from curriculode.theory.solve.integrate import integrate
    from curriculode.theory.solve.state_evolution import state_evolution

    batch, study = request.is_batch, request.with_options().study
    files = Files(request)
    start = study.experiment.initial(study.dimension, study.seed)
    if isinstance(study.experiment.training, TangentRidge):
        with Progress("solving", 1.0) as bar:
            trajectory = state_evolution(study.experiment, start, numerics=study.numerics, progress=bar.update)
    elif batch:
        trajectory = state_evolution(study.experiment)
    else:
        with Progress("integrating", study.experiment.protocol.duration) as bar:
            trajectory = integrate(study.experiment, start, numerics=study.numerics, progress=bar.update)
    files.write(trajectory.to_frame(), trajectory.plot()[0].figure)
    frame = trajectory.to_frame(order_parameters=False)
    if request.json:
        print_json(
            {
                "command": "integrate",
                "experiment": study.experiment.to_dict(),
                "dimension": study.dimension,
                "seed": study.seed,
                "numerics": study.numerics.to_dict(),
                "success": trajectory.success,
                "status": trajectory.status,
                "statistics": dict(trajectory.statistics),
                "trajectory": frame.to_dict("list"),
                "files": files.outputs.written,
            }
        )
    else:
        title = f"State evolution of {study.experiment.training.kind}" if batch else "Mean-field trajectory"
        shown = frame if batch else ten_rows(frame)
        print_table(shown, f"{title}, errors on the hardest level", dict.fromkeys(frame.columns, ".5g"))
        if not batch:
            _tell_averages(trajectory)
        print(trajectory.status)
        print_files(files.outputs)
    return 0 if trajectory.success else 1


def _tell_averages(trajectory: "Trajectory") -> None:
    averages = trajectory.statistics["averages"]
    print("averages: " + ", ".join(f"{term} by {way}" for term, way in averages["ways"].items()))
    if "accuracy" in averages:
        print(
            f"nets of {averages['points']} points and the integrator leave a relative standard error of {averages['accuracy']:.1e} "
            "in the generalisation error"
        )
    if len(error := trajectory.classification_standard_error) and error.max() > 0:
        print(f"standard error of the classification error: at most {error.max():.1e}")
