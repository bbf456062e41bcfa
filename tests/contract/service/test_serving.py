"""The service of the tests is a real one."""

from __future__ import annotations

import json
from pathlib import Path

from tests.serving import LINLI, Serving, linli, running_service


def test_service__answers_ready_and_knows_its_first_key(service: Serving) -> None:
    with service.client() as admin, service.client("") as nobody:
        assert admin.get("/readyz").json()["ready"] is True
        assert admin.get("/v1/nothing").status_code == 404
        assert nobody.get("/v1/nothing").status_code == 401
    assert all(json.loads(line)["level"] for line in service.log.read_text().splitlines())


def test_service__started_again_knows_the_key_of_before(service: Serving) -> None:
    service.stop()
    with running_service(service.place, admin_key=service.admin_key, program=LINLI) as again, again.client() as admin:
        assert admin.get("/v1/nothing").status_code == 404


def test_serve__refuses_a_folder_beside_the_database_of_the_environment(tmp_path: Path) -> None:
    run = linli("serve", f"--data={tmp_path / 'data'}", "--port=0", database=f"postgresql://x/y?host={tmp_path}")
    assert (run.returncode, run.stdout) == (2, "")
    assert "LINLI_DATABASE" in run.stderr
    assert "LINLI_DATA " in run.stderr
    assert not (tmp_path / "data").exists()
