"""Waiting for conditions: the only place where a test sleeps."""
import time


class Late(AssertionError):
    """A condition did not become true in time."""


def wait_until(condition, what, deadline_s=10.0, poll_s=0.005):
    """Polls until condition() is true and returns its value. `what` may be a function of no argument."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise Late("not within %g s: %s" % (deadline_s, what() if callable(what) else what))
        time.sleep(poll_s)


def wait_out(seconds, still, poll_s=0.05):
    """Lets time pass because the time itself is what is tested; still() must hold throughout."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not still():
            raise AssertionError("it did not hold for %g s" % seconds)
        time.sleep(poll_s)
