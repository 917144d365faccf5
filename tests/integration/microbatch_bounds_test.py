#!/usr/bin/env python3
# test: timeout=240
"""What a microbatch sink does with more than it may keep, and with rows that come too late."""
import os
import random
import re
import unittest

from support.agent import Agent, pipeline
from support.microbatch import microbatch, parse_blocks
from support.net import send_and_read
from support.waiting import wait_until

LONG_LINES = "type = netcat\nbind = 127.0.0.1\nport = 0\nmax-line-length = 20000"


def printed(agent):
    """Rows of all batches."""
    with open(agent.path("stdout"), encoding="utf-8") as file:
        return [row for _, rows in parse_blocks(file.read()) for row in rows]


def resident_bytes(pid, what="VmHWM"):
    with open("/proc/%d/status" % pid) as file:
        return int(re.search(what + r":\s+(\d+) kB", file.read())[1]) * 1024


class Flood(unittest.TestCase):
    def test_random_long_keys_stay_within_their_bound(self):
        """200 MB of keys that come once, and one that was there before."""
        steps = ("steps = count total known\nsteps.count.type = aggregate\nsteps.count.by = body\n"
                 "steps.count.agg.n = count()\nsteps.count.maxStateBytes = 8M\nsteps.total.type = state\n"
                 "steps.total.merge.n = sum\nsteps.total.maxStateBytes = 8M\n"
                 "steps.known.type = filter\nsteps.known.where = body = 'known'\n")
        sink = microbatch(steps, "outputs = out\noutputs.out.type = print\n", "100ms")
        with Agent(pipeline(LONG_LINES, sink), monitoring=True) as agent:
            send_and_read(agent.port(), b"known\n")
            wait_until(lambda: "(known,1)" in printed(agent), "the first one is counted", 20)
            before = resident_bytes(agent.pid)
            drawn = random.Random(1)
            for i in range(20):
                lines = b"".join(drawn.randbytes(5000).hex().encode() + b"\n" for _ in range(1000))
                send_and_read(agent.port(), b"known\n" + lines, timeout_s=60)
            wait_until(lambda: "(known,21)" in printed(agent), "known keys count on", 60)
            left = "sluice_microbatch_left_out_rows_total"
            self.assertGreater(agent.sample(left, step="total", reason="rows beyond maxStateBytes"), 0)
            wait_until(lambda: agent.sample("sluice_microbatch_state_bytes") > 4e6, "the bound is used")
            self.assertLess(agent.sample("sluice_microbatch_state_bytes"), 16e6)
            agent.wait_for_log(r"step total: \d+ more rows beyond maxStateBytes, .*: raise maxStateBytes", 20)
            self.assertLess(resident_bytes(agent.pid) - before, 120e6)


if __name__ == "__main__":
    unittest.main(verbosity=2)
