"""What the programs tests/interop/*/smoke have in common."""
import os
import sys
import unittest

from .maven import Unreachable

SKIPPED = 77


def run_tests(name, fetch, directory, arguments, left_out=lambda: []):
    """Exit status of the tests of a folder, or of those that `arguments` name, with the peer `name`.

    `fetch` gets the peer and gives lines that say what it is, or raises Unreachable. `left_out` says what of the tests our
    build is not ready for.
    """
    try:
        for line in fetch():
            print(line, flush=True)
    except Unreachable as reason:
        if os.environ.get("CI") == "true":
            print("interop: %s cannot be had, and CI=true does not allow to skip it: %s" % (name, reason), file=sys.stderr)
            return 1
        print("interop: %s is skipped: %s" % (name, reason))
        return SKIPPED
    for line in left_out():
        print("interop:", line, flush=True)
    loader = unittest.defaultTestLoader
    tests = loader.loadTestsFromNames(arguments) if arguments else loader.discover(directory, "*_test.py")
    return 0 if unittest.TextTestRunner(verbosity=2).run(tests).wasSuccessful() else 1
