"""
A consumer of events in a process of its own: sends each to a file, then marks its id, and dies in between.

``python -m tests.faults.event_consumer URL KEY FOLDER DIES_AT [mark-first]``
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

from tests.event_client import Event, events_of

MARK_FIRST = "mark-first"
DONE = "done"
"""The subject after which a consumer has seen all."""


def main(url: str, key: str, folder: Path, dies_at: int, *, marks_first: bool) -> None:
    """Consume from the mark on, until the last event or death."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    mark = folder / "mark"
    last = mark.read_text() if mark.exists() else "0-0"
    connection.request("GET", "/v1/events", headers={"Authorization": f"Bearer {key}", "Last-Event-ID": last})
    answer = connection.getresponse()
    n_sent = 0
    for event in events_of(line.decode().removesuffix("\n") for line in answer):
        if not event.name:
            continue
        n_sent += 1
        steps = [lambda event=event: _send(folder, event), lambda event=event: _mark(mark, event)]
        if marks_first:
            steps.reverse()
        steps[0]()
        if n_sent == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        steps[1]()
        if json.loads(event.data)["subject"].endswith(DONE):
            return


def _send(folder: Path, event: Event) -> None:
    with (folder / "sent").open("a") as file:
        file.write(f"{event.id}\t{event.data}\n")


def _mark(mark: Path, event: Event) -> None:
    temporary = mark.with_suffix(".new")
    temporary.write_text(event.id)
    temporary.replace(mark)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), marks_first=MARK_FIRST in sys.argv[5:])
