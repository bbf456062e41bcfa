"""The match that is sent past the framework, byte by byte: in turn with others on a connection, and its end."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from tests.serving import Place, Serving, running_service

MATCH = "/v1/match?lat=31.2304&lng=121.4737&offer=retail/pickup"
HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]+\r\n((?:[a-z0-9-]+: [^\r\n]*\r\n)+)\r\n")


@pytest.fixture(scope="module")
def service(data_folder: Path) -> Iterator[Serving]:
    with running_service(Place(data_folder)) as serving:
        yield serving


def _heard(service: Serving, sent: bytes) -> bytes:
    address = httpx.URL(service.base_url)
    with socket.create_connection((address.host, address.port), timeout=10) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def _answers(heard: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    found, at = [], 0
    while at < len(heard):
        head = HEAD.match(heard, at)
        assert head is not None, heard[at : at + 200]
        lines = [line.partition(b": ")[::2] for line in head[2].splitlines()]
        headers = {name.decode(): value.decode() for name, value in lines}
        assert len(headers) == len(lines), "none is there twice"
        at = head.end() + int(headers["content-length"])
        found.append((int(head[1]), headers, heard[head.end() : at]))
    return found


def _request(service: Serving, path: str, *lines: str, version: str = "1.1") -> bytes:
    told = ["Host: linli", f"Authorization: Bearer {service.admin_key}", *lines]
    return "\r\n".join([f"GET {path} HTTP/{version}", *told, "", ""]).encode()


def test_match__takes_its_turn_among_pipelined_requests(service: Serving) -> None:
    paths = [MATCH, "/healthz", f"{MATCH}&k=2", "/v1/keys", f"{MATCH}&k=0", MATCH]
    sent = b"".join(_request(service, path) for path in paths[:-1]) + _request(service, paths[-1], "Connection: close")
    answers = _answers(_heard(service, sent))
    assert [status for status, _, _ in answers] == [200, 200, 200, 200, 422, 200]
    assert [next(iter(json.loads(body)), None) for _, _, body in answers][::5] == ["matches", "matches"]
    assert answers[0][1].keys() == answers[2][1].keys() >= {"date", "content-type", "content-length", "x-request-id"}
    assert all(one["x-request-id"] != two["x-request-id"] for (_, one, _), (_, two, _) in pairwise(answers))


@pytest.mark.parametrize(("version", "lines"), [("1.0", ()), ("1.1", ("Connection: close",))])
def test_match__says_that_the_connection_ends(service: Serving, version: str, lines: tuple[str, ...]) -> None:
    ((status, headers, body),) = _answers(_heard(service, _request(service, MATCH, *lines, version=version)))
    assert (status, headers["connection"], headers["content-type"]) == (200, "close", "application/json")
    assert json.loads(body)["matches"] == []
