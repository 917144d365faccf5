#!/usr/bin/env python3
# test: no-sanitizer
"""file_roll when the disk is full or the directory is not there: nothing lost, torn or doubled."""
import os
import resource
import shutil
import signal
import unittest

from support.agent import NETCAT, Agent, file_roll, pipeline, roll_bytes, roll_content
from support.mounts import mount_small, remount, unmount
from support.net import numbered, send_and_read
from support.waiting import wait_until

CHANNEL = "capacity = 100000"
FULL = r"sink k1: unable to deliver events: .*%s.*; they stay in channel c1 and are tried again"


class Output(unittest.TestCase):
    def deliver(self, agent, content):
        """All answered OK: the channel is larger than what is sent."""
        self.assertEqual(send_and_read(agent.port(), content), b"OK\n" * content.count(b"\n"))

    def assert_all_arrive(self, agent, expected, folder="out"):
        wait_until(lambda: roll_bytes(agent.path(folder)) >= len(expected),
                   lambda: "%d of %d bytes" % (roll_bytes(agent.path(folder)), len(expected)), 20)
        self.assertEqual(agent.stop(), 0)
        self.assertTrue(roll_content(agent.path(folder)) == expected, "lost, torn, doubled or reordered")


class FullDisk(Output):
    def test_a_small_disk_that_fills_up_and_gets_room(self):
        agent = Agent(pipeline(NETCAT, file_roll(), CHANNEL), folders=["out"])
        out = agent.path("out")
        self.addCleanup(shutil.rmtree, agent.directory, True)
        if not mount_small(out, "1m"):
            self.skipTest("a small file system cannot be mounted here; the next case stands in for it")
        self.addCleanup(unmount, out)
        with agent:
            content = numbered(20_000, 100)
            self.deliver(agent, content)
            agent.wait_for_log(FULL % "No space left on device")
            self.assertLessEqual(roll_bytes(out), 1 << 20)
            self.assertTrue(content.startswith(roll_content(out)), "torn or doubled while full")
            self.assertTrue(roll_content(out).endswith(b"\n"), "a torn line while full")
            self.assertTrue(remount(out, "size=8m"))
            agent.wait_for_log("sink k1: delivering again")
            self.assert_all_arrive(agent, content)
            unmount(out)

    def test_a_file_that_may_not_grow_until_it_may(self):
        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        with Agent(pipeline(NETCAT, file_roll(), CHANNEL), folders=["out"], prepare=small_files) as agent:
            content = numbered(20_000, 100)
            self.deliver(agent, content)
            agent.wait_for_log(FULL % "File too large")
            now = roll_content(agent.path("out"))
            self.assertTrue(content.startswith(now) and now.endswith(b"\n"), "torn or doubled while full")
            resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            self.assert_all_arrive(agent, content)

    def test_the_limit_of_file_sizes_does_not_kill_the_agent(self):
        def small_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        with Agent(pipeline(NETCAT, file_roll(), CHANNEL), folders=["out"], prepare=small_files) as agent:
            self.deliver(agent, numbered(20_000, 100))
            agent.wait_for_log(FULL % "File too large")
            agent.kill(signal.SIGTERM)
            agent.kill(signal.SIGTERM)
            self.assertEqual(agent.wait(), 0)


class Directory(Output):
    def test_a_directory_that_is_made_later(self):
        with Agent(pipeline(NETCAT, file_roll("later"), CHANNEL)) as agent:
            agent.wait_for_log(r"sink k1: unable to deliver events: .*%s" % agent.path("later"))
            agent.wait_until_running()
            content = numbered(1000)
            self.deliver(agent, content)
            os.mkdir(agent.path("later"))
            self.assert_all_arrive(agent, content, "later")

    def test_a_file_in_place_of_the_directory(self):
        agent = Agent(pipeline(NETCAT, file_roll(), CHANNEL))
        with open(agent.path("out"), "w"):
            pass
        with agent:
            agent.wait_for_log(r"sink k1: unable to deliver events: .*%s.*directory" % agent.path("out"), 10)
            os.remove(agent.path("out"))
            os.mkdir(agent.path("out"))
            content = numbered(1000)
            self.deliver(agent, content)
            self.assert_all_arrive(agent, content)

    def test_a_directory_that_may_not_be_written(self):
        agent = Agent(pipeline(NETCAT, file_roll(), CHANNEL), folders=["out"])
        out = agent.path("out")
        self.addCleanup(shutil.rmtree, agent.directory, True)
        if os.geteuid() != 0:
            os.chmod(out, 0o555)
        elif mount_small(out, "1m,ro"):
            self.addCleanup(unmount, out)
        else:
            self.skipTest("root may write everywhere, and no file system can be mounted here")
        with agent:
            agent.wait_for_log(r"sink k1: unable to deliver events: .*%s" % out)
            if os.geteuid() != 0:
                os.chmod(out, 0o755)
            else:
                self.assertTrue(remount(out, "rw"))
            content = numbered(1000)
            self.deliver(agent, content)
            self.assert_all_arrive(agent, content)
            unmount(out)

    def test_a_directory_that_is_removed_while_files_roll(self):
        config = pipeline(NETCAT, file_roll() + "sink.rollCount = 100", CHANNEL)
        with Agent(config, folders=["out"]) as agent:
            first, second = numbered(1000), numbered(1000, first=1000)
            self.deliver(agent, first)
            wait_until(lambda: roll_bytes(agent.path("out")) >= len(first), "the first lines")
            self.assertTrue(roll_content(agent.path("out")) == first)
            os.rename(agent.path("out"), agent.path("away"))
            self.deliver(agent, second)
            agent.wait_for_log("sink k1: unable to deliver events")
            os.mkdir(agent.path("out"))
            # The file that was open when it was moved may have taken a few lines.
            wait_until(lambda: roll_bytes(agent.path("out")) + roll_bytes(agent.path("away")) >=
                       len(first) + len(second), "the rest")
            self.assertEqual(agent.stop(), 0)
            self.assertTrue(roll_content(agent.path("away")) + roll_content(agent.path("out")) == first + second)


if __name__ == "__main__":
    unittest.main(verbosity=2)
