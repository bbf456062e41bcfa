"""What If-Match holds is the ETag that was read, or the problem says what to send."""

from __future__ import annotations

import pytest
from fastapi import Request

from service.http.problems import ProblemError
from service.http.revisions import check_match


def _request(if_match: str) -> Request:
    return Request({"type": "http", "headers": [(b"if-match", if_match.encode())]})


@pytest.mark.parametrize("held", ['"2-0"', '"1-0", "2-0"', "*"])
def test_check_match__lets_the_tag_pass(held: str) -> None:
    check_match(_request(held), '"2-0"')


@pytest.mark.parametrize(
    ("held", "remedy"),
    [
        ('"1-0"', "read it again"),
        ('W/"2-0"', "read it again"),
        ("2-0", "an ETag stands in double quotes"),  # it is the one: to read it again would not help
        ('"1-0", 2-0', "an ETag stands in double quotes"),
        ("1-0", "read it again, an ETag stands in double quotes"),
    ],
)
def test_check_match__says_what_to_do(held: str, remedy: str) -> None:
    with pytest.raises(ProblemError) as raised:
        check_match(_request(held), '"2-0"')
    assert raised.value.slug == "precondition-failed"
    assert raised.value.detail.strip() == f'it is at "2-0" now, your If-Match says {held}: {remedy}'
