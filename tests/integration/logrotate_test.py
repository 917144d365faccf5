#!/usr/bin/env python3
"""TAILDIR and the real logrotate: each line comes once, however the files are rotated."""
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

from support.agent import Agent, file_roll, pipeline, roll_numbers
from support.waiting import wait_until

SOURCE = r"""type = TAILDIR
filegroups = g
filegroups.g = {dir}/logs/app\\.log(\\.\\d+)?
positionFile = {dir}/positions.json
writePosInterval = 10
"""
CONFIG = pipeline(SOURCE, file_roll(), "capacity = 2000\ntransactionCapacity = 1000")
LOGROTATE = shutil.which("logrotate") or shutil.which("logrotate", path="/usr/sbin:/sbin")


class Rotated:
    """A log, its writer, and logrotate with these directives."""

    def __init__(self, directives, mode="ab"):
        self.temporary = tempfile.TemporaryDirectory(prefix="sluice-logrotate-")
        self.directory = self.temporary.name
        self.log = os.path.join(self.directory, "logs", "app.log")
        self.out = os.path.join(self.directory, "out")
        os.mkdir(os.path.dirname(self.log))
        os.mkdir(self.out)
        self.rules = os.path.join(self.directory, "rules")
        with open(self.rules, "w") as file:
            file.write("%s {\n  rotate 50\n%s}\n" % (
                self.log, "".join("  %s\n" % directive for directive in directives)))
        os.chmod(self.rules, 0o644)
        self.mode = mode
        self.written = 0
        self.inodes = []
        self.open()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.temporary.cleanup()

    def open(self):
        self.file = open(self.log, self.mode, buffering=0)
        self.inodes.append(os.fstat(self.file.fileno()).st_ino)

    def reopen(self):
        self.file.close()
        self.open()

    def write(self, lines):
        self.file.write(b"".join(b"%d %s\n" % (self.written + i, b"." * (i % 100)) for i in range(lines)))
        self.written += lines

    def rotate(self):
        """As cron does it, but at once."""
        done = subprocess.run([LOGROTATE, "--force", "--state", os.path.join(self.directory, "state"),
                               self.rules], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=30)
        assert done.returncode == 0, done.stdout.decode(errors="replace")

    def numbers(self):
        return sorted(roll_numbers(self.out))

    def wait_for_all(self):
        wait_until(lambda: len(set(self.numbers())) >= self.written,
                   lambda: "%d lines, not %d" % (self.written, len(set(self.numbers()))))

    def wait_for_positions(self):
        """Everything that was delivered is behind a position."""
        def told():
            with open(os.path.join(self.directory, "positions.json")) as file:
                return '"pos":%d,' % os.path.getsize(self.log) in file.read()
        wait_until(told, "the position of the log is its end")


class Logrotate(unittest.TestCase):
    def setUp(self):
        self.assertIsNotNone(LOGROTATE, "logrotate is not installed: ./dev setup test")

    def check(self, log):
        self.assertEqual(log.numbers(), list(range(log.written)))

    def test_rename_and_create(self):
        with Rotated(["create"]) as log, Agent(CONFIG, directory=log.directory) as agent:
            agent.wait_until_running()
            for turn in range(12):
                log.write(300)
                if turn % 3 == 0:
                    log.wait_for_all()
                log.rotate()
                log.write(200)  # the writer has not heard of it yet
                log.reopen()
            log.write(100)
            log.wait_for_all()
            self.assertEqual(agent.stop(), 0)
            self.check(log)

    def copytruncate(self, mode):
        with Rotated(["copytruncate"], mode) as log, Agent(CONFIG, directory=log.directory) as agent:
            agent.wait_until_running()
            for _ in range(12):
                # What is written between the copy and the truncation is lost by design, and several
                # rotations within one look may double lines.
                log.write(300)
                log.wait_for_all()
                log.rotate()
                self.assertEqual(os.path.getsize(log.log), 0)
                log.write(200)
                with open(log.log, "rb") as file:
                    self.assertEqual(file.read(1) == b"\0", mode == "wb", "a hole is left, or none")
            log.wait_for_all()
            self.assertEqual(agent.stop(), 0)
            self.check(log)

    def test_copytruncate_of_a_writer_that_appends(self):
        self.copytruncate("ab")

    def test_copytruncate_of_a_writer_that_does_not_append(self):
        self.copytruncate("wb")

    def test_compress_and_delaycompress_use_an_inode_again(self):
        with Rotated(["create", "compress", "delaycompress"]) as log, \
                Agent(CONFIG, directory=log.directory) as agent:
            agent.wait_until_running()
            for turn in range(10):
                # Each log is longer than the one whose inode it may have.
                log.write(100 + 50 * turn)
                log.wait_for_all()  # the next rotation but one makes the file unreadable
                log.rotate()
                log.write(20)
                log.reopen()
            log.wait_for_all()
            self.assertEqual(agent.stop(), 0)
            self.check(log)
            print("%d inodes of %d logs" % (len(set(log.inodes)), len(log.inodes)))
            names = os.listdir(os.path.dirname(log.log))
            self.assertIn("app.log.2.gz", names)

    def test_an_inode_is_used_again_while_the_agent_is_down(self):
        with Rotated(["create", "compress", "delaycompress"]) as log:
            for turn in range(6):
                with Agent(CONFIG, directory=log.directory) as agent:
                    agent.wait_until_running()
                    log.write(100 + 50 * turn)
                    log.wait_for_all()
                    log.wait_for_positions()
                    agent.kill(signal.SIGKILL)
                    agent.wait()
                # The third log may have the inode of the first, and is longer than its position.
                for _ in range(2):
                    log.rotate()
                    log.reopen()
                log.write(110 + 50 * turn)
            with Agent(CONFIG, directory=log.directory, arguments=["--once"]) as agent:
                self.assertEqual(agent.wait(30), 0)
            self.check(log)
            print("%d inodes of %d logs" % (len(set(log.inodes)), len(log.inodes)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
