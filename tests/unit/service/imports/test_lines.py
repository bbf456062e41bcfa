from __future__ import annotations

import hashlib

import numpy as np
import pytest

from service.imports.lines import MAX_LINE_BYTES, Batch, LineCutter


def cut(data: bytes, size: int, done: tuple[int, int] = (0, 0)) -> list[Batch]:
    cutter = LineCutter(*done)
    batches: list[Batch] = []
    for start in range(0, len(data), size):
        batches += cutter.feed(cutter.pass_over(data[start : start + size]))
    return batches + list(cutter.end())


def twin(data: bytes) -> list[bytes | None]:
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return [None if len(line) > MAX_LINE_BYTES else line for line in lines]


TEXTS = [
    b"", b"\n", b"a", b"a\n", b"a\nb", b"\n\n", b"a\n\nb\n", b"x" * MAX_LINE_BYTES, b"x" * (MAX_LINE_BYTES + 1),
    b"x" * (MAX_LINE_BYTES + 1) + b"\n", b"a\n" + b"x" * 600_000 + b"\nb", b"x" * 600_000 + b"\n" + b"y" * 600_000,
    b"abc\n" * 1_501, b"abc\n" * 1_000, (b"z" * 9_000 + b"\n") * 300,
]  # fmt: skip


@pytest.mark.parametrize("data", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize("size", [1, 7, 4_096, 65_536, 10**7])
def test_cutter__gives_the_lines_that_a_split_gives(data: bytes, size: int) -> None:
    if size < 7 and len(data) > 10_000:
        size = 4_999
    batches = cut(data, size)
    assert [line for batch in batches for line in batch.lines] == twin(data)
    assert [batch.first for batch in batches[1:]] == [batch.last + 1 for batch in batches[:-1]]
    for batch in batches:
        assert batch.end.digest == hashlib.sha256(data[: batch.end.n_bytes]).hexdigest()
    assert (batches[-1].end.n_bytes if batches else 0) == len(data)


def test_cutter__goes_on_behind_any_batch() -> None:
    draw = np.random.default_rng(7)
    data = b"\n".join(b"l" * int(draw.integers(0, 3_000)) for _ in range(2_300))
    whole = cut(data, 65_536)
    for number, batch in enumerate(whole):
        assert cut(data, int(draw.choice([999, 50_000, 10**7])), (batch.last, batch.end.n_bytes)) == whole[number + 1 :]


def test_batch__is_parted_before_any_line_but_the_first() -> None:
    data = b"a\n\nbcd\n" + b"x" * 70_000 + b"\nlast"
    (whole,) = cut(data, len(data))
    for line in range(2, 6):
        before, behind = whole.parted(line)
        assert before.lines + behind.lines == whole.lines
        assert (before.first, before.last, behind.first, behind.last) == (1, line - 1, line, 5)
        assert (before.start, before.end, behind.end) == (whole.start, behind.start, whole.end)
        assert before.end.digest == hashlib.sha256(data[: before.end.n_bytes]).hexdigest()
        assert cut(data, 1_000, (before.last, before.end.n_bytes)) == [behind]
        if behind.first < 5:
            assert behind.parted(5)[0].end == whole.parted(5)[0].end
