"""The HTML of a page."""

import re
from dataclasses import replace

from service.maps import Bounds, MapPage, MapPoint, render_map
from tests.unit.service.maps.pages import EVIL, small_page


def test_render__asks_nothing_of_the_network() -> None:
    html = render_map(small_page())
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", html)
    assert not re.findall(r"url\(|@import|fetch\(|XMLHttpRequest", html)
    assert "default-src 'none'" in html


def test_render__escapes_text_everywhere() -> None:
    html = render_map(small_page(title=EVIL))
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


def test_render__draws_every_point_and_cell() -> None:
    page = small_page()
    html = render_map(page)
    body = html[html.index('id="map"') : html.index('class="controls"')]
    assert body.count("<use ") == len(page.points)
    assert body.count("data-hex=") == sum(len(layer.hexagons) for layer in page.hex_layers)


def test_render__explains_every_symbol_and_colour_shown() -> None:
    page = small_page()
    html = render_map(page)
    legend = html[html.index('class="legend"') : html.index("</form>")]
    for kind in page.categories:
        assert f"#s-{kind.symbol}" in legend
        assert kind.label_zh in legend
    for layer in page.hex_layers:
        for shown in layer.classes:
            assert shown.label in legend
    assert "synthetic" in legend


def test_render__works_with_nothing_to_show() -> None:
    page = MapPage(title="Empty", subtitle="", bounds=Bounds(0.0, 0.0, 0.01, 0.01), attribution="none")
    assert "<h1>Empty</h1>" in render_map(page)


def test_render__stays_small_for_5_000_points() -> None:
    page = small_page()
    many = tuple(
        MapPoint(60.164 + i * 1.6e-6, 24.935 + i * 3.6e-6, "retail", f"Point number {i}", ("retail/pickup", "24/7"))
        for i in range(5_000)
    )
    assert len(render_map(replace(page, points=many)).encode()) < 1_000_000
