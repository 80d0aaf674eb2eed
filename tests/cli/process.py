"""The command line as a user meets it: a process of its own."""

import subprocess
import sys
from pathlib import Path


def run(*arguments: str, cwd: Path, status: int = 0, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run `curriculode ARGUMENTS` in the folder `cwd`; it must leave with `status`."""
    result = subprocess.run(
        [sys.executable, "-m", "curriculode", *arguments], cwd=cwd, capture_output=True, text=True, timeout=timeout
    )
    assert result.returncode == status, result.stdout + result.stderr
    return result
