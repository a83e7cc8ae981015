# SPDX-License-Identifier: LGPL-2.1-or-later
"""The one exception of the test bed: its text is meant for the user."""


class BedError(Exception):
    """What failed, with which value, and what to do about it."""
