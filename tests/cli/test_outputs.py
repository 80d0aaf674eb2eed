"""The folder of results when two want it, when a process is killed, when the disk is full: old results whole, no half new ones."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from curriculode.cli.outputs import Outputs
from curriculode.theory.core.errors import InputError
from tests.cli.conftest import Command
from tests.fuzz.outcomes import SCALE

SUFFIXES = (".csv", ".png", ".toml")


def outputs(folder: Path, settings: str = "mine", force: bool = False, stem: str = "x") -> Outputs:
    return Outputs(folder, stem, SUFFIXES, "sweep", settings, force)


def files(content: str) -> dict:
    return {suffix: lambda path: path.write_text(content) for suffix in SUFFIXES}


def seen(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir()) if not path.name.startswith(".")}


def test_the_same_settings_renew_their_files_and_others_are_refused(tmp_path: Path) -> None:
    outputs(tmp_path).publish(files("first"))
    outputs(tmp_path).publish(files("second"))
    assert set(seen(tmp_path).values()) == {"second"}
    with pytest.raises(InputError, match="was not made by this command with these settings; use --force"):
        outputs(tmp_path, "other")
    outputs(tmp_path, "other", force=True).publish(files("third"))
    assert set(seen(tmp_path).values()) == {"third"}


def test_who_comes_second_loses_nothing(tmp_path: Path) -> None:
    """Both began in an empty folder; the check is repeated when files are put in place."""
    one, two, three = outputs(tmp_path, "one"), outputs(tmp_path, "two"), outputs(tmp_path, "three")
    one.publish(files("one"))
    placed = two.publish(files("two"))
    assert [path.name for path in placed] == ["x-2.csv", "x-2.png", "x-2.toml"]
    assert "x.csv is not of this command with these settings and was left as it is" in two.note
    three.publish(files("three"))
    assert {name.split(".")[0]: content for name, content in seen(tmp_path).items()} == {"x": "one", "x-2": "two", "x-3": "three"}


def test_unfinished_results_take_no_ones_place(tmp_path: Path) -> None:
    outputs(tmp_path).publish(files("finished"))
    outputs(tmp_path).publish(files("unfinished"), unfinished=True)
    other = outputs(tmp_path, "other", stem="y")
    other.stem = "x"  # another's unfinished results of that name
    other.publish(files("others"), unfinished=True)
    assert {name.split(".")[0]: content for name, content in seen(tmp_path).items()} == {
        "x": "finished",
        "x-partial": "unfinished",
        "x-partial-2": "others",
    }


def test_all_files_or_none(tmp_path: Path) -> None:
    outputs(tmp_path).publish(files("old"))

    def full(path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match=r"could not be written to .* \(No space left on device\); what was there is as it was"):
        outputs(tmp_path).publish({**files("new"), ".toml": full})
    assert set(seen(tmp_path).values()) == {"old"}
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == [
        ".curriculode.json",
        ".curriculode.lock",
    ]


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"x.csv": 3}', "[" * 100_000, "\0", '{"x.csv": {"origin": "sweep"}}'])
def test_a_damaged_manifest_makes_nothing_ours(content: str, tmp_path: Path) -> None:
    outputs(tmp_path).publish(files("old"))
    (tmp_path / ".curriculode.json").write_text(content)
    with pytest.raises(InputError, match="use --force"):
        outputs(tmp_path)
    outputs(tmp_path, force=True).publish(files("new"))
    assert set(seen(tmp_path).values()) == {"new"}


def test_what_killed_processes_left_beside_is_put_away(tmp_path: Path) -> None:
    left, fresh = tmp_path / ".curriculode-00000000-x.csv", tmp_path / ".curriculode-11111111-x.csv"
    left.write_text("half")
    fresh.write_text("somebody is writing")
    os.utime(left, (time.time() - 7200,) * 2)
    outputs(tmp_path).publish(files("new"))
    assert not left.exists()
    assert fresh.exists()


TINY = ["-s", "protocol.duration=0.2", "--points", "64", "-D", "60"]
REFINE = [
    "refine",
    *TINY,
    *("--x", "levels.hard.noise=0.3:0.5", "--y", "training.learning_rate=1:2", "--level", "0.4", "--finest", "1"),
]


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    ("first", "others"),
    [
        (
            [*REFINE, "--budget", "25"],
            [["--budget", "26"], ["--seeds", "2"], ["--points", "128"], ["-D", "70"], ["--store", "other.sqlite"]],
        ),
        (
            ["sweep", *TINY, "--over", "student.width=2,3", "--store", "a.sqlite"],
            [
                ["--over", "training.learning_rate=1"],
                ["--store", "b.sqlite"],
                ["--seeds", "2"],
                ["--shard", "1/1"],
                ["--no-theory", "--runs", "1"],
            ],
        ),
        (
            ["compare", *TINY, "--over", "student.width=2", "--runs", "4", "--starts", "1", "--times", "2"],
            [["--quantity", "generalization_error"], ["--runs", "5"], ["--seed", "1"]],
        ),
        (["simulate", "-s", "protocol.duration=0.2", "-D", "60", "--runs", "2"], [["--space", "weight"], ["--times", "2"]]),
    ],
    ids=["refine", "sweep", "compare", "simulate"],
)
def test_results_belong_to_all_settings(command: Command, tmp_path: Path, first: list[str], others: list[list[str]]) -> None:
    workers = [] if first[0] == "compare" else ["--workers", "1"]
    command(*first, *workers)
    stem = f"xor-curriculum-{first[0]}"
    before = (tmp_path / "curriculode-out" / f"{stem}.csv").read_bytes()
    for changed in others:
        name = f"{stem}-1-of-1" if "--shard" in changed else stem
        if name == stem:
            assert "was not made by this command with these settings" in command(*first, *workers, *changed, status=2).err
        assert (tmp_path / "curriculode-out" / f"{stem}.csv").read_bytes() == before
    command(*first, "--workers", "2")  # no number depends on it


CHILD = """
import sys
from pathlib import Path
from curriculode.cli.outputs import Outputs
folder, stem, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
suffixes = (".csv", ".png", ".toml")
if len(sys.argv) > 4:
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]),) * 2)
print("ready", flush=True)
for i in range(10**9 if stem == "kill" else 40):
    text = f"{name}{i:06d}," * 20_000 + "end"
    out = Outputs(folder, stem if stem == "kill" else f"{stem}{i % 4}", suffixes, "sweep", name, True)
    out.publish({suffix: lambda path: path.write_text(text) for suffix in suffixes})
    if stem == "kill":
        print(i, flush=True)
"""


def child(*arguments: str) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def whole(content: str) -> bool:
    parts = content.split(",")
    return parts[-1] == "end" and len(parts) == 20_001 and len(set(parts[:-1])) == 1


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path: Path, seed: int) -> None:
    """What is in place is whole, at most one generation apart, and never older than what was told; 40 kills."""
    wait = random.Random(seed)
    for _ in range(max(1, round(40 * SCALE))):
        process = child(str(tmp_path), "kill", "a")
        time.sleep(wait.uniform(0.0, 0.05))
        process.send_signal(signal.SIGKILL)
        told, _ = process.communicate()
        last = max([int(line) for line in told.split()], default=-1)
        found = seen(tmp_path)
        assert all(whole(content) for content in found.values()), found.keys()
        if last >= 0:
            generations = [int(content[1:7]) for content in found.values()]
            assert len(generations) == 3
            assert last <= min(generations) <= max(generations) <= last + 1
        for path in tmp_path.iterdir():
            path.unlink()


@pytest.mark.slow
def test_two_processes_in_one_folder(tmp_path: Path) -> None:
    """Nothing interleaved, and the folder's record holds the files of both."""
    processes = [child(str(tmp_path), *names) for names in (("left", "a"), ("right", "b"))]
    for process in processes:
        _, error = process.communicate()
        assert process.returncode == 0, error
    found = seen(tmp_path)
    assert len(found) == 24
    assert all(whole(content) for content in found.values())
    assert all((content[0] == "a") == name.startswith("left") for name, content in found.items())
    assert set(json.loads((tmp_path / ".curriculode.json").read_text())) == set(found)


@pytest.mark.slow
def test_a_disk_that_is_full_in_the_middle(tmp_path: Path) -> None:
    outputs(tmp_path, "a", force=True, stem="kill").publish(files("old"))
    process = child(str(tmp_path), "kill", "a", "50000")
    _, error = process.communicate()
    assert process.returncode == 1
    assert "what was there is as it was" in error
    assert set(seen(tmp_path).values()) == {"old"}


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")
def test_as_an_ordinary_user(command: Command, tmp_path: Path) -> None:
    """A folder that may not be written to, a table and an experiment that may not be read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        integrate = ("integrate", "-s", "protocol.duration=0.1", "--points", "64", "--times", "2")
        command(*integrate)  # all that is needed is imported before the user changes, who may not read it
        assert "cannot be read" in command("diagram", "missing.csv", "--x", "a", "--y", "b", status=2).err
        for file in ("secret.csv", "secret.toml"):
            (folder / file).write_text("x")
            (folder / file).chmod(0)
        for arguments, sentence in (
            ((*integrate, "--out", name), "cannot be written to"),
            (("diagram", f"{name}/secret.csv", "--x", "a", "--y", "b"), "is not readable; see"),
            (("integrate", f"{name}/secret.toml"), "cannot be read"),
        ):
            status, said = as_nobody(command, arguments)
            assert status == 2, said
            assert sentence in said
            assert len(said.splitlines()) == 1
        assert sorted(path.name for path in folder.iterdir()) == ["secret.csv", "secret.toml"]


def as_nobody(command: Command, arguments: tuple[str, ...]) -> tuple[int, str]:
    """Status and standard error of a command in a copy of this process that belongs to an ordinary user."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        status, said = 99, ""
        try:
            os.setuid(65534)
            status, _, said = command(*arguments, status=None)
        except BaseException as error:
            said = repr(error)
        finally:
            os.write(writer, said.encode())
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), said


def limits() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))


@pytest.mark.slow
def test_standard_output_that_is_closed_full_or_cannot_hold_a_letter(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "curriculode", "experiments"]
    plain = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    escaped = subprocess.run([*program, "xor-curriculum"], env=plain, capture_output=True, check=True)
    assert b"separation" in escaped.stdout
    assert escaped.stderr == b""
    closed = subprocess.run(
        [sys.executable, "-c", f"import os, sys; os.close(1); os.execv({program[0]!r}, {program!r})"], check=False
    )
    assert closed.returncode == 0
    with (tmp_path / "full").open("w") as file:
        full = subprocess.run(program, stdout=file, stderr=subprocess.PIPE, text=True, preexec_fn=limits, check=False)
    assert full.returncode == 2
    assert full.stderr == "curriculode: standard output could not be written (File too large); files that were written are whole\n"
    reader, writer = os.pipe()
    os.close(reader)
    left = subprocess.run(program, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (left.returncode, left.stderr) == (0, "")
