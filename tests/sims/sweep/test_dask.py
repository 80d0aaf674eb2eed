"""A sweep on a real Dask scheduler with several worker processes, one of which is killed in the middle."""

import os
import signal
from collections.abc import Iterator

import pytest

import curriculode as cu
from curriculode.sims.sweep.store import Store
from tests.cli.conftest import command  # noqa: F401  a fixture

from .conftest import GRID, QUICK
from .test_sweep import same

distributed = pytest.importorskip("distributed", reason="needs the extra 'cluster': pip install 'curriculode[cluster]'")


@pytest.fixture(scope="module")
def client() -> Iterator:
    with (
        distributed.LocalCluster(
            n_workers=3, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_costs_nothing(
    client, small: cu.Experiment, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    victim = client.submit(os.getpid, pure=False).result()
    keep, kept = Store.keep, []

    def count(self, *arguments: object) -> None:
        keep(self, *arguments)
        kept.append(1)
        if len(kept) == 40:
            os.kill(victim, signal.SIGKILL)

    monkeypatch.setattr(Store, "keep", count)
    settings = dict(over=GRID, seeds=25, store=tmp_path / "a.sqlite", **QUICK)
    table = cu.sweep(small, executor=client.get_executor(pure=False), **settings)
    assert len(kept) == len(table) == 200
    same(table, cu.sweep(small, over=GRID, seeds=25, workers=1, **QUICK))


@pytest.mark.slow
def test_the_command_finds_the_scheduler(client, tmp_path, command) -> None:  # noqa: F811
    arguments = [
        "sweep",
        "-s",
        "protocol.duration=1.0",
        "--over",
        "student.width=2,4",
        "--seeds",
        "3",
        "--points",
        "64",
        "-D",
        "100",
    ]
    address = client.cluster.scheduler_address
    result = command(*arguments, "--dask", address, "--csv", "dask.csv")
    assert "6 of 6 points done, 0 failed" in result.out
    command(*arguments, "--workers", "1", "--csv", "here.csv")
    import pandas as pd

    same(pd.read_csv(tmp_path / "dask.csv"), pd.read_csv(tmp_path / "here.csv"))
    assert "exclude each other" in command(*arguments, "--dask", address, "--workers", "2", status=2).err
    gone = command(*arguments, "--dask", "tcp://127.0.0.1:1", status=2).err
    assert "no scheduler answers there" in gone
    assert gone.count("\n") == 1
