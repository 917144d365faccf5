#!/usr/bin/env python3
"""TAILDIR through a memory channel: nothing is missing, however the agent ends and the files rotate."""
import os
import random
import signal
import tempfile
import unittest

from support.agent import Agent, file_roll, pipeline, roll_bytes, roll_numbers
from support.positions import Life, Unsettled, read_positions
from support.waiting import wait_until

SOURCE = r"""type = TAILDIR
filegroups = g
filegroups.g = {dir}/logs/app\\.log(\\.\\d+)?
positionFile = {dir}/positions.json
writePosInterval = 10
"""
CONFIG = pipeline(SOURCE, file_roll(), "capacity = 2000\ntransactionCapacity = 1000")


class Writer:
    """Appends numbered lines and rotates the file as logrotate does."""

    def __init__(self, directory, seed):
        self.directory = directory
        self.random = random.Random(seed)
        self.next = 0
        self.bytes = 0
        self.lives = [Life()]
        self.watched = False
        self.copied = set()  # while the agent looked on
        self.file = open(self.path(), "ab")

    def path(self, number=None):
        return os.path.join(self.directory, "app.log" + ("" if number is None else ".%d" % number))

    def write(self, lines):
        content = b"".join(b"%d %s\n" % (self.next + i, b"." * self.random.randrange(200))
                           for i in range(lines))
        self.file.write(content)
        self.file.flush()
        self.bytes += len(content)
        self.lives[-1].content += content
        self.next += lines

    def rename_and_create(self):
        self.make_room()
        os.rename(self.path(), self.path(1))
        self.file.close()
        self.file = open(self.path(), "ab")
        self.lives.append(Life())

    def settled(self, path):
        """The lines before the positions; of a copy they are those of what was copied."""
        lines = set()
        for position in read_positions(path):
            life = [life for life in self.lives if position.offset > 0 and life.has(position)]
            lines.update(life[0].before(position) if life else ())
        return lines

    def copy_and_truncate(self):
        self.make_room()
        with open(self.path(), "rb") as whole, open(self.path(1), "wb") as copy:
            copy.write(whole.read())
        os.truncate(self.path(), 0)
        if self.watched:
            self.copied.update(self.lives[-1].numbers())
        self.lives.append(Life())

    def make_room(self):
        """Nothing is deleted here: what is gone cannot be asked for."""
        for number in range(99, 0, -1):
            if os.path.exists(self.path(number)):
                os.rename(self.path(number), self.path(number + 1))


def numbers(directory):
    return roll_numbers(os.path.join(directory, "out"))


class Taildir(unittest.TestCase):
    def test_nothing_is_missing_after_kills_and_rotations(self):
        seed = int(os.environ.get("SLUICE_SEED", "1"))
        with tempfile.TemporaryDirectory(prefix="sluice-taildir-") as directory:
            os.mkdir(os.path.join(directory, "logs"))
            os.mkdir(os.path.join(directory, "out"))
            writer = Writer(os.path.join(directory, "logs"), seed)
            unsettled = Unsettled()
            for kill in range(12):
                with Agent(CONFIG, directory=directory) as agent:
                    agent.wait_until_running()
                    out = os.path.join(directory, "out")
                    before = roll_bytes(out), writer.bytes
                    writer.watched = True
                    for _ in range(writer.random.randrange(5, 60)):
                        self.work(writer)
                    # Somewhere on the way from what was there to what is there now.
                    most = before[0] + int(writer.random.uniform(0, 0.9) * (writer.bytes - before[1]))
                    wait_until(lambda: roll_bytes(out) >= most, lambda: "%d bytes" % most)
                    agent.kill(signal.SIGKILL)
                    agent.wait()
                writer.watched = False
                unsettled.killed(numbers(directory),
                                 writer.settled(os.path.join(directory, "positions.json")))
                self.work(writer)  # and while it is down
            with Agent(CONFIG, directory=directory, arguments=["--once"]) as agent:
                self.assertEqual(agent.wait(30), 0)
            writer.file.close()
            found = numbers(directory)
            missing = set(range(writer.next)) - set(found)
            print("%d lines written, %d repeated, %d missing" % (
                writer.next, len(found) - len(set(found)), len(missing)))
            self.assertEqual(sorted(missing)[:10], [])
            # Copies that follow each other within one look at the directory may be taken for new files.
            unsettled.check(self, [number for number in found if number not in writer.copied])
            self.assertEqual(sorted(set(found) - set(range(writer.next)))[:10], [])

    def work(self, writer):
        writer.write(writer.random.randrange(1, 500))
        move = writer.random.randrange(12)
        if move == 0:
            writer.rename_and_create()
        elif move == 1:
            writer.copy_and_truncate()

    def test_a_clean_stop_repeats_nothing(self):
        with tempfile.TemporaryDirectory(prefix="sluice-taildir-") as directory:
            os.mkdir(os.path.join(directory, "logs"))
            os.mkdir(os.path.join(directory, "out"))
            writer = Writer(os.path.join(directory, "logs"), 1)
            for _ in range(3):
                writer.write(3000)
                with Agent(CONFIG, directory=directory) as agent:
                    agent.wait_until_running()
                    wait_until(lambda: len(numbers(directory)) >= writer.next, lambda: "all lines")
                    writer.rename_and_create()
                    self.assertEqual(agent.stop(), 0)
            writer.file.close()
            self.assertEqual(sorted(numbers(directory)), list(range(writer.next)))

    def test_once_ends_when_all_files_are_read(self):
        with Agent(CONFIG, arguments=["--once"], folders=["out", "logs"]) as agent:
            self.assertEqual(agent.wait(20), 0)
            self.assertEqual(numbers(agent.directory), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
