"""Files of images: read when they are what they should be, and told in one sentence when they are not."""

import gzip
import hashlib
import io
import struct
import tarfile
import threading
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

import curriculode as cu
from curriculode.sims.networks import catalogue, fetch
from curriculode.sims.networks.files import read_cifar, read_idx


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def cifar(tmp_path: Path, labels: tuple[int, ...] = (3, 9), name: str = "data_batch_1.bin", cut: int = 0) -> Path:
    """An archive of two images for training, red 10, green 20 and blue 30 but for one pixel, and of one for the test."""
    image = np.repeat(np.array([10, 20, 30], np.uint8), 1024)
    image[1024 + 2 * 32 + 5] = 99  # green, row 2, column 5
    train = b"".join(bytes([label]) + image.tobytes() for label in labels)
    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for member, content in ((name, train), ("test_batch.bin", train[:3073])):
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{member}")
            info.size = len(content) - cut
            archive.addfile(info, io.BytesIO(content))
    return path


def test_idx_files_are_read_packed_or_not(tmp_path):
    images = np.arange(24).reshape(2, 3, 4)
    (tmp_path / "plain").write_bytes(idx(images))
    (tmp_path / "packed").write_bytes(gzip.compress(idx(images)))
    for name in ("plain", "packed"):
        assert np.array_equal(read_idx(tmp_path / name), images)
        read_idx(tmp_path / name, hashlib.sha256(idx(images)).hexdigest())
        with pytest.raises(cu.InputError, match="is not the file it should be"):
            read_idx(tmp_path / name, "0" * 64)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (idx(np.ones((2, 3)))[:-1], "should hold 6 bytes after its head and has 5"),
        (idx(np.ones((2, 3))) + b"x", "should hold 6 bytes after its head and has 7"),
        (b"\x80\x04pickle", "is no file of bytes in IDX form"),
        (b"", "is no file of bytes in IDX form"),
        (struct.pack(">HBB4I", 0, 8, 4, *[2**32 - 1] * 4), "is truncated or damaged"),
        (gzip.compress(idx(np.ones((2, 3))), mtime=0)[:-9], "is truncated or damaged; fetch it again"),
    ],
)
def test_other_files_are_one_sentence(tmp_path, content, words):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(cu.InputError, match=words):
        read_idx(tmp_path / "x")


def test_a_missing_file_or_a_folder_is_one_sentence(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(cu.InputError, match="cannot be read"):
            read_idx(path)


def test_cifar_is_read_from_its_archive(tmp_path):
    train, labels, test, test_labels = read_cifar(cifar(tmp_path))
    assert train.shape == (2, 32, 32, 3)
    assert labels.tolist() == [3, 9]
    assert test_labels.tolist() == [3]
    assert train[1, 0, 0].tolist() == [10, 20, 30]
    assert train[1, 2, 5].tolist() == [10, 99, 30]
    assert np.array_equal(test[0], train[0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": (3, 10)}, "has the label 10, and there are 10 classes"),
        ({"name": "data_batch_1"}, "give the binary archive"),
        ({"cut": 1}, "no whole number of images"),
    ],
)
def test_other_archives_are_one_sentence(tmp_path, options, words):
    with pytest.raises(cu.InputError, match=words):
        read_cifar(cifar(tmp_path, **options))


def test_a_truncated_archive_is_one_sentence(tmp_path):
    path = cifar(tmp_path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(cu.InputError, match="is truncated, or no archive"):
        read_cifar(path)
    with pytest.raises(cu.InputError, match="is not the file it should be"):
        read_cifar(path, "0" * 64)


def test_files_are_looked_for_where_they_may_be(tmp_path, monkeypatch):
    names = [source.name for source in catalogue.KNOWN["fashion-mnist"].files]
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name.removesuffix(".gz")).write_bytes(b"")
    monkeypatch.setenv(catalogue.VARIABLE, str(tmp_path))
    assert catalogue.found("fashion-mnist") == [folder / name.removesuffix(".gz") for name in names]
    assert catalogue.found("fashion-mnist", tmp_path) == catalogue.found("fashion-mnist")
    assert catalogue.found("fashion-mnist", tmp_path / "elsewhere") is None
    (folder / names[2].removesuffix(".gz")).unlink()
    assert catalogue.found("fashion-mnist", tmp_path) is None


def test_what_is_missing_names_files_folder_and_source(tmp_path):
    with pytest.raises(cu.InputError) as told:
        cu.ImageData(name="fashion-mnist", folder=str(tmp_path)).images()
    words = str(told.value)
    for part in ("train-images-idx3-ubyte.gz", str(tmp_path)[:20], "curriculode data fetch fashion-mnist", "dataset-fashion-mnist"):
        assert part in words


def test_files_of_other_content_are_not_used(tmp_path):
    for source in catalogue.KNOWN["fashion-mnist"].files:
        (tmp_path / source.name).write_bytes(gzip.compress(idx(np.ones((2, 28, 28)))))
    with pytest.raises(cu.InputError, match="is not the file it should be"):
        cu.ImageData(name="fashion-mnist", folder=str(tmp_path)).images()


def test_digits_are_scaled_and_split_once():
    images = cu.ImageData(name="digits").images()
    assert images.train.shape == (1437, 8, 8, 1)
    assert images.test.shape == (360, 8, 8, 1)
    assert images.train.mean(dtype=float) == pytest.approx(0.0, abs=1e-6)
    assert images.train.std(dtype=float) == pytest.approx(1.0, abs=1e-6)
    unit = cu.ImageData(name="digits", scaling="unit", test=10).images()
    assert unit.test.shape[0] == 10
    assert unit.train.min() == 0.0
    assert unit.train.max() == 1.0
    assert unit.fingerprint == images.fingerprint
    with pytest.raises(cu.InputError, match=r"digits has 360 test images"):
        cu.ImageData(name="digits", test=361).images()


def test_fashion_mnist_is_what_was_published():
    if catalogue.found("fashion-mnist") is None:
        pytest.skip("the files of FashionMNIST are not on this machine; apt install dataset-fashion-mnist")
    images = cu.ImageData(name="fashion-mnist").images()
    assert images.train.shape == (60_000, 28, 28, 1)
    assert np.bincount(images.train_labels).tolist() == [6000] * 10
    assert np.bincount(images.test_labels).tolist() == [1000] * 10
    assert images.train_labels[:5].tolist() == [9, 0, 0, 3, 0]


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A server of two small files that stand for FashionMNIST, and the set that knows their hashes."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    content = {"a-ubyte.gz": gzip.compress(idx(np.ones(3))), "b-ubyte.gz": gzip.compress(idx(np.zeros(2)))}
    sources = []
    for name, each in content.items():
        (folder / name).write_bytes(each)
        sources.append(catalogue.Source(name, "", hashlib.sha256(each).hexdigest()))
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    known = catalogue.Known((1, 1, 1), 3, 2, 10, tuple(sources), f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setitem(catalogue.KNOWN, "fashion-mnist", known)
    yield folder
    server.shutdown()
    server.server_close()


def test_fetch_takes_what_it_should_and_nothing_else(mirror, tmp_path):
    files = fetch.fetch("fashion-mnist", tmp_path / "to", quiet=True)
    assert [path.read_bytes() for path in files] == [(mirror / path.name).read_bytes() for path in files]
    (mirror / "a-ubyte.gz").write_bytes(b"another")
    assert fetch.fetch("fashion-mnist", tmp_path / "to", quiet=True) == files  # what is there stays
    with pytest.raises(cu.InputError, match="is another file"):
        fetch.fetch("fashion-mnist", tmp_path / "fresh", quiet=True)
    assert list((tmp_path / "fresh").iterdir()) == []
    files[0].write_bytes(b"the user's own")
    with pytest.raises(cu.InputError, match="exists and is not the file"):
        fetch.fetch("fashion-mnist", tmp_path / "to", quiet=True)
    assert files[0].read_bytes() == b"the user's own"


def test_fetch_says_what_cannot_be_had(tmp_path):
    with pytest.raises(cu.InputError, match="cannot be had"):
        fetch.fetch("fashion-mnist", tmp_path, source="http://127.0.0.1:1", quiet=True)
    with pytest.raises(cu.InputError, match="need not be fetched"):
        fetch.fetch("digits")
    with pytest.raises(cu.InputError, match=r"data 'fashion' is unknown .*allowed: digits, fashion-mnist, cifar-10"):
        fetch.fetch("fashion")
