"""Where the real data with reference answers lies; tests that use it are skipped only where it is absent."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("LINLI_SHARED", Path(__file__).resolve().parents[2] / "shared"))
DATA = SHARED / "data"
needs_reference = pytest.mark.skipif(not DATA.is_dir(), reason="reference data absent")
