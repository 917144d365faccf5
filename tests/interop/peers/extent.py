"""How much is run: each real peer once, or with SLUICE_INTEROP_FULL everything."""
import os
import unittest

FULL = bool(os.environ.get("SLUICE_INTEROP_FULL"))

full = unittest.skipUnless(FULL, "only with --full")


def some(values, always):
    """All values in a full run, else those in `always`."""
    return values if FULL else [value for value in values if value in always]
