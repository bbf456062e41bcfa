from __future__ import annotations

import signal
import subprocess
import sys

IN_A_FINALISER = """
import signal, sys, time
from service.stopping import end_on_sigterm

class Held:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

end_on_sigterm()
held = Held()
try:
    del held
    print("went on", flush=True)
    time.sleep(20)
finally:
    print("undone", flush=True)
"""
IN_VAIN = """
from service.stopping import end_on_sigterm

class Held:
    def __del__(self):
        raise ValueError("a fault")

end_on_sigterm()
held = Held()
del held
"""
IN_A_LIBRARY = """
import signal
from service.cli import app
from service.stopping import end_on_sigterm

@app.command("fail")
def fail():
    try:
        signal.raise_signal(signal.SIGTERM)
    except BaseException:
        raise OSError("the word of a library")

end_on_sigterm()
app(["fail"])
"""

AS_A_POOL_CLOSES = """
import logging, signal
from service.logs import set_up_logs
from service.stopping import end_on_sigterm

set_up_logs("info")
end_on_sigterm()
try:
    if "%s" == "SIGTERM":
        signal.raise_signal(signal.SIGTERM)
    raise OSError("a fault")
except BaseException:
    logging.getLogger("sqlalchemy.pool").error("Exception closing connection", exc_info=True)
    raise
"""


def _run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)


def test_sigterm__that_meets_a_finaliser_ends_the_process_all_the_same() -> None:
    ended = _run(IN_A_FINALISER)
    assert (ended.returncode, ended.stdout.split("\n")) == (128 + signal.SIGTERM, ["went on", "undone", ""])
    assert ended.stderr == ""


def test_sigterm__of_which_a_library_made_another_error_ends_the_command_as_told() -> None:
    ended = _run(IN_A_LIBRARY)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGTERM, "")


def test_other_faults_of_finalisers__are_told_as_ever() -> None:
    ended = _run(IN_VAIN)
    assert ended.returncode == 0
    assert "ValueError: a fault" in ended.stderr


def test_sigterm__that_a_library_calls_an_error_is_not_logged_and_a_fault_is() -> None:
    ended, failed = _run(AS_A_POOL_CLOSES % "SIGTERM"), _run(AS_A_POOL_CLOSES % "nothing")
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGTERM, "")
    assert failed.returncode == 1
    assert "Exception closing connection" in failed.stderr
