"""What is written in one turn of the loop: each connection for itself, and nothing after its end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.http.turn_writes import Turn, TurnTransport


class _Wire(asyncio.Transport):
    """Keeps what is written; a broken one fails at it."""

    def __init__(self, *, is_broken: bool = False) -> None:
        super().__init__()
        self.is_broken, self.is_aborted, self.written = is_broken, False, b""

    def write(self, data: Any) -> None:
        if self.is_broken:
            raise RuntimeError
        self.written += data

    def write_eof(self) -> None:
        self.is_broken = True

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True


def _written(*wires: _Wire, ends: tuple[_Wire, ...] = ()) -> None:
    """Write to all of them in one turn, each twice; some are ended in between."""

    async def run() -> None:
        turn, loop = Turn(), asyncio.get_running_loop()
        transports = [TurnTransport(wire, turn, loop, lambda: False) for wire in wires]
        for transport in transports:
            transport.write(b"a")
        for wire, transport in zip(wires, transports, strict=True):
            if wire in ends:
                transport.write_eof()
            transport.write(b"b")
        await asyncio.sleep(0)

    asyncio.run(run())


def test_turn__writes_to_the_others_where_one_fails(caplog: pytest.LogCaptureFixture) -> None:
    wires = _Wire(), _Wire(is_broken=True), _Wire()
    _written(*wires)
    assert [wire.written for wire in wires] == [b"ab", b"", b"ab"]
    assert [wire.is_aborted for wire in wires] == [False, True, False]
    assert "cannot be written" in caplog.text


def test_turn_transport__writes_nothing_after_the_end() -> None:
    wires = _Wire(), _Wire()
    _written(*wires, ends=wires[:1])
    assert [wire.written for wire in wires] == [b"a", b"ab"]
    assert not any(wire.is_aborted for wire in wires)
