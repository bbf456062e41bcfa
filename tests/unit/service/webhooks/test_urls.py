"""Which URLs webhooks are sent to (promise S8, bad input 56): a list of those that are refused, and of those that are not."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Sequence

import pytest

from service.errors import ForbiddenUrlError, OverloadedError
from service.webhooks.addresses import is_public, networks_of
from service.webhooks.urls import Lookups, Target, UrlRules

PUBLIC = {"shop.example": ["8.8.8.8", "2606:4700::1111"], "xn--fiqs8s.example": ["1.1.1.1"]}
INSIDE = {
    "loop.example": ["127.0.0.1"],
    "mixed.example": ["8.8.8.8", "10.0.0.1"],  # one of them is enough
    "cloud.example": ["169.254.169.254"],
    "six.example": ["::1"],
    "mapped.example": ["::ffff:10.0.0.1"],
    "zone.example": ["fe80::1%eth0"],
    "empty.example": [],
    "localhost": ["127.0.0.1", "::1"],
}
FORBIDDEN = [
    # Other schemes, and none.
    "http://shop.example/", "ftp://shop.example/", "file:///etc/passwd", "gopher://shop.example/", "//shop.example/",
    "shop.example", "https:shop.example", "https:///hook", "javascript:alert(1)", "",
    # Users, fragments, backslashes, white space, letters beyond ASCII.
    "https://user@shop.example/", "https://user:secret@shop.example/", "https://shop.example@127.0.0.1/",
    "https://shop.example/#part", "https://shop.example\\@127.0.0.1/", "https://shop.example /", " https://shop.example/",
    "https://shop.example/\r\nX: y", "https://shop.example/\x00", "https://bücher.example/", "https://\uff11\uff12\uff17.0.0.1/",
    "https://ⓛocalhost/", "https://%6c%6f%63%61%6c/", "https://shop.example/ü",
    # Ports.
    "https://shop.example:25/", "https://shop.example:22/", "https://shop.example:80/", "https://shop.example:6379/",
    "https://shop.example:0/", "https://shop.example:70000/", "https://shop.example:/", "https://shop.example:443:443/",
    # Numbers in disguise.
    "https://127.1/", "https://127.0.1/", "https://0x7f000001/", "https://2130706433/", "https://0177.0.0.1/",
    "https://127.0.0.01/", "https://0x7f.0.0.1/", "https://1.2.3.4.5/", "https://256.0.0.1/", "https://127.0.0.1./",
    # Addresses that are not public.
    "https://127.0.0.1/", "https://0.0.0.0/", "https://10.1.2.3/", "https://172.16.0.1/", "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data", "https://100.64.0.1/", "https://100.100.100.200/", "https://192.0.0.192/",
    "https://198.18.0.1/", "https://192.0.2.1/", "https://192.88.99.1/", "https://224.0.0.1/", "https://240.0.0.1/",
    "https://255.255.255.255/", "https://168.63.129.16/",
    "https://[::1]/", "https://[::]/", "https://[::ffff:169.254.169.254]/", "https://[::ffff:8.8.8.8]/",
    "https://[::127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[64:ff9b:1::a00:1]/", "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/", "https://[fc00::1]/", "https://[fd00:ec2::254]/", "https://[ff02::1]/",
    "https://[2002:7f00:1::]/", "https://[2001::7f00:1]/", "https://[2001:db8::1]/", "https://[3fff::1]/",
    "https://[2606:4700::5efe:7f00:1]/", "https://[2606:4700::200:5efe:a00:1]/", "https://[100::1]/", "https://[::1/",
    "https://[12345::1]/", "https://[127.0.0.1]/",
    # Names that lead inside, and names that lead nowhere.
    *(f"https://{name}/" for name in INSIDE), "https://unknown.example/", "https://late.example/", "https://shop.example./",
    "https://shop..example/", "https://-shop.example/", "https://shop_1.example/", f"https://{'a' * 64}.example/",
]  # fmt: skip
ALLOWED = {
    "https://shop.example": Target("https", "shop.example", 443, "/"),
    "https://Shop.Example/Hook?k=1&l=%20": Target("https", "shop.example", 443, "/Hook?k=1&l=%20"),
    "https://shop.example:8443/hook": Target("https", "shop.example", 8443, "/hook"),
    "https://shop.example?k=1": Target("https", "shop.example", 443, "/?k=1"),
    "https://xn--fiqs8s.example/": Target("https", "xn--fiqs8s.example", 443, "/"),
    "https://8.8.8.8/": Target("https", "8.8.8.8", 443, "/"),
    "https://[2606:4700:0::1111]/": Target("https", "2606:4700::1111", 443, "/"),
}


async def known(host: str, _asker: str) -> Sequence[str]:
    if host == "late.example":
        await asyncio.sleep(10)
    if host not in PUBLIC | INSIDE:
        raise OSError("no such name")
    return (PUBLIC | INSIDE)[host]


def check(url: str, allowed: str = "") -> tuple[Target, list[str]]:
    return asyncio.run(UrlRules(networks_of(allowed), known).check(url, 0.2))


def test_list__is_long_enough() -> None:
    assert len(set(FORBIDDEN)) == len(FORBIDDEN) >= 60


@pytest.mark.parametrize("url", FORBIDDEN)
def test_check__refuses_what_is_not_one_public_address(url: str) -> None:
    with pytest.raises(ForbiddenUrlError):
        check(url)


@pytest.mark.parametrize("url", ALLOWED)
def test_check__returns_where_to_connect(url: str) -> None:
    target, addresses = check(url)
    assert target == ALLOWED[url]
    assert addresses == PUBLIC.get(target.host, [target.host])


def test_allowed_network__is_let_through_at_any_port_and_by_http() -> None:
    for url in ("http://127.0.0.1:8000/x", "https://loop.example:25/", "http://localhost/"):
        assert check(url, "127.0.0.0/8, ::1/128")[1]
    for url in ("http://10.0.0.1/", "http://shop.example/", "https://shop.example:25/", "https://mixed.example/"):
        with pytest.raises(ForbiddenUrlError):
            check(url, "127.0.0.0/8")
    assert check("https://mixed.example/", "10.0.0.0/8")[1] == INSIDE["mixed.example"]


@pytest.mark.parametrize("port", [0, 65_536, 99_999])
def test_allowed_network__has_no_other_ports_than_there_are(port: int) -> None:
    assert check("http://127.0.0.1:65535/", "127.0.0.0/8")[0].port == 65_535
    with pytest.raises(ForbiddenUrlError, match="port from 1 to 65535"):
        check(f"http://127.0.0.1:{port}/", "127.0.0.0/8")


@pytest.mark.parametrize(("url", "authority"), [
    ("https://shop.example/", "shop.example"), ("https://shop.example:8443/", "shop.example:8443"),
    ("https://[2606:4700::1111]/", "[2606:4700::1111]"), ("https://[2606:4700::1111]:8443/", "[2606:4700::1111]:8443"),
])  # fmt: skip
def test_authority__has_the_port_where_it_is_not_the_usual_one(url: str, authority: str) -> None:
    assert check(url)[0].authority == authority


def test_public__is_less_than_python_calls_global() -> None:
    """What the standard library lets through is why there is a list of our own."""
    tricked = ["224.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "168.63.129.16"]
    addresses = [ipaddress.ip_address(text) for text in tricked]
    assert any(address.is_global for address in addresses)
    assert not any(map(is_public, addresses))


NOWHERE = [*INSIDE, "unknown.example", "late.example"]


@pytest.mark.parametrize("allowed", ["", "192.168.0.0/16"])
@pytest.mark.parametrize("url", ["https://{}/", "http://{}/", "https://{}:25/"])
def test_name_that_leads_inside__is_refused_in_the_words_for_one_that_is_not_found(url: str, allowed: str) -> None:
    told = set()
    for name in NOWHERE:
        with pytest.raises(ForbiddenUrlError) as caught:
            check(url.format(name), allowed)
        told.add(str(caught.value))
    assert len(told) == 1


def test_refusal__of_an_address_says_that_it_is_not_public() -> None:
    with pytest.raises(ForbiddenUrlError, match="leads to an address that is not one of the public internet"):
        check("https://10.0.0.1/")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let every name be looked up until this is set."""
    answers = threading.Event()

    def slow(*_asked: object, **_how: object) -> list[tuple[object, ...]]:
        answers.wait(30)
        return [(0, 0, 0, "", ("8.8.8.8", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    return answers


def test_lookups__of_one_caller_are_some_and_leave_places_to_others(answers: threading.Event) -> None:
    async def ask(lookups: Lookups) -> None:
        asked = [asyncio.create_task(lookups("slow.example", asker)) for asker in ("one", "one", "other")]
        await asyncio.sleep(0)  # until they are begun
        with pytest.raises(OverloadedError, match="2 host names of this caller"):
            await lookups("slow.example", "one")
        answers.set()
        assert await asyncio.gather(*asked) == [["8.8.8.8"]] * 3
        assert await lookups("slow.example", "one") == ["8.8.8.8"]

    asyncio.run(ask(Lookups(4, 2)))


def test_lookups__are_no_more_at_once_than_some_however_long_a_name_server_takes(answers: threading.Event) -> None:
    async def ask(lookups: Lookups) -> None:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(lookups("slow.example", ""), 0.01)
        with pytest.raises(OverloadedError):
            await lookups("slow.example", "")
        answers.set()
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await lookups("slow.example", "") == ["8.8.8.8"]
                    break
                except OverloadedError:
                    await asyncio.sleep(0.01)

    asyncio.run(ask(Lookups(2)))
