from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from service.errors import BadFileError, ServiceError
from service.files import atomic_path, format_of, write_text


def test_atomic_path__becomes_the_file_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "points.csv"
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".csv"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def _write_half(target: Path) -> None:
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt


def test_atomic_path__leaves_the_old_file_when_the_block_raises(tmp_path: Path) -> None:
    target = tmp_path / "points.csv"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        _write_half(target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_atomic_path__leaves_the_old_file_when_the_process_is_killed(tmp_path: Path) -> None:
    target = tmp_path / "points.csv"
    target.write_text("old")
    program = f"""
        import os, signal
        from service.files import atomic_path
        with atomic_path({str(target)!r}) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False, timeout=60)
    assert run.returncode == -signal.SIGKILL
    assert target.read_text() == "old"


def test_atomic_path__keeps_the_permissions_of_the_file_it_replaces(tmp_path: Path) -> None:
    target = tmp_path / "points.csv"
    target.write_text("old")
    target.chmod(0o640)
    write_text(target, "new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_atomic_path__writes_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    write_text(tmp_path / "link.csv", "new")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "new"


@pytest.mark.parametrize("name", ["", "absent/points.csv", "/dev/null"])
def test_atomic_path__refuses_what_cannot_be_replaced(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadFileError, match=r"must be a file|cannot be written"), atomic_path(tmp_path / name):
        pytest.fail("the block must not run")


def _fail(target: Path, error: OSError) -> None:
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error


def test_atomic_path__names_the_file_when_its_disk_takes_no_more(tmp_path: Path) -> None:
    for number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        with pytest.raises(BadFileError, match=f"points.csv: cannot be written: {os.strerror(number)}"):
            _fail(tmp_path / "points.csv", OSError(number, "told by a library"))
    assert list(tmp_path.iterdir()) == []


def test_atomic_path__lets_errors_of_other_files_pass(tmp_path: Path) -> None:
    for error in (FileNotFoundError(errno.ENOENT, "absent", "read.csv"), OSError(errno.EIO, "unreadable", "read.csv")):
        with pytest.raises(type(error), match=r"read\.csv"):
            _fail(tmp_path / "points.csv", error)


def test_write_text__writes_utf8_and_line_feeds(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "邻里\n")
    assert (tmp_path / "a.txt").read_bytes() == "邻里\n".encode()


@pytest.mark.parametrize(
    ("name", "expected"), [("a.csv", "csv"), ("A.CSV", "csv"), ("b.osm.gz", "osm"), ("c.tar.gz", "gzip")]
)
def test_format_of__goes_by_the_longest_suffix(name: str, expected: str) -> None:
    assert format_of(name, {".csv": "csv", ".gz": "gzip", ".osm.gz": "osm"}) == expected


def test_format_of__names_the_suffixes_it_knows() -> None:
    with pytest.raises(BadFileError, match=r"a\.txt: must end in one of \.csv, \.parquet"):
        format_of("a.txt", {".parquet": "parquet", ".csv": "csv"})


def test_bad_file_error__names_file_row_and_reason() -> None:
    error = BadFileError("a.csv", 3, "lat must be a number")
    assert str(error) == "a.csv, row 3: lat must be a number"
    assert (error.file, error.row, error.reason) == ("a.csv", 3, "lat must be a number")
    assert isinstance(error, ServiceError)
    assert str(BadFileError(Path("a.csv"), None, "is empty")) == "a.csv: is empty"
