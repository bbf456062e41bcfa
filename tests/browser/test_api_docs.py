"""The page of the API's description in a real browser, which can reach nothing but the server."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.visit import Visit
from tests.contract.service.operations import DESCRIBED, operations
from tests.servers import short_folder
from tests.serving import Place, Serving, running_service

TAGS = {tag for one in operations() for tag in one.described["tags"]}


@pytest.fixture(scope="module")
def service() -> Iterator[Serving]:
    with short_folder() as folder, running_service(Place(folder / "data")) as serving:
        yield serving


@pytest.fixture
def visit(browser: Browser, service: Serving) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 1280, "height": 2000})
    visited = Visit(context.new_page(), f"{service.base_url}/")
    visited.page.goto(f"{service.base_url}/docs")
    visited.page.wait_for_selector(".opblock")
    yield visited
    context.close()


def test_docs__show_every_operation_and_ask_no_other_server(visit: Visit) -> None:
    assert visit.page.locator(".opblock").count() == len(operations())
    told = visit.page.locator(".swagger-ui").inner_text()
    assert visit.page.locator(".opblock-tag").count() == len(TAGS)
    for one in operations():
        assert one.described["summary"] in told
    assert DESCRIBED["info"]["title"] in told
    assert visit.requests == []
    assert visit.complaints == []


def test_docs__send_a_request_with_a_key(visit: Visit, service: Serving) -> None:
    page = visit.page
    page.locator(".auth-wrapper .authorize").first.click()
    page.locator(".auth-container input").fill(service.admin_key)
    page.locator(".auth-container .authorize").first.click()
    page.locator(".btn-done").click()
    block = page.locator("#operations-merchants-" + _id("GET /v1/merchants"))
    block.locator(".opblock-summary-control").click()
    block.locator(".try-out__btn").click()
    block.locator(".execute").click()
    status = block.locator(".live-responses-table tbody .response-col_status").first
    status.wait_for()
    assert status.inner_text().startswith("200")
    assert visit.requests == []
    assert visit.complaints == []


def _id(name: str) -> str:
    return next(one.described["operationId"] for one in operations() if one.name == name)
