"""The rooms lean one way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from app.config import REPOSITORY


def test_the_import_contracts_are_kept() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
