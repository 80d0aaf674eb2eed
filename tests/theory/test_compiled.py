"""The folders of compiled kernels: which are deleted, and when."""

import os
import time
from pathlib import Path

import pytest

from curriculode.theory.core import compiled

DAY = 24 * 3600.0


def folders(root: Path, ages: list[float]) -> list[Path]:
    """Folders of kernels last used so many days ago."""
    made = []
    for i, age in enumerate(ages):
        folder = root / f"kernels-{i:016x}"
        folder.mkdir()
        (folder / "index.nbi").write_bytes(b"")
        os.utime(folder, (time.time() - age * DAY,) * 2)
        made.append(folder)
    return made


def test_folders_unused_for_a_week_go_but_for_the_last_four(tmp_path: Path) -> None:
    made = folders(tmp_path, [0, 1, 2, 3, 6.9, 8, 100])
    (tmp_path / "other").mkdir()
    (tmp_path / "kernels-file").write_text("")
    compiled.prune(tmp_path, made[0])
    assert [folder.exists() for folder in made] == [True] * 5 + [False] * 2
    assert (tmp_path / "other").exists()
    assert (tmp_path / "kernels-file").exists()


def test_four_are_kept_however_old_and_so_is_the_one_in_use(tmp_path: Path) -> None:
    made = folders(tmp_path, [30, 40, 50, 60, 70, 80])
    compiled.prune(tmp_path, made[5])
    assert [folder.exists() for folder in made] == [True] * 4 + [False, True]


def test_a_folder_that_another_process_deletes_first_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = folders(tmp_path, [30, 40, 50, 60, 70, 80])
    remove = compiled.shutil.rmtree
    monkeypatch.setattr(compiled.shutil, "rmtree", lambda folder, **options: (remove(folder), remove(folder, **options)))
    compiled.prune(tmp_path, made[0])
    assert sum(folder.exists() for folder in made) == 4
    compiled.prune(tmp_path / "none", made[0])


def test_the_folder_follows_the_sources_and_is_marked_as_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package, cache = tmp_path / "package", tmp_path / "cache"
    for floor in ("theory", "sims"):
        (package / floor / "core").mkdir(parents=True)
        (package / floor / "core" / "kernels.py").write_text("one = 1\n")
    monkeypatch.setattr(compiled, "__file__", str(package / "theory" / "core" / "compiled.py"))
    monkeypatch.setattr(compiled.numba.config, "CACHE_DIR", str(cache))
    first = compiled.cache_folder.__wrapped__()
    assert Path(first).parent == cache
    os.utime(first, (0.0, 0.0))
    assert compiled.cache_folder.__wrapped__() == first
    assert time.time() - os.stat(first).st_mtime < 60
    for floor in ("theory", "sims"):
        (package / floor / "core" / "kernels.py").write_text("one = 2\n")
        changed = compiled.cache_folder.__wrapped__()
        assert changed != first
        first = changed


def test_a_folder_that_cannot_be_written_means_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(compiled.numba.config, "CACHE_DIR", str(tmp_path / "file" / "below"))
    assert compiled.cache_folder.__wrapped__() is None
