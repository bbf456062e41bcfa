"""Snapshots are whole or passed over, whatever happens to the writer, the disk or the file."""

from __future__ import annotations

import errno
import logging
import os
import pickle
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import Engine
from service.errors import BadFileError
from service.feed import snapshot_files
from service.feed.snapshot_files import OpenedSnapshot, SnapshotMeta, newest_snapshot, write_snapshot
from tests.scale import scaled
from tests.unit.service.feed.cities import (
    OFFERS,
    PREFIX,
    Words,
    answers,
    city,
    meta_of,
    signed,
    span,
    taken_apart,
    with_header,
    with_words,
)

ROOT = Path(__file__).resolve().parents[4]
NEWER = "index-000000000009.snapshot"
Change = Callable[[Words], object]


@pytest.fixture(scope="module")
def told() -> dict[int, list[object]]:
    return {seed: answers(city(seed)) for seed in (1, 2)}


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Give the bytes of a snapshot of city 2."""
    return write_snapshot(tmp_path_factory.mktemp("content"), city(2), meta_of(2)).read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a snapshot of city 1."""
    write_snapshot(tmp_path / "snapshots", city(1), meta_of(1))
    return tmp_path / "snapshots"


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".writing.lock")


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert {record.name for record in caplog.records} <= {"service.feed"}
    caplog.clear()
    return said


def found_in(folder: Path) -> OpenedSnapshot:
    found = newest_snapshot(folder)
    assert found is not None
    assert found.meta in (meta_of(1), meta_of(2))
    return found


def seed_of(folder: Path) -> int:
    """Return which city is found."""
    return found_in(folder).meta.extra["seed"]


def opened(folder: Path) -> tuple[int, list[object]]:
    """Return which city is found, and what it answers."""
    found = found_in(folder)
    return found.meta.extra["seed"], answers(found.engine)


def test_newest_snapshot__answers_as_what_was_written(folder: Path, told: dict[int, list[object]]) -> None:
    assert opened(folder) == (1, told[1])
    path = write_snapshot(folder, city(2), meta_of(2))
    found = found_in(folder)
    assert (found.meta, found.path) == (meta_of(2), path)
    assert opened(folder) == (2, told[2])


def test_newest_snapshot__maps_read_only_and_changes_without_a_change_to_the_file(folder: Path) -> None:
    (name,) = files_of(folder)
    before = (folder / name).read_bytes()
    found = found_in(folder)
    columns = found.engine._snapshot.base.columns
    assert not any(array.flags.owndata or array.flags.writeable for array in (columns.lat, columns.ids.arena))
    found.engine.upsert({"point_ids": "new", "offers": OFFERS, "lat": 31.2, "lng": 121.5})
    found.engine.set_capacity("p1-4", OFFERS[0], 0)
    live = city(1)
    live.upsert({"point_ids": "new", "offers": OFFERS, "lat": 31.2, "lng": 121.5})
    live.set_capacity("p1-4", OFFERS[0], 0)
    assert answers(found.engine) == answers(live)
    assert (folder / name).read_bytes() == before


def test_write_snapshot__takes_an_index_without_rows_and_one_with_lists(tmp_path: Path) -> None:
    for engine in (Engine.from_columns([], [], [], []), city(3, 300)):
        engine.prepare()
        write_snapshot(tmp_path, engine, meta_of(1))
        assert opened(tmp_path)[1] == answers(engine)


def test_write_snapshot__keeps_the_newest_two_and_nothing_that_is_half_written(folder: Path) -> None:
    (folder / ".index-000000000007.0123456789ab.tmp.snapshot").write_bytes(b"linli")
    (folder / "notes.txt").write_text("mine")
    for seed in (2, 1, 2):
        write_snapshot(folder, city(seed), meta_of(seed))
    assert files_of(folder) == ["index-000000000003.snapshot", "index-000000000004.snapshot", "notes.txt"]


def test_write_snapshot__places_arrays_to_be_mapped(content: bytes) -> None:
    words, start = taken_apart(content)
    assert all((start + placed["offset"]) % 64 == 0 for placed in words["arrays"])
    assert len(content) == start + words["end"]


def test_newest_snapshot__still_answers_when_its_file_is_removed(folder: Path, told: dict[int, list[object]]) -> None:
    found = found_in(folder)
    for _ in range(3):
        write_snapshot(folder, city(2), meta_of(2))
    assert not found.path.exists()
    assert answers(found.engine) == told[1]


def faults_after_kills(root: Path, told: dict[int, list[object]], caplog: pytest.LogCaptureFixture) -> list[str]:
    """Look at every folder that a killed writer left; say what is wrong there."""
    faults, seen, engine = [], set(), city(2)
    for folder in sorted(root.glob("step-*")):
        seed, found = opened(folder)
        seen.add(seed)
        if found != told[seed]:
            faults.append(f"{folder.name}: other answers")
        faults += warnings_of(caplog)
        write_snapshot(folder, engine, meta_of(2))
        left = [name for name in files_of(folder) if not name.startswith("index-")]
        if seed_of(folder) != 2 or left or len(files_of(folder)) != 2:
            faults.append(f"{folder.name}: the next writer leaves {files_of(folder)}")
        caplog.clear()
    assert seen == {1, 2}
    return faults


@pytest.mark.parametrize(("how", "is_whole"), [("linli", True), ("plain", False)])
def test_write_snapshot__killed_at_any_step_leaves_the_old_one_or_the_new_one(
    how: str, is_whole: bool, tmp_path: Path, told: dict[int, list[object]], caplog: pytest.LogCaptureFixture
) -> None:
    command = [sys.executable, "-m", "tests.unit.service.feed.killed_writes", str(tmp_path), how]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert len(list(tmp_path.glob("step-*"))) > (100 if is_whole else 3)
    faults = faults_after_kills(tmp_path, told, caplog)
    assert (faults == []) is is_whole, faults


def test_newest_snapshot__passes_over_a_file_cut_off_anywhere(
    folder: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    drawn = np.random.default_rng(1)
    places = {0, 1, 15, 16, 55, 56, len(content) - 1, *drawn.integers(len(content), size=200).tolist()}
    for n_bytes in sorted(places):
        for tail in (b"", bytes(len(content) - n_bytes)):  # cut off, and as a disk leaves blocks it never wrote
            if content[:n_bytes] + tail == content:
                continue  # only padding was lost
            (folder / NEWER).write_bytes(content[:n_bytes] + tail)
            assert seed_of(folder) == 1, (n_bytes, len(tail))
            (said,) = warnings_of(caplog)
            assert NEWER in said


def test_newest_snapshot__refuses_every_flipped_bit_that_counts(
    folder: Path, content: bytes, told: dict[int, list[object]], caplog: pytest.LogCaptureFixture
) -> None:
    words, start = taken_apart(content)
    counts = np.zeros(len(content), bool)
    counts[: PREFIX.size + PREFIX.unpack_from(content)[1]] = True
    for placed in words["arrays"]:
        counts[slice(*span(placed, start))] = True
    drawn = np.random.default_rng(2)
    bits = [*range(8 * PREFIX.size), *drawn.integers(8 * len(content), size=scaled(5000)).tolist()]
    for bit in bits:
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        (folder / NEWER).write_bytes(flipped)
        seed = 1 if counts[bit // 8] else 2
        found = found_in(folder)
        assert found.meta == meta_of(seed), bit
        assert len(warnings_of(caplog)) == (seed == 1), bit
        if seed == 2:
            assert answers(found.engine) == told[2]


def test_newest_snapshot__would_believe_a_flipped_bit_but_for_the_checksum(folder: Path, content: bytes) -> None:
    words, start = taken_apart(content)
    (units,) = (placed for placed in words["arrays"] if placed["name"] == "units")
    flipped = bytearray(content)
    flipped[span(units, start)[0]] ^= 1
    (folder / NEWER).write_bytes(signed(bytes(flipped)))
    found = found_in(folder)
    assert found.meta == meta_of(2)
    assert (found.engine.units() != city(2).units()).sum() == 1


def first_array(**its: Any) -> Change:
    return lambda words: words["arrays"][0].update(its)


def in_meta(**its: Any) -> Change:
    return lambda words: words["meta"].update(its)


CRAFTED: list[tuple[Change, str]] = [
    (lambda words: words.update(format=0), "'format': 0"),
    (lambda words: words.update(linli="0.0.9"), "0.0.9"),  # its cells may have been made otherwise
    (lambda words: words.update(end=words["end"] + 64), "bytes"),
    (lambda words: words.update(end="64"), "TypeError"),
    (lambda words: words.pop("format"), "KeyError"),
    (lambda words: words.pop("meta"), "KeyError"),
    (lambda words: words.update(meta=[]), "TypeError"),
    (lambda words: words.update(arrays=[]), "KeyError|missing|must"),
    (lambda words: words.update(arrays=5), "TypeError"),
    (lambda words: words["arrays"].pop(), "arrays|missing"),
    (in_meta(position=7), "position must be str"),
    (in_meta(n_points="7"), "n_points must be int"),
    (in_meta(extra=[]), "extra must be dict"),
    (in_meta(other=1), "TypeError"),
    (first_array(dtype="O"), "another machine or program"),  # addresses: never objects
    (first_array(dtype="|V8"), "another machine or program"),
    (first_array(dtype=">i8"), "another machine or program"),
    (first_array(dtype="i4,i4"), "another machine or program"),
    (first_array(dtype="no such"), "TypeError"),
    (first_array(offset=1), "another machine or program"),
    (first_array(offset=-64), "another machine or program"),
    (first_array(offset=1 << 40), "offset|buffer"),
    (first_array(offset=1 << 70), "OverflowError"),
    (first_array(shape=[1 << 40]), "buffer"),
    (first_array(shape=[1 << 62, 1 << 62]), "too big"),
    (first_array(shape=[-1]), "another machine or program"),
    (first_array(shape=[-(1 << 40)]), "another machine or program"),
    (first_array(shape=[-1, -60]), "another machine or program"),
    (first_array(shape=5), "TypeError"),
    (first_array(shape=[1.5]), "TypeError"),
    (first_array(crc32=0), "changed bytes"),
    (first_array(name=["a"]), "TypeError"),
]


@pytest.mark.parametrize(("change", "why"), CRAFTED)
def test_newest_snapshot__passes_over_a_header_that_says_what_is_not_so(
    change: Change, why: str, folder: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / NEWER).write_bytes(with_words(content, change))
    assert seed_of(folder) == 1
    (said,) = warnings_of(caplog)
    assert NEWER in said
    assert any(word in said.split("passed over: ")[1] for word in why.split("|")), said


@pytest.mark.parametrize("header", [b"", b"{", b"[]", b"5", b"\xff", b"[" * 100_000, b"1" * 10_000, b'{"format": 1}'])
def test_newest_snapshot__passes_over_a_header_that_is_none(
    header: bytes, folder: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / NEWER).write_bytes(with_header(content, header))
    assert seed_of(folder) == 1
    assert len(warnings_of(caplog)) == 1


def test_newest_snapshot__passes_over_arrays_of_another_engines_format(
    folder: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    older = content.replace(b'{"format": 5, "version"', b'{"format": 4, "version"')
    assert older != content
    (folder / NEWER).write_bytes(signed(older))
    assert seed_of(folder) == 1
    (said,) = warnings_of(caplog)
    assert "must have format" in said


class Trap:
    """Executed by whoever unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


FOREIGN: list[Callable[[Path], object]] = [
    lambda path: path.write_bytes(b""),
    lambda path: path.write_text("hello"),
    lambda path: path.write_bytes(b"linli snapshot\r\n"),
    lambda path: path.write_bytes(bytes(1 << 16)),
    lambda path: path.write_bytes(os.urandom(1 << 16)),
    lambda path: path.write_bytes(pickle.dumps(Trap(path.parent / "sprung"))),
    lambda path: path.write_bytes(b"linli snapshot\r\n" + pickle.dumps(Trap(path.parent / "sprung"))),
    lambda path: path.mkdir(),
    os.mkfifo,  # nobody ever writes to it
    lambda path: path.symlink_to(path),
    lambda path: path.symlink_to("/dev/zero"),
]


@pytest.mark.parametrize("make", FOREIGN)
def test_newest_snapshot__passes_over_what_is_no_snapshot_and_executes_nothing(
    make: Callable[[Path], object], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(folder / NEWER)
    assert seed_of(folder) == 1
    (said,) = warnings_of(caplog)
    assert NEWER in said
    assert not (folder / "sprung").exists()
    for _ in range(2):
        write_snapshot(folder, city(2), meta_of(2))
    assert seed_of(folder) == 2


def test_newest_snapshot__is_none_where_there_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / ".index-000000000001.0123456789ab.tmp.snapshot").write_bytes(b"linli")
    assert newest_snapshot(tmp_path) is None
    assert newest_snapshot(tmp_path / "none") is None
    assert warnings_of(caplog) == []
    (tmp_path / NEWER).write_bytes(b"bad")
    assert newest_snapshot(tmp_path) is None
    assert len(warnings_of(caplog)) == 1


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    """Close a folder to this process, also where root runs it."""
    user, before = os.geteuid(), folder.stat().st_mode
    folder.chmod(0)
    try:
        if user == 0:
            os.seteuid(65534)
        yield
    finally:
        os.seteuid(user)
        folder.chmod(before)


def test_newest_snapshot__of_a_folder_that_cannot_be_read_is_none_and_says_so(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closed(folder):
        assert newest_snapshot(folder) is None
        with pytest.raises(OSError, match=r"[Pp]ermission"):
            write_snapshot(folder, city(2), meta_of(2))
    (said,) = warnings_of(caplog)
    assert "cannot be listed" in said
    assert seed_of(folder) == 1
    assert newest_snapshot(folder / files_of(folder)[0]) is None  # a file
    assert len(warnings_of(caplog)) == 1


@contextmanager
def files_up_to(n_bytes: int) -> Iterator[None]:
    """Let the system refuse to make a file longer, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_write_snapshot__on_a_full_disk_leaves_what_was_there(share: float, folder: Path, content: bytes) -> None:
    before, engine = files_of(folder), city(2)
    with files_up_to(int(share * len(content))), pytest.raises(BadFileError, match=r"\.snapshot: cannot be") as caught:
        write_snapshot(folder, engine, meta_of(2))
    cause = caught.value.__cause__
    assert isinstance(cause, OSError)
    assert cause.errno == errno.EFBIG
    assert files_of(folder) == before
    assert seed_of(folder) == 1


def test_write_snapshot__refuses_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises((OSError, BadFileError)):
        write_snapshot(tmp_path / "file", city(1), meta_of(1))
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("extra", [{"a": float("nan")}, {"a": {1, 2}}, {"a": b"x"}])
def test_write_snapshot__refuses_a_meta_that_json_cannot_hold(extra: dict[str, Any], folder: Path) -> None:
    with pytest.raises((TypeError, ValueError), match="JSON"):
        write_snapshot(folder, city(2), SnapshotMeta("f", "1", "now", 1, extra))
    assert len(files_of(folder)) == 1


def faults_of_a_race(folder: Path, told: dict[int, list[object]]) -> list[str]:
    """Let four write at once while one reads; say what went wrong."""
    faults: list[str] = []
    written: list[Path] = []
    engines = {seed: city(seed) for seed in told}
    done = threading.Event()

    def write(seed: int) -> None:
        try:
            written.extend(write_snapshot(folder, engines[seed], meta_of(seed)) for _ in range(10))
        except (OSError, BadFileError) as error:
            faults.append(repr(error))

    def read() -> None:
        while not done.is_set():
            found = newest_snapshot(folder)
            if found is None or answers(found.engine) != told[found.meta.extra["seed"]]:
                faults.append("nothing, or other answers")

    reader, writers = (
        threading.Thread(target=read),
        [threading.Thread(target=write, args=(1 + i % 2,)) for i in range(4)],
    )
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    if len(set(written)) != 40:
        faults.append(f"{len(set(written))} files of 40 writes")
    if len(files_of(folder)) != 2:
        faults.append(f"left: {files_of(folder)}")
    return faults


@pytest.mark.parametrize("is_locked", [True, False])
def test_write_snapshot__takes_turns_with_other_writers(
    is_locked: bool,
    folder: Path,
    told: dict[int, list[object]],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not is_locked:  # the race is one that would be lost
        monkeypatch.setattr(snapshot_files, "_alone", nullcontext)
    faults = faults_of_a_race(folder, told)
    faults += warnings_of(caplog)
    assert (faults == []) is is_locked, faults
