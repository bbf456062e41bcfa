"""Map pages in a real browser: they stand alone, show what they say, and answer to mouse, finger and keyboard."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from service.maps import render_map
from tests.browser.visit import Visit
from tests.unit.service.maps.pages import small_page


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "page.html"
    path.write_text(render_map(small_page()), encoding="utf-8")
    return path


@pytest.fixture
def visit(browser: Browser, html: Path) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    visited = Visit(context.new_page())
    visited.page.goto(html.as_uri())
    visited.page.wait_for_function("document.getElementById('scale-text').textContent !== ''")
    yield visited
    context.close()


def test_page__asks_nothing_and_complains_of_nothing(visit: Visit) -> None:
    visit.page.locator("[data-show]").first.click()
    visit.page.locator("#map").press("n")
    assert visit.requests == []
    assert visit.complaints == []


def test_page__draws_points_hexagons_and_streets(visit: Visit) -> None:
    page = small_page()
    assert visit.drawn("#map .points use") == len(page.points)
    assert visit.drawn("#map .hexes path") == len(page.hex_layers[0].hexagons)
    assert visit.drawn("#map .streets path") == 1


def test_page__is_not_blank(visit: Visit, browser: Browser) -> None:
    picture = base64.b64encode(visit.page.locator("#map").screenshot()).decode()
    assert _n_colours(browser, picture) > 50
    visit.page.evaluate("document.getElementById('map').replaceChildren()")
    empty = base64.b64encode(visit.page.locator("#map").screenshot()).decode()
    assert _n_colours(browser, empty) < 50


def _n_colours(browser: Browser, png: str) -> int:
    """Count the colours of a picture, in a page of its own."""
    page = browser.new_page()
    count = page.evaluate(
        """async (png) => {
            const image = new Image();
            image.src = "data:image/png;base64," + png;
            await image.decode();
            const canvas = new OffscreenCanvas(image.width - 120, image.height - 120);
            const context = canvas.getContext("2d");
            context.drawImage(image, -60, -60);
            const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
            return new Set(new Uint32Array(data.buffer)).size;
        }""",
        png,
    )
    page.close()
    return int(count)


def test_page__layers_go_and_come_back(visit: Visit) -> None:
    box = visit.page.locator("[data-toggle=points-retail]")
    box.uncheck()
    assert visit.drawn("#map [data-layer=points-retail] use") == 0
    box.check()
    assert visit.drawn("#map [data-layer=points-retail] use") == 2


def test_page__synthetic_points_can_be_left_out(visit: Visit) -> None:
    visit.page.locator("[data-toggle-synthetic]").uncheck()
    assert visit.drawn("#map [data-synthetic] use") == 0
    assert visit.drawn("#map .points use") == 2


def test_page__one_hexagon_layer_is_shown_with_its_legend(visit: Visit) -> None:
    visit.page.locator("[name=hexes][value=distance]").check()
    assert visit.drawn("#map [data-layer=unserved] path") == 0
    assert visit.drawn("#map [data-layer=distance] path") > 0
    assert visit.page.locator("[data-classes=distance]").is_visible()
    assert not visit.page.locator("[data-classes=unserved]").is_visible()


def test_page__wheel_zooms_towards_the_pointer(visit: Visit) -> None:
    before = visit.view()
    box = visit.page.locator("#map").bounding_box()
    assert box is not None
    visit.page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.5)
    visit.page.mouse.wheel(0, -240)
    visit.page.wait_for_function(f"+document.getElementById('map').getAttribute('viewBox').split(' ')[2] < {before[2]}")
    after = visit.view()
    assert after[0] + after[2] * 0.25 == pytest.approx(before[0] + before[2] * 0.25, abs=before[2] / 500)


def test_page__drag_moves_the_map_with_the_pointer(visit: Visit) -> None:
    before = visit.view()
    box = visit.page.locator("#map").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    visit.page.mouse.move(x, y)
    visit.page.mouse.down()
    visit.page.mouse.move(x - 50, y, steps=5)
    visit.page.mouse.up()
    moved = (visit.view()[0] - before[0]) * box["width"] / before[2]
    assert 40 <= moved <= 50


def test_page__buttons_and_keys_zoom_and_move(visit: Visit) -> None:
    whole = visit.view()
    visit.page.locator("[data-zoom=in]").click()
    assert visit.view()[2] < whole[2]
    chart = visit.page.locator("#map")
    chart.press("ArrowRight")
    chart.press("+")
    assert visit.view()[2] < whole[2] * 0.5
    chart.press("0")
    assert visit.view() == pytest.approx(whole)


def test_page__keyboard_reads_points_aloud(visit: Visit) -> None:
    chart = visit.page.locator("#map")
    chart.press("n")
    first = visit.page.locator("#live").text_content()
    chart.press("n")
    assert visit.page.locator("#tip").is_visible()
    assert visit.page.locator("#live").text_content() != first
    chart.press("Escape")
    assert not visit.page.locator("#tip").is_visible()


def test_page__pointer_tells_name_sector_and_hours(visit: Visit) -> None:
    use = visit.page.locator("#map [data-layer=points-retail] use").first
    box = use.bounding_box()
    assert box is not None
    visit.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    told = visit.page.locator("#tip").inner_text()
    assert told.splitlines() == ["Corner shop", "retail/pickup", "Mo-Fr 08:00-18:00"]


def test_page__example_is_labelled_when_chosen(visit: Visit) -> None:
    assert visit.drawn("#map .refused") == 0
    visit.page.locator("[data-show='1']").click()
    assert visit.drawn("#map .refused") == 1
    assert visit.drawn("#map .area") == 1
    told = visit.page.locator("#map .callouts").text_content()
    assert told is not None
    assert "closed, 111 m" in told
    assert "serves it, 150 m" in told


def test_page__scale_bar_is_as_long_as_it_says(visit: Visit) -> None:
    text = visit.page.locator("#scale-text").inner_text()
    box = visit.page.locator("#scale-bar").bounding_box()
    frame = visit.page.locator("#map").bounding_box()
    assert box is not None
    assert frame is not None
    assert box["width"] * visit.view()[2] / frame["width"] == pytest.approx(float(text.split()[0]), rel=0.03)


def test_page__fits_a_phone_and_answers_to_a_finger(browser: Browser, html: Path) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    visit = Visit(context.new_page())
    visit.page.goto(html.as_uri())
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360
    box = visit.page.locator("#map [data-layer=points-laundry] use").first.bounding_box()
    assert box is not None
    visit.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert "Wash house" in visit.page.locator("#tip").inner_text()
    assert visit.complaints == []
    context.close()


def test_page__is_readable_without_script(browser: Browser, html: Path) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(html.as_uri())
    assert page.locator("#map .points").count() == 2
    assert page.locator("table").first.is_visible()
    context.close()
