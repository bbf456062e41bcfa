"""The counter page as it is served."""

import base64
import hashlib
import re

import pytest

from service.http.intake import OPEN
from service.orders.counter_page import counter_page

INLINE = [("script-src", "script"), ("style-src", "style")]


@pytest.mark.parametrize(("directive", "tag"), INLINE)
def test_policy__lets_its_own_style_and_script_run_and_no_other(directive: str, tag: str) -> None:
    page = counter_page()
    (inline,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page.html, re.DOTALL)
    told = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    allowed = dict(part.strip().split(" ", 1) for part in page.policy.split(";"))
    assert allowed[directive] == f"'sha256-{told}'"
    assert allowed["default-src"] == "'none'"
    assert allowed["connect-src"] == "'self'"


def test_page__names_no_other_server_and_holds_no_handler_that_the_policy_would_stop() -> None:
    html = counter_page().html
    assert re.findall(r"https?:|//[a-z]|url\(|@import", html.replace("// ", "")) == []
    assert re.findall(r"<[^>]+\s(?:on[a-z]+|style)=", html) == []


def test_page__makes_no_html_of_text() -> None:
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", counter_page().html) == []


def test_page__says_the_same_in_both_languages() -> None:
    script = counter_page().html
    english, chinese = re.findall(r"\n  (?:en|zh): \{\n(.*?)\n  \},", script, re.DOTALL)
    names = [re.findall(r"^    (\w+):", text, re.MULTILINE) for text in (english, chinese)]
    assert names[0] == names[1]
    values = [re.findall(r"\{\w+\}", text) for text in (english, chinese)]
    assert sorted({*values[0]}) == sorted({*values[1]})
    used = set(re.findall(r'(?:word\(|data-word=)"(\w+)"', script))
    assert used <= set(names[0])


def test_page__asks_for_no_key() -> None:
    assert "/counter" in OPEN
