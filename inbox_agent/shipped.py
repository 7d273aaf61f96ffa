"""Where the files are that come with the program: rules, templates, the example configuration, the units."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """The file or folder `name` ("rules", "templates", "config.example.toml", "systemd").

    A wheel carries them inside the package, a checkout has them beside it.
    """
    installed = _PACKAGE / "shipped" / name
    return installed if installed.exists() else _PACKAGE.parent / name
