from __future__ import annotations

from service.http.problems import ProblemError, Trouble
from service.imports.rules import bad_line


def test_bad_line__tells_place_and_reason_short_and_printable() -> None:
    trouble = Trouble("/a\0b\ud800\u202e/" + "k" * 250_000, "got\n\x7fé門 " + "x" * 1_000)
    bad = bad_line(7, ProblemError("validation", "detail", (trouble,)))
    assert bad[:2] == (7, "validation")
    assert bad.place == "/a\ufffdb\ufffd\ufffd/" + "k" * 193
    assert bad.reason == "got\ufffd\ufffdé門 " + "x" * 492
