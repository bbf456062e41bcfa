"""What is counted and timed, in the form that Prometheus reads."""

from __future__ import annotations

import threading
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

__all__ = ["MEDIA_TYPE", "Metrics"]

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0)


class Metrics:
    """
    The metrics of one process.

    Parameters
    ----------
    worker
        Its number where several serve on one socket: every sample carries it then, since a reader meets now one, now
        another, and would take their counters for one that runs back and forth.
    """

    def __init__(self, worker: int | None = None) -> None:
        self._worker = worker
        self.registry = CollectorRegistry()
        self._requests = _Requests()
        self.registry.register(self._requests)
        self._counting = threading.Lock()

    def watch(self, name: str, told: str, value: Callable[[], float]) -> None:
        """Let a gauge tell a value that is asked for when somebody reads it."""
        Gauge(name, told, registry=self.registry).set_function(value)

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count an answered request; ``route`` is a template, so that there are few."""
        self._requests.count(route, status, seconds)

    def count_places(self, n_matched: int, n_unmatched: int) -> None:
        """Count places that were asked for, from any thread."""
        with self._counting:
            self._requests.n_matched += n_matched
            self._requests.n_unmatched += n_unmatched

    def count_try(self, outcome: str) -> None:
        """Count a try of a webhook, from any thread."""
        with self._counting:
            self._requests.tries[outcome] = self._requests.tries.get(outcome, 0) + 1

    def count_refusal(self, status: int) -> None:
        """Count what was refused before it was a request, by status; 0 where it was closed without an answer."""
        self._requests.refusals[status] = self._requests.refusals.get(status, 0) + 1

    def text(self) -> bytes:
        """Return all metrics as text."""
        return generate_latest(self.registry if self._worker is None else _Numbered(self.registry, self._worker))


class _Requests(Collector):
    """
    Requests by route and status, their times, what was refused before it was one, places asked for, and webhooks sent.

    Requests and refusals are counted by one thread, the event loop's, without a lock.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], int] = {}
        self._times: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}
        self.n_matched = self.n_unmatched = 0
        self.refusals: dict[int, int] = {}
        self.tries = {"delivered": 0, "failed": 0, "given_up": 0}

    def count(self, route: str, status: int, seconds: float) -> None:
        key = (route, status)
        self._counts[key] = self._counts.get(key, 0) + 1
        times = self._times.get(route)
        if times is None:
            times = self._times[route] = [0] * (len(_SECONDS) + 1)
            self._sums[route] = 0.0
        times[bisect_left(_SECONDS, seconds)] += 1
        self._sums[route] += seconds

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("linli_requests", "Requests answered.", labels=["route", "status"])
        for (route, status), n in list(self._counts.items()):
            requests.add_metric([route, str(status)], n)
        yield requests
        told = "From the head of a request to its answer."
        seconds = HistogramMetricFamily("linli_request_seconds", told, labels=["route"])
        bounds = [*map(str, _SECONDS), "+Inf"]
        for route, times in list(self._times.items()):
            seconds.add_metric([route], list(zip(bounds, accumulate(times), strict=True)), self._sums[route])
        yield seconds
        told = "Refused before it was a request, by status; 0: closed without an answer."
        refusals = CounterMetricFamily("linli_refusals", told, labels=["status"])
        for status, n in list(self.refusals.items()):
            refusals.add_metric([str(status)], n)
        yield refusals
        told = "Places asked for, by whether somebody can serve."
        places = CounterMetricFamily("linli_places", told, labels=["outcome"])
        places.add_metric(["matched"], self.n_matched)
        places.add_metric(["unmatched"], self.n_unmatched)
        yield places
        tries = CounterMetricFamily("linli_webhook_tries", "Webhooks sent, by what came of it.", labels=["outcome"])
        for outcome, n in list(self.tries.items()):
            tries.add_metric([outcome], n)
        yield tries


class _Numbered(CollectorRegistry):
    """Gives what another registry has, each sample with the number of its worker."""

    def __init__(self, registry: CollectorRegistry, worker: int) -> None:
        super().__init__()
        self._registry = registry
        self._labels = {"worker": str(worker)}

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample._replace(labels={**sample.labels, **self._labels}) for sample in metric.samples]
            yield metric
