"""A page that is open in a browser."""

from playwright.sync_api import Page, Route


class Visit:
    """An open page with everything it complained about, or asked of others than ``allowed``: that is refused."""

    def __init__(self, page: Page, *allowed: str) -> None:
        self.page = page
        self.allowed = ("file:", "data:", *allowed)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.route("**/*", self._refuse)

    def _refuse(self, route: Route) -> None:
        if route.request.url.startswith(self.allowed):
            route.continue_()
        else:
            self.requests.append(route.request.url)
            route.abort()

    def view(self) -> list[float]:
        box = self.page.locator("#map").get_attribute("viewBox")
        assert box is not None
        return [float(part) for part in box.split()]

    def drawn(self, selector: str) -> int:
        return int(
            self.page.locator(selector).evaluate_all("all => all.filter(one => one.getClientRects().length).length")
        )
