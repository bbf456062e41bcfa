from __future__ import annotations

from engine.kept_texts import LONG_CHARS, kept_by_texts


def test_kept__are_many_results_of_short_texts_and_few_of_long_ones() -> None:
    asked: list[str] = []

    @kept_by_texts(2_000)
    def length(text: str, other: str | None) -> int:
        asked.append(text)
        return len(text) + len(other or "")

    for other, n_again in ((None, 0), ("x" * LONG_CHARS, 1_000)):
        for _ in range(2):
            for i in range(1_000):
                assert length(str(i), other) == len(str(i)) + len(other or "")
        assert len(asked) == 1_000 + n_again
        asked.clear()
    assert length("999", "x" * LONG_CHARS) == LONG_CHARS + 3
    assert asked == []
