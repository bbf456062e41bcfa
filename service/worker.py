"""One of several processes that serve: ``python -m service.worker SOCKET PIPE NUMBER``, started by `service.workers`."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading

from service.logs import set_up_logs
from service.settings import load_settings
from service.stopping import end_on_sigterm

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Serve on an inherited socket until a signal, or the end of the process that started this one."""
    end_on_sigterm()
    descriptor, pipe, number = map(int, arguments)
    threading.Thread(target=_stop_at_end_of, args=(pipe,), name="linli-parent", daemon=True).start()
    settings = load_settings()
    set_up_logs(settings.server.log_level)

    from service.server import serve

    serve(settings, socket.socket(fileno=descriptor), lambda _services: None, worker=number)


def _stop_at_end_of(pipe: int) -> None:
    os.read(pipe, 1)  # nothing is ever written: it returns when the other end is closed
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1:])
