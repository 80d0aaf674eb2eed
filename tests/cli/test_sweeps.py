"""Sweeps on the command line: grids, stores, shards and refinement."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import curriculode as cu

from .conftest import Command
from .process import run

QUICK = ["-D", "60", "-s", "protocol.duration=1.0", "--points", "64", "--workers", "1"]
GRID = ["--over", "student.width=1,2", "--over", "levels.hard.noise=0.4:0.6:3"]


@pytest.mark.slow
def test_sweep_resumes_reports_and_merges(command: Command, tmp_path: Path) -> None:
    sweep = ["sweep", "xor-curriculum", *QUICK, *GRID, "--seeds", "2"]
    store = ["--store", "noise.sqlite", "--csv", "noise.csv"]
    assert "12 of 12 points done, 0 failed" in command(*sweep, *store).out
    table = pd.read_csv(tmp_path / "noise.csv")
    assert table["levels.hard.noise"].unique().tolist() == [0.4, 0.5, 0.6]
    short = cu.load("xor-curriculum").replace({"protocol.duration": 1.0})
    grid = {"student.width": [1, 2], "levels.hard.noise": [0.4, 0.5, 0.6]}
    api = cu.sweep(short, grid, seeds=2, dimension=60, points=64, workers=1)
    pd.testing.assert_frame_equal(table.drop(columns="seconds"), api.drop(columns="seconds"), check_dtype=False, rtol=1e-14)
    if (tmp_path / "noise.parquet").exists():
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "noise.parquet"), table, check_dtype=False, rtol=1e-14)
    again = command(*sweep, *store)
    assert again.err == ""
    assert pd.read_csv(tmp_path / "noise.csv")["seconds"].equals(table["seconds"])
    # A larger grid: what is missing of it, and no file is touched.
    larger = [*sweep[:-1], "3", "--store", "noise.sqlite", "--status"]
    assert "of 18 points 12 are done, 0 failed and 6 missing; the store holds 12 in all" in command(*larger).out
    content = json.loads(command(*larger, "--json").out)
    assert (content["done"], content["failed"], content["missing"]) == (12, 0, 6)
    assert content["meta"]["curriculode"] == cu.__version__
    # Shards with a store each, joined.
    for i in (1, 2):
        part = command(*sweep, "--shard", f"{i}/2", "--store", f"{i}.sqlite", "--csv", f"{i}.csv")
        assert "6 of 6 points done" in part.out
    merged = command("merge", "all.sqlite", "1.sqlite", "2.sqlite")
    assert "all.sqlite holds 12 finished and 0 failed points; 12 of the finished ones are new" in merged.out
    assert json.loads(command("merge", "all.sqlite", "1.sqlite", "--json").out)["new"] == 0
    command(*sweep, "--store", "all.sqlite", "--csv", "all.csv")
    joined = pd.read_csv(tmp_path / "all.csv")
    pd.testing.assert_frame_equal(joined.drop(columns="seconds"), table.drop(columns="seconds"), rtol=1e-14)


@pytest.mark.slow
def test_failed_points_are_named(command: Command, tmp_path: Path) -> None:
    wild = ["-s", "student.activation=quadratic", "-s", "student.readout=fixed", "--over", "training.learning_rate=0.05,30.0"]
    result = command("sweep", *QUICK, *wild, "--store", "a.sqlite", "--json")
    content = json.loads(result.out)
    assert (content["done"], content["failed"], content["missing"]) == (1, 1, 0)
    assert content["table"]["generalization_error"][1] is None
    assert "diverged" in content["table"]["status"][1]
    status = command("sweep", *QUICK, *wild, "--store", "a.sqlite", "--status").out
    assert "failed: training.learning_rate = 30.0, seed = 0: theory diverged at t = " in status
    retried = command("sweep", *QUICK, *wild, "--store", "a.sqlite", "--retry").out
    assert "1 of 2 points done, 1 failed" in retried
    assert (tmp_path / "curriculode-out" / "xor-curriculum-sweep.csv").exists()


def test_pairs_orders_and_observables(command: Command, tmp_path: Path) -> None:
    varied = ("student.width=1,2", "training.learning_rate=1.0,0.5", "protocol.order=curriculum,random")
    pairs = [text for each in varied for text in ("--over", each)]
    command("sweep", *QUICK, *pairs, "--zip", "--runs", "2", "--observables", "classification_error,Q[0,0]", "--csv", "a.csv")
    table = pd.read_csv(tmp_path / "a.csv")
    assert len(table) == 4
    assert set(zip(table["student.width"], table["training.learning_rate"], strict=True)) == {(1, 1.0), (2, 0.5)}
    assert {"Q[0,0]", "Q[0,0]_simulation", "classification_error_simulation_standard_error"} <= set(table.columns)


@pytest.mark.slow
def test_ctrl_c_and_resume(tmp_path: Path) -> None:
    grid = ["--over", "student.width=2", "--seeds", "400"]
    command = ["sweep", *QUICK[:-2], "--workers", "2", *grid, "--store", "a.sqlite", "--csv", "a.csv"]
    with subprocess.Popen(
        [sys.executable, "-m", "curriculode", *command], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while "400 points 0 are done" in (
            said := run(*command, "--status", cwd=tmp_path).stdout if (tmp_path / "a.sqlite").exists() else "400 points 0 are done"
        ):
            time.sleep(0.1)
        assert "missing" in said  # a store that is being written can be asked
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    if process.returncode == 130:  # a fast machine may have finished first
        assert err.strip() == "curriculode: interrupted"
        # Ctrl-C met the points, or the table that is made when all of them are in the store.
        stored = run(*command, "--status", cwd=tmp_path).stdout
        assert "then the sweep was interrupted" in out or "400 points 400 are done" in stored
    assert "400 of 400 points done" in run(*command, cwd=tmp_path).stdout


@pytest.mark.slow
def test_refine_writes_table_and_picture(command: Command, tmp_path: Path) -> None:
    ranges = ["--x", "levels.hard.noise=0.2:0.8", "--y", "training.learning_rate=0.5:4:log"]
    words = ["refine", *QUICK, *ranges, "--value", "generalization_error", "--level", "0.5", "--budget", "40", "--finest", "2"]
    assert " places; " in command(*words).out
    table = pd.read_csv(tmp_path / "curriculode-out" / "xor-curriculum-refine.csv")
    assert 25 <= len(table) <= 40
    assert (tmp_path / "curriculode-out" / "xor-curriculum-refine.pdf").exists()
    assert json.loads(command(*words, "--json").out)["places"] == len(table)


BAD = [
    (["refine", "--x", "a=1:2:3", "--y", "b=1:2"], "--x 'a=1:2:3' is not understood; write NAME=a:b"),
    (["refine", "--x", "student.width=1:2"], "refine needs two ranges; give --x NAME=a:b and --y NAME=a:b"),
    (["refine", "--x", "student.width=1:2", "--y", "levels.hard.noise=0.1:0.5"], "give level or gap"),
    (["sweep", "--store", "a.csv", "--csv", "a.csv"], "--csv a.csv is not allowed; give a name of its own"),
    (["sweep", "--status"], "--status needs the store it is asked about; add --store FILE.sqlite"),
    (["sweep", "--store", "missing.sqlite", "--status"], "the store missing.sqlite does not exist"),
    (["sweep", "--store", "notes.txt"], "notes.txt is no store of curriculode (not an SQLite file); it was left as it is"),
    (["sweep", "--over", "levels.hard.noize=0.1:0.2:2"], "setting 'noize' is unknown (did you mean 'noise'?)"),
    (["sweep", "--over", "student.width=1,2", "--over", "levels.hard.noise=0.5", "--zip"], "give as many of each"),
    (["sweep", "--seeds", "0"], "seeds = 0 is not allowed"),
    (["sweep", "--shard", "4/3"], "shard '4/3' is not allowed; write i/n"),
    (["sweep", "--no-theory"], "has nothing to compute"),
    (["sweep", "--observables", "joy"], "observable 'joy' is unknown; allowed: generalization_error"),
    (["sweep", "--csv", "notes.txt"], "was not made by this command with these settings; use --force"),
    (["merge", "out.sqlite", "missing.sqlite"], "the store missing.sqlite does not exist"),
    (["merge", "out.sqlite"], "Missing argument"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_is_one_sentence_and_status_two(arguments: list[str], message: str, command: Command, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("my notes")
    result = command(*arguments, status=2)
    assert message in result.err
    assert result.err.count("\n") == 1
    assert result.out == ""
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != "curriculode-out"] == ["notes.txt"]
    assert (tmp_path / "notes.txt").read_text() == "my notes"
