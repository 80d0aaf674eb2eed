"""A process that is killed while it saves a record: the file is an old one or a new one, whole."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import curriculode as cu
from tests.fuzz.outcomes import SCALE

CHILD = """
import sys
import curriculode as cu
record = cu.load_record(sys.argv[1])
print("ready", flush=True)
for i in range(10**9):
    record.replace(status=f"saved {i}").save(sys.argv[2], overwrite=True)
    print(i, flush=True)
"""


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path: Path, seed: int) -> None:
    wait = random.Random(seed)
    case = cu.load("committee-plateau").replace({"protocol.duration": 5.0})
    first = cu.integrate(case, case.initial(dimension=1000), times=2000).save(tmp_path / "first.npz")
    for _ in range(max(1, round(5 * SCALE))):
        target = tmp_path / "x.npz"
        process = subprocess.Popen([sys.executable, "-c", CHILD, first, target], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(wait.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        told = process.communicate()[0].split()
        if told:
            assert int(cu.load_record(target).status.split()[1]) >= int(told[-1])
        elif target.exists():
            assert cu.load_record(target).success
        target.unlink(missing_ok=True)
