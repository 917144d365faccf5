#!/usr/bin/env python3
# test: timeout=240
"""What a microbatch sink does with more than it may keep, and with rows that come too late."""
import os
import random
import re
import tempfile
import unittest

from support.agent import Agent, fail_points, pipeline, roll_content, run_sluice
from support.microbatch import microbatch, parse_blocks, read_batches
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


class Late(unittest.TestCase):
    STEPS = ("steps = p w count\nsteps.p.type = parse\nsteps.p.format = csv\nsteps.p.fields = t:int id\n"
             "steps.w.type = window\nsteps.w.length = 1s\nsteps.w.time = event\nsteps.w.timestamp = t\n"
             "steps.w.late = channel\nsteps.count.type = aggregate\nsteps.count.agg.n = count()\n")
    LATE = ("outputs.late.type = channel\noutputs.late.channel = late\noutputs.late.format = csv\n"
            "outputs.late.input = count.late\n")

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="sluice-test-"))
        os.mkdir(os.path.join(self.folder, "late"))
        self.written = 0

    def agent(self, environment=None):
        outputs = ("outputs = out late\noutputs.out.type = file\noutputs.out.input = count\n"
                   "outputs.out.prefix = {dir}/out/part\noutputs.out.format = csv\n" + self.LATE)
        source = "type = TAILDIR\nfilegroups = f\nfilegroups.f = {dir}/app.log\npositionFile = {dir}/positions.json\n"
        config = pipeline(source, microbatch(self.STEPS, outputs, "100ms"), "type = rocksdb\ncapacity = 100000") + (
            "a1.channels = c1 late\na1.channels.late.type = rocksdb\na1.sinks = k1 store\n"
            "a1.sinks.store.type = file_roll\na1.sinks.store.channel = late\n"
            "a1.sinks.store.sink.directory = {dir}/late\na1.sinks.store.sink.rollInterval = 0\n")
        return Agent(config, directory=self.folder, environment=environment,
                     arguments=["-Dsluice.state.dir=%s/state" % self.folder])

    def write(self, rows):
        """Every third row is of long ago: late, but in the first batch."""
        with open(os.path.join(self.folder, "app.log"), "a") as file:
            for _ in range(rows):
                time = 1_600_000_000_000 + self.written * (0 if self.written % 3 == 0 else 10)
                file.write("%d,%d\n" % (time, self.written))
                self.written += 1

    def late_rows(self):
        return roll_content(os.path.join(self.folder, "late")).decode().splitlines()

    def counted(self):
        batches = read_batches(os.path.join(self.folder, "out"))
        return sum(int(row.split(",")[2]) for rows in batches.values() for row in rows[1:])

    def test_every_row_is_counted_or_in_the_channel_once(self):
        points = [p for p in fail_points("channel", "batch") if not p.startswith(("take-", "recovery-"))]
        for point in points:
            self.write(60)
            with self.subTest(point), self.agent({"SLUICE_KILL_AT": point + ":2"}) as agent:
                def dead():
                    self.write(3)
                    return not agent.running()
                wait_until(dead, "the agent dies", 20, 0.02)
        rows = self.written
        with open(os.path.join(self.folder, "app.log"), "a") as file:
            file.write("1700000000000,end\n")  # ends all windows but its own
        with self.agent() as agent:
            wait_until(lambda: self.counted() + len(self.late_rows()) >= rows, "all rows are somewhere", 30)
            self.assertEqual(agent.stop(), 0)
        late = self.late_rows()
        self.assertEqual(self.counted() + len(late), rows)
        self.assertEqual(len(set(late)), len(late))
        # A third of all, but for those of first batches, which are larger on a slow machine.
        self.assertGreater(len(late), rows // 20)
        self.assertTrue(all(re.fullmatch(r"16\d{11},\d+", row) for row in late), late)

    def test_late_rows_that_nobody_has_are_a_finding(self):
        for outputs, wanted in (("outputs = out\noutputs.out.type = print\n", 1),
                                ("outputs = out late\noutputs.out.type = print\n" + self.LATE, 0)):
            path = os.path.join(self.folder, "x.conf")
            with open(path, "w") as file:
                file.write(pipeline(LONG_LINES, microbatch(self.STEPS, outputs)) + (
                    "a1.channels = c1 late\na1.channels.late.type = memory\na1.sinks = k1 store\n"
                    "a1.sinks.store.type = null\na1.sinks.store.channel = late\n"))
            status, out, err = run_sluice("check", "-n", "a1", "-f", path)
            self.assertEqual(status, wanted, out + err)
            if wanted:
                self.assertRegex(out + err, r"x\.conf:\d+:\d+: error: .*nothing has the late rows")


class Align(unittest.TestCase):
    SINK = microbatch("align = start\nsteps = count\nsteps.count.type = aggregate\nsteps.count.agg.n = count()\n",
                      "outputs = out\noutputs.out.type = print\n", "700ms")

    def phases(self, directory):
        """Of the batches that one more agent prints there."""
        def times():
            path = os.path.join(directory, "stdout")
            if not os.path.exists(path):
                return []
            with open(path, encoding="utf-8") as file:
                return [time for time, _ in parse_blocks(file.read())]
        before = len(times())
        with Agent(pipeline(LONG_LINES, self.SINK, "type = rocksdb"), directory=directory,
                   arguments=["-Dsluice.state.dir=%s/state" % directory]) as agent:
            wait_until(lambda: len(times()) >= before + 2, "two batches", 20)
            self.assertEqual(agent.stop(), 0)
        return {time % 700 for time in times()[before:]}

    def test_batches_keep_the_beat_of_the_first_start(self):
        found = set()
        for _ in range(3):  # one start in 700 is at a multiple by chance
            with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
                first = self.phases(directory)
                self.assertEqual(len(first), 1)
                self.assertEqual(self.phases(directory), first)
                found |= first
            if found != {0}:
                return
        self.fail("batches end at multiples since 1970")


if __name__ == "__main__":
    unittest.main(verbosity=2)
