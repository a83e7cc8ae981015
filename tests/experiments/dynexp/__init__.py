# SPDX-License-Identifier: LGPL-2.1-or-later
"""dynexp: experiments on real guests whose phases are found in what was seen. See ../e2 and ../e3."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "live"))
