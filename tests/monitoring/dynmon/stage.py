# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests share: the texts, and, from the first test that asks for it, what is scraped."""

import os
import shutil
from pathlib import Path

from runner import Skip

from . import TOP
from .scene import Scene


def build_directory():
    """Where the programs were built."""
    return Path(os.environ.get("DYN_BUILD_DIR") or TOP / "build")


class Stage:
    """Opens the scene once; it stays open for the tests that follow."""

    def __init__(self):
        self._scene = None
        self._is_open = False

    def scene(self):
        """The scene, all of it up and scraped; skips where there is no exporter to run."""
        exporter = build_directory() / "src" / "exporter" / "dynmem-exporter"
        if not exporter.exists():
            raise Skip(f"no {exporter}: build it, or name the build directory in DYN_BUILD_DIR")
        if not shutil.which("prometheus"):
            raise Skip("prometheus is not installed: scripts/setup monitoring")
        if self._scene is None:
            self._scene = Scene(build_directory())
            self._scene.open()
            self._is_open = True
        assert self._is_open, "the programs did not come up for the first test"
        return self._scene

    def reset(self):
        """Nothing to put back between tests."""

    def evidence(self):
        """What the programs said, after a failure."""
        return self._scene.logs() if self._scene else ""

    def close(self):
        """Take everything away."""
        if self._scene:
            self._scene.close()
