"""The counter page in a real browser, on a phone and on a desk, against a real service."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.browser.visit import Visit
from tests.contract.service.shops import open_shops
from tests.contract.service.stocked import Counter, open_counter
from tests.contract.service.talking import make_key
from tests.servers import short_folder
from tests.serving import Place, Serving, running_service

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
DESK = {"viewport": {"width": 1280, "height": 900}}
DEVICES: dict[str, dict[str, Any]] = {"phone": PHONE, "desk": DESK}
HOSTILE = "<img src=x onerror=\"document.body.dataset.hit='1'\">"
STOCK = {"milk": 900, "bread": 900}
FULL_WIDTH = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}
NAMES = (f"shop-{number}" for number in itertools.count())
REFUSED = re.compile(
    r"Failed to load resource: the server responded with a status of 4\d\d|net::ERR_INTERNET_DISCONNECTED"
)


@pytest.fixture(scope="module")
def service() -> Iterator[Serving]:
    with short_folder() as folder, running_service(Place(folder / "data")) as serving:
        yield serving


@pytest.fixture(scope="module")
def counter(service: Serving) -> Iterator[Counter]:
    with open_shops(service, "corner") as shops:
        yield open_counter(shops, service)


@pytest.fixture(scope="module")
def station_key(counter: Counter) -> str:
    return make_key(counter.shops.own, "station")["secret"]


class Desk:
    """The page as whoever stands at the counter uses it."""

    def __init__(self, visit: Visit, point: str, base_url: str) -> None:
        self.visit = visit
        self.page: Page = visit.page
        self.point = point
        self.base_url = base_url
        self.code = self.page.locator("#code")
        self.result = self.page.locator("#result")
        self.trouble = self.page.locator("#trouble")

    def sign_in(self, key: str) -> None:
        """Paste a key."""
        self.page.locator("#key").fill(key)
        self.page.locator("#key-form button").click()

    def choose(self) -> None:
        """Choose the point."""
        self.page.locator("#point").select_option(self.point)

    def type_code(self, code: str) -> None:
        """Type a code as people do, and press the button."""
        self.code.press_sequentially(code, delay=30)
        self.page.locator("#hand-over").click()

    def scan(self, code: str) -> None:
        """Type as a scanner does: at once, wherever the focus is, and Enter."""
        self.page.keyboard.type(code)
        self.page.keyboard.press("Enter")

    def look(self) -> None:
        """Let it read the orders now, as it does when the network is back."""
        self.page.evaluate("dispatchEvent(new Event('online'))")

    def orders(self, state: str) -> Locator:
        """Return the cards of the orders in a state."""
        return self.page.locator(f"[data-state={state}] .order")


@pytest.fixture(params=sorted(DEVICES))
def desk(request: pytest.FixtureRequest, browser: Browser, service: Serving, counter: Counter) -> Iterator[Desk]:
    """Give the page on a device, for a shop of its own."""
    point = counter.shop(next(NAMES), stock=STOCK, name="Corner shop")
    yield from _opened(browser, service, point, DEVICES[request.param])


@pytest.fixture
def signed_in(desk: Desk, station_key: str) -> Desk:
    """Give the page with a station's key in it, at its point."""
    desk.sign_in(station_key)
    desk.choose()
    return desk


def _opened(browser: Browser, service: Serving, point: str, device: dict[str, Any]) -> Iterator[Desk]:
    context = browser.new_context(**{"locale": "en-US", **device})
    visit = Visit(context.new_page(), f"{service.base_url}/")
    told = visit.page.goto(f"{service.base_url}/counter")
    assert told is not None
    assert told.ok
    desk = Desk(visit, point, service.base_url)
    yield desk
    context.close()
    assert visit.requests == [], "no other server is asked"
    assert [one for one in visit.complaints if not REFUSED.search(one)] == []


def _placed(counter: Counter, point: str) -> dict[str, Any]:
    return _order(counter, point, {"milk": 2, "bread": 1})


def _order(counter: Counter, point: str, items: dict[str, int]) -> dict[str, Any]:
    """Place an order for later: what is wanted at once must be accepted at once, else the clock rejects it."""
    at = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=2)).isoformat()
    return counter.order(point, items, payment="counter", at=at)


def _ready(counter: Counter, point: str) -> dict[str, Any]:
    """Return a ready order as the app sees it, its code among it."""
    order = _placed(counter, point)
    counter.merchant_act(order, "accept")
    counter.merchant_act(order, "ready")
    return counter.read(order)


def _other(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def test_counter__takes_a_typed_code_and_tells_what_is_to_pay(signed_in: Desk, counter: Counter) -> None:
    order = _ready(counter, signed_in.point)
    expect(signed_in.code).to_be_focused()
    signed_in.type_code(order["code"])
    expect(signed_in.result).to_contain_text("Handed over")
    for words in ("Milk", "Bread", "To pay here", "¥25.00"):
        expect(signed_in.result).to_contain_text(words)
    expect(signed_in.code).to_be_focused()
    expect(signed_in.code).to_have_value("")
    assert counter.read(order)["state"] == "collected"


@pytest.mark.parametrize(
    ("currency", "shown"), [("HUF", "1,500.00"), ("KRW", "150,000"), ("IQD", "150.000"), ("EUR", "€1,500.00")]
)
def test_counter__tells_money_by_the_smallest_unit_of_its_currency(
    browser: Browser, service: Serving, counter: Counter, station_key: str, currency: str, shown: str
) -> None:
    """Browsers show no fillér and no fils, since nobody has such coins; prices count them all the same."""
    point = counter.shop(next(NAMES))
    entry = {"name": "Goods", "price_minor": 150_000, "currency": currency, "counted": 9}
    assert counter.shops.own.put(f"/v1/points/{point}/stock/x", json=entry).is_success
    order = _order(counter, point, {"x": 1})
    counter.merchant_act(order, "accept")
    counter.merchant_act(order, "ready")
    for desk in _opened(browser, service, point, DESK):
        desk.sign_in(station_key)
        desk.choose()
        desk.scan(counter.read(order)["code"])
        expect(desk.result).to_contain_text("To pay here")
        assert re.search(rf"(?<![\d,.]){re.escape(shown)}(?![\d,.])", desk.result.inner_text())


def test_counter__takes_scanned_codes_wherever_the_focus_is(signed_in: Desk, counter: Counter) -> None:
    first, second, third = (_ready(counter, signed_in.point) for _ in range(3))
    signed_in.scan(first["code"])
    signed_in.scan(f" {second['code'][:3]} {second['code'][3:]}")  # before the first is answered
    expect(signed_in.orders("ready")).to_have_count(1)
    signed_in.page.locator("[data-state=ready] [data-act=reject]").focus()
    signed_in.scan(third["code"])
    expect(signed_in.orders("ready")).to_have_count(0)
    assert [counter.read(order)["state"] for order in (first, second, third)] == ["collected"] * 3


def test_counter__goes_on_showing_what_was_handed_over_when_its_code_is_scanned_twice(
    signed_in: Desk, counter: Counter
) -> None:
    first, second = (_ready(counter, signed_in.point) for _ in range(2))
    with signed_in.page.expect_response(lambda answer: answer.status == 409):
        signed_in.scan(first["code"])
        signed_in.scan(first["code"])
    expect(signed_in.result).to_contain_text("To pay here")
    signed_in.scan(second["code"])
    expect(signed_in.orders("ready")).to_have_count(0)
    signed_in.scan(first["code"])
    expect(signed_in.result).to_contain_text("Handed over already")


def test_counter__asks_nothing_about_what_is_no_code(signed_in: Desk) -> None:
    asked: list[str] = []
    signed_in.page.on("request", lambda request: asked.append(request.url))
    for entered in ("12345", "6901234567892", "48291a", "12345".translate(FULL_WIDTH)):  # an article's number, say
        signed_in.code.fill(entered)
        signed_in.page.keyboard.press("Enter")
        expect(signed_in.result).to_contain_text("Not a code")
        signed_in.result.evaluate("one => one.replaceChildren()")
    assert [url for url in asked if url.endswith(":collect")] == []


def test_counter__takes_full_width_digits(signed_in: Desk, counter: Counter) -> None:
    order = _ready(counter, signed_in.point)
    signed_in.code.fill(order["code"].translate(FULL_WIDTH))
    signed_in.page.keyboard.press("Enter")
    expect(signed_in.result).to_contain_text("Handed over")


def test_counter__tells_wrong_codes_apart_from_orders_that_are_not_ready(signed_in: Desk, counter: Counter) -> None:
    order = counter.read(_placed(counter, signed_in.point))
    signed_in.scan(_other(order["code"]))
    expect(signed_in.result).to_contain_text("Wrong code")
    signed_in.scan(order["code"])
    expect(signed_in.result).to_contain_text("Not ready yet")
    assert counter.read(order)["state"] == "placed"


def test_counter__counts_down_after_too_many_wrong_codes(signed_in: Desk, counter: Counter, service: Serving) -> None:
    order = _ready(counter, signed_in.point)
    for _ in range(5):
        signed_in.scan(_other(order["code"]))
        expect(signed_in.result).to_contain_text("Wrong code")
        expect(signed_in.code).to_be_editable()
    signed_in.scan(order["code"])
    left = signed_in.result.locator(".left")
    expect(left).to_have_text(re.compile(r"^1[45]:\d\d$"))
    expect(signed_in.code).not_to_be_editable()
    before = left.inner_text()
    expect(left).not_to_have_text(before)
    assert counter.read(order)["state"] == "ready"
    other = counter.shop(next(NAMES), stock=STOCK)
    expect(left).to_be_visible()
    signed_in.page.reload()  # what a clerk tries first: the server still says no
    signed_in.page.locator("#point").wait_for()
    signed_in.scan(order["code"])
    expect(left).to_be_visible()
    signed_in.page.locator("#point").select_option(other)
    expect(signed_in.code).to_be_editable()


def test_counter__takes_an_order_on_and_marks_it_ready(signed_in: Desk, counter: Counter) -> None:
    order = _placed(counter, signed_in.point)
    expect(signed_in.orders("placed")).to_have_count(1)  # it comes by itself
    signed_in.page.locator("[data-act=accept]").click()
    expect(signed_in.orders("accepted")).to_have_count(1)
    expect(signed_in.orders("placed")).to_have_count(0)
    signed_in.page.locator("[data-state=accepted] [data-act=ready]").click()
    expect(signed_in.orders("ready")).to_have_count(1)
    told = counter.read(order)
    assert told["state"] == "ready"
    signed_in.scan(told["code"])
    expect(signed_in.result).to_contain_text("Handed over")
    expect(signed_in.orders("ready")).to_have_count(0)


def test_counter__shows_no_order_of_the_point_before_while_it_waits_for_those_of_another(
    signed_in: Desk, counter: Counter
) -> None:
    other = counter.shop(next(NAMES), stock=STOCK)
    _placed(counter, signed_in.point)
    signed_in.page.reload()
    signed_in.look()
    expect(signed_in.orders("placed")).to_have_count(1)
    signed_in.page.route("**/v1/orders?*", lambda _route: None)  # it is never answered
    signed_in.page.locator("#point").select_option(other)
    expect(signed_in.orders("placed")).to_have_count(0)


def test_counter__rejects_with_a_reason_and_not_by_one_touch(signed_in: Desk, counter: Counter) -> None:
    order = _placed(counter, signed_in.point)
    signed_in.look()
    signed_in.page.locator("[data-act=reject]").click()
    signed_in.page.get_by_role("button", name="Back").click()
    assert counter.read(order)["state"] == "placed"
    signed_in.page.locator("[data-act=reject]").click()
    signed_in.page.locator("[data-reason=out_of_stock]").click()
    expect(signed_in.orders("placed")).to_have_count(0)
    assert counter.events(order)[-1]["reason"] == "out_of_stock"


def test_counter__says_so_where_the_order_has_changed_meanwhile(signed_in: Desk, counter: Counter) -> None:
    order = _placed(counter, signed_in.point)
    signed_in.look()
    accept = signed_in.page.locator("[data-act=accept]")
    accept.wait_for()
    with signed_in.page.expect_response(lambda answer: answer.url.endswith(":accept")) as answered:
        counter.merchant_act(order, "accept")
        accept.evaluate("one => one.click()")
    assert answered.value.status == 412
    expect(signed_in.page.get_by_text("The order has changed meanwhile")).to_be_visible()


def test_counter__shows_hostile_names_as_text(
    browser: Browser, service: Serving, counter: Counter, station_key: str
) -> None:
    point = counter.shop(next(NAMES), name=HOSTILE)
    entry = {"name": HOSTILE, "price_minor": 100, "currency": "CNY", "counted": 9}
    assert counter.shops.own.put(f"/v1/points/{point}/stock/x", json=entry).is_success
    order = _order(counter, point, {"x": 1})
    for desk in _opened(browser, service, point, PHONE):
        desk.sign_in(station_key)
        desk.choose()
        expect(desk.orders("placed").locator(".lines")).to_contain_text(HOSTILE)
        assert HOSTILE in desk.page.locator("#point option:checked").inner_text()
        counter.merchant_act(order, "accept")
        counter.merchant_act(order, "ready")
        desk.scan(counter.read(order)["code"])
        expect(desk.result.locator(".lines")).to_contain_text(HOSTILE)
        assert desk.page.locator("img").count() == 0
        assert desk.page.locator("body").get_attribute("data-hit") is None


def test_counter__refuses_script_that_is_not_its_own(desk: Desk) -> None:
    """The checks above would say the same of a page that escapes by chance: this one plants what they look for."""
    page = desk.page
    with pytest.raises(Exception, match="TrustedHTML"):
        page.evaluate(f"document.body.innerHTML = {HOSTILE!r}")
    page.evaluate("document.body.append(Object.assign(document.createElement('img'), {src: '//203.0.113.9/x'}))")
    page.wait_for_timeout(50)
    assert any("Content Security Policy" in one or "TrustedHTML" in one for one in desk.visit.complaints)
    desk.visit.complaints.clear()


def test_counter__keeps_the_key_in_the_tab_alone(signed_in: Desk, station_key: str) -> None:
    page = signed_in.page
    expect(page.locator("#point")).to_be_visible()
    assert station_key not in page.url
    assert station_key not in page.content()
    assert station_key not in str(page.evaluate("JSON.stringify(localStorage)"))
    assert page.evaluate("document.cookie") == ""
    page.reload()
    expect(page.locator("#point")).to_have_value(signed_in.point)  # signed in still, at the same point
    expect(signed_in.code).to_be_focused()
    page.locator("#sign-out").click()
    expect(page.locator("#key")).to_be_focused()
    assert station_key not in str(page.evaluate("JSON.stringify(sessionStorage)"))
    page.reload()
    expect(page.locator("#key")).to_be_visible()


# Notes what is asked from now on, and marks the page once it has read the answer to an act and done all that follows.
WATCH = """() => {
  const [ask, read] = [fetch, Response.prototype.json];
  window.asked = [];
  window.fetch = (...what) => (asked.push(what[0]), ask(...what));
  Response.prototype.json = function () {
    const told = read.call(this);
    if (this.url.endsWith(":accept")) told.then(() => setTimeout(() => (document.body.dataset.answered = "")));
    return told;
  };
}"""


@pytest.mark.parametrize("status", [200, 401, 503])
def test_counter__that_is_signed_out_while_an_act_is_under_way_leaves_the_next_one_alone(
    signed_in: Desk, counter: Counter, status: int
) -> None:
    _placed(counter, signed_in.point)
    signed_in.look()
    page, acts = signed_in.page, list[Route]()

    def hold(route: Route) -> None:
        acts.append(route)

    page.route("**/v1/orders/*:accept", hold)
    with page.expect_request("**/v1/orders/*:accept"):
        page.locator("[data-act=accept]").click()
    page.locator("#sign-out").click()
    page.locator("#key").fill("typed by the next one")
    page.evaluate(WATCH)
    (act,) = acts
    act.fulfill(status=status, headers={"Retry-After": "1"}, content_type="application/json", body="{}")
    expect(page.locator("body")).to_have_attribute("data-answered", "")
    assert page.evaluate("asked") == []
    expect(page.locator("#key")).to_have_value("typed by the next one")
    expect(page.locator("#key")).to_be_focused()
    expect(signed_in.trouble).to_be_hidden()
    signed_in.visit.complaints.clear()  # of the answer that it was given


def test_counter__lists_the_points_of_its_merchant_alone(signed_in: Desk, counter: Counter) -> None:
    other = f"{counter.shops.merchant_id}-2:{next(NAMES)}"
    body = {"kind": "store", "name": "Not ours", "lat": 31.2, "lng": 121.4, "offers": [{"offer": "retail/pickup"}]}
    assert counter.shops.other.put(f"/v1/points/{other}", json=body).is_success
    signed_in.page.reload()
    expect(signed_in.page.locator("#point")).to_have_value(signed_in.point)
    ids = signed_in.page.locator("#point option").evaluate_all("all => all.map(one => one.value)")
    assert {one.partition(":")[0] for one in ids} == {counter.shops.merchant_id}


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("secret", "Paste a whole key"),
        ("linli_app_" + "a" * 33, "Paste a whole key"),
        ("linli_station_" + "a" * 33, "This key is not valid"),
    ],
)
def test_counter__says_what_is_wrong_with_a_key(desk: Desk, key: str, told: str) -> None:
    desk.sign_in(key)
    expect(desk.trouble).to_contain_text(told)
    expect(desk.page.locator("#counter")).to_be_hidden()


def test_counter__goes_on_by_itself_after_it_was_offline(signed_in: Desk, counter: Counter) -> None:
    order = _ready(counter, signed_in.point)
    expect(signed_in.orders("ready")).to_have_count(1)
    signed_in.page.context.set_offline(True)
    signed_in.scan(order["code"])
    expect(signed_in.result).to_contain_text("No answer came")
    expect(signed_in.trouble).to_contain_text("cannot be reached")
    signed_in.page.context.set_offline(False)
    expect(signed_in.trouble).to_be_hidden(timeout=20_000)
    signed_in.scan(order["code"])
    expect(signed_in.result).to_contain_text("Handed over")


def test_counter__signs_out_where_the_key_is_revoked(desk: Desk, counter: Counter) -> None:
    made = make_key(counter.shops.own, "station")
    desk.sign_in(made["secret"])
    desk.choose()
    expect(desk.code).to_be_focused()
    assert counter.shops.own.post(f"/v1/keys/{made['key_id']}:revoke").is_success
    expect(desk.trouble).to_contain_text("not valid, or not any more", timeout=15_000)
    expect(desk.page.locator("#key")).to_be_visible()


def test_counter__speaks_chinese(browser: Browser, service: Serving, counter: Counter, station_key: str) -> None:
    point = counter.shop(next(NAMES), stock=STOCK, name="街角小店")
    order = _placed(counter, point)
    for desk in _opened(browser, service, point, {**PHONE, "locale": "zh-CN"}):
        desk.sign_in(station_key)
        desk.choose()
        expect(desk.page.locator("html")).to_have_attribute("lang", "zh")
        desk.page.get_by_role("button", name="接单").click()
        desk.page.get_by_role("button", name="已备好").click()
        expect(desk.orders("ready")).to_have_count(1)
        desk.scan(counter.read(order)["code"])
        expect(desk.result).to_contain_text("已交付")
        expect(desk.result).to_contain_text("到店应付")


MISFITS = """() => {
    const small = [...document.querySelectorAll("button, input, select, summary")]
        .filter(one => one.getClientRects().length)
        .filter(one => one.getBoundingClientRect().height < 44 || one.getBoundingClientRect().width < 44)
        .map(one => one.outerHTML);
    const nameless = [...document.querySelectorAll("input, select")]
        .filter(one => !one.labels.length || !one.labels[0].textContent.trim()).map(one => one.outerHTML);
    const wide = document.documentElement.scrollWidth > innerWidth ? ["the page is wider than the screen"] : [];
    return [...small, ...nameless, ...wide];
}"""


def test_counter__fits_a_thumb_and_a_small_screen(desk: Desk, counter: Counter, station_key: str) -> None:
    assert desk.page.evaluate(MISFITS) == []
    entry = {"name": "W" * 100, "price_minor": 2**40, "currency": "CNY", "counted": 9}
    assert counter.shops.own.put(f"/v1/points/{desk.point}/stock/long", json=entry).is_success
    _placed(counter, desk.point)
    order = _order(counter, desk.point, {"long": 9})
    desk.sign_in(station_key)
    desk.choose()
    expect(desk.orders("placed")).to_have_count(2)
    desk.page.locator("[data-act=reject]").first.click()
    desk.page.locator("#for-other summary").click()
    assert desk.page.evaluate(MISFITS) == []
    desk.page.get_by_role("button", name="Back").click()
    counter.merchant_act(order, "accept")
    counter.merchant_act(order, "ready")
    desk.scan(counter.read(order)["code"])
    desk.code.focus()
    expect(desk.result.locator(".due")).to_be_visible()
    assert desk.page.evaluate(MISFITS) == []
    assert desk.code.get_attribute("inputmode") == "numeric"
