"""`curriculode simulate`: simulation alone."""

from .options import Request, takes
from .report import Files, print_files, print_json, print_table, ten_rows


@takes("dimension", "runs", "seed", "times", "spacing", "points", "space", "workers")
def simulate(request: Request) -> int:
    """Simulate online SGD in D inputs, each run from its own random start: the other side of `compare`.

    For batch learning: minimise the objective of each slice, or of the ridge in a tangent space, on sampled examples.

    Example: curriculode simulate xor-lottery --runs 1000 --times 2
    """
    from curriculode.sims.runs.minimize import minimize
    from curriculode.sims.runs.simulate import simulate

    batch, study = request.is_batch, request.with_options().study
    files = Files(request)
    ensemble = (minimize if batch else simulate)(
        study.experiment,
        dimension=study.dimension,
        runs=study.runs,
        seed=study.seed,
        numerics=study.numerics,
        progress=request.progress,
    )
    summary = ensemble.summary()
    files.write(ensemble.to_frame(), ensemble.plot()[0].figure, ensemble.interrupted)
    if request.json:
        print_json(
            {
                "command": "simulate",
                "experiment": study.experiment.to_dict(),
                "dimension": study.dimension,
                "seed": study.seed,
                "numerics": study.numerics.to_dict(),
                "runs": len(ensemble.run),
                "status": ensemble.status,
                "statistics": dict(ensemble.statistics),
                "summary": summary.to_dict("list"),
                "files": files.outputs.written,
            }
        )
    else:
        chosen = ten_rows(summary)
        what = "Minimisation" if batch else "Online SGD"
        print_table(
            chosen[[c for c in chosen.columns if not c.endswith("_scatter")]],
            f"{what} at D = {study.dimension}, mean over {len(ensemble.run)} runs, errors on the hardest level",
            dict.fromkeys(summary.columns, ".4g"),
        )
        print(ensemble.status)
        print_files(files.outputs)
    return 130 if ensemble.interrupted else 0 if ensemble.finite.any() else 1
