"""The page of `linli demo` in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from service.demo.page import demo_page
from service.demo.run import run_demo
from service.maps import MapPage, render_map
from tests.browser.visit import Visit


@pytest.fixture(scope="module")
def page() -> MapPage:
    return demo_page(run_demo(lambda what, done: None))


@pytest.fixture
def visit(browser: Browser, page: MapPage, tmp_path: Path) -> Iterator[Visit]:
    path = tmp_path / "demo.html"
    path.write_text(render_map(page), encoding="utf-8")
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    visited = Visit(context.new_page())
    visited.page.goto(path.as_uri())
    yield visited
    context.close()


def test_demo_page__shows_all_it_should(visit: Visit, page: MapPage) -> None:
    assert visit.drawn("#map .points use") == len(page.points)
    assert visit.drawn("#map .hexes path") == len(page.hex_layers[0].hexagons)
    assert visit.drawn("#map .streets path") == 4
    assert visit.drawn("#map .place") == 3
    assert visit.drawn("[data-synthetic] use") == sum(point.synthetic for point in page.points)


def test_demo_page__explains_each_order_on_the_map(visit: Visit, page: MapPage) -> None:
    for number, example in enumerate(page.examples, 1):
        visit.page.locator(f"[data-show='{number}']").click()
        assert visit.drawn("#map .refused") == len(example.refused)
        assert visit.drawn("#map .match") == 1
        told = visit.page.locator(f"[data-example='{number}'] .callouts").text_content() or ""
        assert "serves it" in told
        assert example.refused[0].label in told
    assert visit.complaints == []
    assert visit.requests == []


def test_demo_page__zooms_without_delay(visit: Visit) -> None:
    spent_ms = visit.page.evaluate(
        """async () => {
            const start = performance.now();
            for (let i = 0; i < 10; i++) {
                document.querySelector("[data-zoom=in]").click();
                await new Promise(requestAnimationFrame);
            }
            return performance.now() - start;
        }"""
    )
    assert spent_ms < 5_000
