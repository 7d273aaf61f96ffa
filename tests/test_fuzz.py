"""The fuzzer, for a while: `./dev test -m soak tests/test_fuzz.py` (INBOX_AGENT_FUZZ_SECONDS, default 600)."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_no_octets_break_the_way_of_a_message(tmp_path):
    seconds = os.environ.get("INBOX_AGENT_FUZZ_SECONDS", "600")
    script = Path(__file__).with_name("fuzz.py")
    run = subprocess.run([sys.executable, script, seconds], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-4000:]
    assert list(tmp_path.iterdir()) == []
