# SPDX-License-Identifier: LGPL-2.1-or-later
"""dyndemo: the demonstration. See ../demo.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "live"))
