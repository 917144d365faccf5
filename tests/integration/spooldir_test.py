#!/usr/bin/env python3
"""spooldir through a memory channel: no line of any file is missing, however often the agent is killed."""
import os
import random
import signal
import tempfile
import unittest

from support.agent import Agent, file_roll, pipeline, roll_bytes, roll_numbers
from support.positions import Unsettled, numbers_in, read_positions
from support.waiting import wait_until

SOURCE = "type = spooldir\nspoolDir = {dir}/spool\npollDelay = 10\ndeserializer.maxLineLength = 1000\n"
CONFIG = pipeline(SOURCE, file_roll(), "capacity = 2000\ntransactionCapacity = 1000")


class Spooldir(unittest.TestCase):
    def test_nothing_is_missing_after_kills(self):
        rng = random.Random(int(os.environ.get("SLUICE_SEED", "1")))
        with tempfile.TemporaryDirectory(prefix="sluice-spooldir-") as directory:
            spool = os.path.join(directory, "spool")
            os.mkdir(spool)
            os.mkdir(os.path.join(directory, "out"))
            written = 0
            unsettled = Unsettled()
            for _ in range(10):
                with Agent(CONFIG, directory=directory) as agent:
                    agent.wait_until_running()
                    out = os.path.join(directory, "out")
                    most = roll_bytes(out) + rng.randrange(2_000_000)
                    for _ in range(30):
                        written = self.put(spool, written, rng.randrange(100, 3000))
                    wait_until(lambda: roll_bytes(out) >= most, lambda: "%d bytes" % most)
                    agent.kill(signal.SIGKILL)
                    agent.wait()
                unsettled.killed(roll_numbers(out), self.settled(spool))
            # A file that is bad holds up nobody, and is still there.
            open(os.path.join(spool, "bad.COMPLETED"), "w").close()
            with open(os.path.join(spool, "bad"), "w") as bad:
                bad.write("%d bad\n" % written)
            with Agent(CONFIG, directory=directory, arguments=["--once"]) as agent:
                self.assertEqual(agent.wait(30), 0)
                self.assertRegex(agent.log(), "bad is set aside until the next start")
            left = [n for n in os.listdir(spool) if not n.endswith(".COMPLETED") and n[0] != "."]
            self.assertEqual(left, ["bad"])
            found = roll_numbers(out)
            missing = set(range(written + 1)) - set(found)
            print("%d lines written, %d repeated, %d missing" % (
                written, len(found) - len(set(found)), len(missing)))
            self.assertEqual(sorted(missing)[:10], [])
            unsettled.check(self, found)

    @staticmethod
    def settled(spool):
        """The lines of files that were put away, and those before the positions of the others."""
        offsets = {position.path: position.offset for position in
                   read_positions(os.path.join(spool, ".flumespool", "sluice-r1-positions.json"))}
        lines = set()
        for name in os.listdir(spool):
            path = os.path.join(spool, name)
            if not name.startswith("part"):
                continue
            with open(path, "rb") as file:
                content = file.read()
            lines.update(numbers_in(content if name.endswith(".COMPLETED")
                                    else content[:offsets.get(path, 0)]))
        return lines

    @staticmethod
    def put(spool, first, lines):
        hidden = os.path.join(spool, ".%d" % first)
        with open(hidden, "wb") as file:
            file.write(b"".join(b"%d %s\n" % (first + i, b"." * (i % 150)) for i in range(lines)))
        os.rename(hidden, os.path.join(spool, "part%d" % first))
        return first + lines


if __name__ == "__main__":
    unittest.main(verbosity=2)
