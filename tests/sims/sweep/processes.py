"""Run as a script: processes that write stores side by side, are killed, or may not write. What they met is printed as JSON.

The package is imported once; each process is a fork, so that forty of them take seconds.
"""

import json
import os
import pickle
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from curriculode.sims.sweep.merge import merge
from curriculode.sims.sweep.store import Store
from curriculode.theory.core.errors import InputError

Say = Callable[[str], None]


def begun(work: Callable[[Say], None]) -> tuple[int, int]:
    """A process that does `work`, and the end of the pipe on which it says something; status 3 for an exception."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 3
        try:
            os.close(read)
            work(lambda text: os.write(write, f"{text}\n".encode()) and None)
            status = 0
        except InputError as error:
            os.write(write, f"refused: {error}\n".encode())
        finally:
            os._exit(status)
    os.close(write)
    return pid, read


def said(pipe: int) -> list[str]:
    """All whole lines until the process is gone."""
    with os.fdopen(pipe) as file:
        return [line[:-1] for line in file.read().splitlines(keepends=True) if line.endswith("\n")]


def killed(work: Callable[[Say], None], seconds: float) -> list[str]:
    pid, pipe = begun(work)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return said(pipe)


def content(path: Path) -> dict[bytes, tuple[Any, ...]]:
    """The points of a store, by key."""
    with Store(path, create=False) as store:
        assert store.damaged() == 0
        rows = list(store.rows())
        assert len({row[:2] for row in rows}) == len(rows)
        return {row[0]: row for row in rows}


def keep(path: Path, points: list[Any], say: Say) -> None:
    """Keep what the store lacks."""
    with Store(path) as store:
        there = b"".join(store.keys(group) for group in store.groups())
        known = {there[i : i + 16] for i in range(0, len(there), 16)}
        for key, job, result in points:
            if key not in known:
                store.keep(key, job, result)
                say(key.hex())


def lasting(work: Callable[[Say], None]) -> float:
    """Seconds that an undisturbed process takes."""
    begin = time.monotonic()
    pid, pipe = begun(work)
    said(pipe)
    os.waitpid(pid, 0)
    return time.monotonic() - begin


def kills(folder: Path, points: list[Any], count: int, rng: random.Random) -> dict[str, Any]:
    """Kill a process that fills a store; a full one is taken away, and at the end it is left unfinished."""
    path, whole, full, unopened = folder / "killed.sqlite", {key: result for key, _, result in points}, 0, 0
    longest = lasting(lambda say: keep(folder / "undisturbed.sqlite", points, say))
    told: set[str] = set()
    for i in range(count):
        told |= set(killed(lambda say: keep(path, points, say), longest * rng.random()))
        if not path.exists() or not path.stat().st_size:
            assert not told
            unopened += 1
            continue
        try:
            found = content(path)
        except InputError as error:  # killed before its tables were written
            if told or "is empty" not in str(error):
                raise
            unopened += 1
            continue
        assert {bytes.fromhex(key) for key in told} <= set(found)
        for key, row in found.items():
            assert (row[10].decode(), row[12]) == (whole[key].status, whole[key].numbers)
        if len(found) == len(points) and i < count - 1:
            full += 1
            told = set()
            for file in folder.glob("killed.sqlite*"):
                file.unlink()
    return {"full": full, "unopened": unopened}


def merges(folder: Path, points: list[Any], count: int, rng: random.Random) -> dict[str, Any]:
    """Kill a process that merges: the result is as it was before, or complete."""
    a, b, path, outcomes = folder / "a.sqlite", folder / "b.sqlite", folder / "all.sqlite", {"as before": 0, "complete": 0}
    keep(a, points[::2], lambda _: None)
    keep(b, points[1::2], lambda _: None)
    longest = lasting(lambda _: merge(folder / "undisturbed-all.sqlite", [a, b]) and None)
    for i in range(count):
        for file in folder.glob("*all.sqlite*"):
            file.unlink()
        for file in folder.glob(".*all.sqlite*"):
            file.unlink()
        before: set[bytes] = set()
        if i % 2:
            keep(path, points[::4], lambda _: None)
            before = set(content(path))
        killed(lambda _: merge(path, [a, b]) and None, longest * rng.random())
        found = set(content(path)) if path.exists() else set()
        assert found in (before, {key for key, _, _ in points})
        outcomes["as before" if found == before else "complete"] += 1
    return outcomes


def together(folder: Path, points: list[Any], count: int, rng: random.Random) -> dict[str, Any]:
    """Three processes make and fill one store at the same time, with points of their own and points of all."""
    for i in range(count):
        path = folder / f"together-{i}.sqlite"
        shares = [rng.sample(points, len(points)), points, points[:: rng.randrange(2, 5)]]
        gate, opened = os.pipe()

        def work(say: Say, share: list[Any], path: Path = path, gate: int = gate, opened: int = opened) -> None:
            os.close(opened)
            os.read(gate, 1)  # until all are there
            keep(path, share, say)

        processes = [begun(lambda say, share=share: work(say, share)) for share in shares]
        os.close(opened)
        os.close(gate)
        for pid, pipe in processes:
            lines = said(pipe)
            assert os.waitpid(pid, 0)[1] == 0, lines
        assert set(content(path)) == {key for key, _, _ in points}
        assert [file.name for file in folder.glob(f"{path.name}*")] == [path.name]
    return {}


def full(folder: Path, points: list[Any], count: int, rng: random.Random) -> dict[str, Any]:
    """A disk that is full after so many bytes, for stores that are made, filled or merged."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    messages: dict[str, int] = {}
    source = folder / "source.sqlite"
    keep(source, points, lambda _: None)
    before = source.read_bytes()
    for i in range(count):
        path = folder / f"full-{i}.sqlite"

        def work(say: Say, i: int = i, path: Path = path) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (rng.randrange(0, 400_000), resource.RLIM_INFINITY))
            if i % 2:
                keep(path, points, say)
            else:
                merge(path, [source])

        rng.random()
        pid, pipe = begun(work)
        lines = said(pipe)
        os.waitpid(pid, 0)
        told = {bytes.fromhex(line) for line in lines if not line.startswith("refused")}
        for line in lines:
            if line.startswith("refused"):
                messages[line] = messages.get(line, 0) + 1
        assert source.read_bytes() == before
        if i % 2 == 0:
            assert set(content(path)) == {key for key, _, _ in points} if path.exists() else any(lines)
        elif told:
            assert told <= set(content(path))
    return {"messages": messages, "left": [file.name for file in folder.glob(".*")]}


def forbidden(folder: Path, points: list[Any], count: int, rng: random.Random) -> dict[str, Any]:
    """An ordinary user meets files and folders that he may not read or write."""
    readable, secret, locked = folder / "readable", folder / "secret", folder / "locked"
    for place in (readable, secret, locked):
        place.mkdir()
        keep(place / "a.sqlite", points[:3], lambda _: None)
        (place / "a.sqlite").chmod(0o444)
        place.chmod(0o555)
    (secret / "a.sqlite").chmod(0)
    locked.chmod(0)
    folder.chmod(0o755)

    def work(say: Say) -> None:
        if os.getuid() == 0:
            os.setuid(65534)
        with Store(readable / "a.sqlite", create=False) as store:
            say(str(sum(store.counts())))
        attempts: list[Callable[[], object]] = [
            lambda: keep(readable / "a.sqlite", points, say),
            lambda: keep(readable / "b.sqlite", points, say),
            lambda: merge(readable / "a.sqlite", [readable / "a.sqlite"]),
            lambda: merge(readable / "b.sqlite", [readable / "a.sqlite"]),
            lambda: keep(secret / "a.sqlite", points, say),
            lambda: keep(locked / "a.sqlite", points, say),
        ]
        for attempt in attempts:
            try:
                attempt()
                say("done")
            except InputError as error:
                say(str(error))

    pid, pipe = begun(work)
    lines = said(pipe)
    status = os.waitpid(pid, 0)[1]
    for place in (readable, secret, locked):
        place.chmod(0o755)
    return {"said": lines, "status": status, "left": sorted(file.name for file in readable.iterdir())}


if __name__ == "__main__":
    what, place, number, begin = sys.argv[1:]
    given = pickle.loads((Path(place) / "points.pickle").read_bytes())
    print(json.dumps(globals()[what](Path(place), given, int(number), random.Random(int(begin)))))
