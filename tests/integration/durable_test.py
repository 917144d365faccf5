#!/usr/bin/env python3
# test: timeout=300
"""The durable channel: every OK is an obligation, whatever kills the agent.

SLUICE_SOAK=1 kills 200 times at random instead of a few times.
"""
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
import zlib

from support.agent import (NETCAT, Agent, drawn_seed, fail_points, file_roll, flow, lists, pipeline, roll_content,
                           roll_files, run_sluice)
from support.mounts import mount_small, remount, unmount
from support.net import connect, numbered, refusing_port, send_and_read
from support.waiting import wait_until

SOAK = os.environ.get("SLUICE_SOAK") == "1"


def delivered_lines(directory):
    """The lines of all files; a kill may have torn the last one of each."""
    return {line for content in roll_files(directory) for line in content.split(b"\n")}


class Sender(threading.Thread):
    """Sends numbered lines and counts the OKs, until it is told to stop or the agent is gone."""

    def __init__(self, port, name, filling=b""):
        super().__init__()
        self.port, self.acked, self.over = port, 0, False
        self.line = name.encode() + b"-%d" + filling

    def lines(self):
        return {self.line % i for i in range(self.acked)}

    def run(self):
        sent = 0
        try:
            with connect(self.port) as client:
                client.settimeout(5)
                while not self.over:
                    if sent - self.acked < 400:
                        block = b"".join(self.line % (sent + i) + b"\n" for i in range(20))
                        client.sendall(block)
                        sent += 20
                    got = client.recv(65536)
                    if not got:
                        break
                    self.acked += got.count(b"\n")
        except OSError:
            pass


class KilledAgain(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="sluice-test-")
        os.mkdir(os.path.join(self.directory, "out"))
        self.channel = "type = rocksdb\ncapacity = 1000000\n"
        self.owed = set()
        self.runs = 0

    def tearDown(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def agent(self, environment=None):
        return Agent(pipeline(NETCAT, file_roll(), self.channel), directory=self.directory,
                     arguments=["-Dsluice.state.dir=" + os.path.join(self.directory, "state")],
                     environment=environment)

    def send_until_killed(self, agent, seconds=None):
        """Sends; kills after so many seconds, or waits for the agent to kill itself."""
        self.runs += 1
        try:
            port = agent.port()
        except AssertionError:
            self.assertEqual(agent.wait(20), -9)  # before it listened
            return
        sender = Sender(port, "run%d" % self.runs)
        sender.start()
        if seconds is not None:
            sender.join(seconds)  # any moment will do
            agent.kill(9)
        self.assertEqual(agent.wait(20), -9)
        sender.over = True
        sender.join(10)
        self.owed |= sender.lines()

    def check_nothing_is_missing(self):
        with self.agent() as agent:
            agent.port()

            def missing():
                return self.owed - delivered_lines(os.path.join(self.directory, "out"))
            wait_until(lambda: not missing(), lambda: "%d of %d lines are missing, like %s" % (
                len(missing()), len(self.owed), sorted(missing())[:3]), 60)

    def test_random_kills(self):
        self.run_through_random_kills(200 if SOAK else 8)

    def test_random_kills_where_only_a_power_cut_may_lose_something(self):
        for sync in ("interval", "never"):
            with self.subTest(sync):
                self.channel = "type = rocksdb\ncapacity = 1000000\nsync = %s\n" % sync
                self.run_through_random_kills(50 if SOAK else 4)

    def run_through_random_kills(self, kills):
        seed = drawn_seed()
        print("seed", seed)
        moments = random.Random(seed)
        for _ in range(kills):
            with self.agent() as agent:
                self.send_until_killed(agent, moments.uniform(0, 0.3))
        self.assertGreater(len(self.owed), 1000)
        self.check_nothing_is_missing()

    def test_every_fail_point(self):
        points = fail_points("channel")
        self.assertGreaterEqual(len(points), 9)
        for point in points:
            for count in (1, 3) if point.startswith(("commit", "take")) else (1,):
                with self.subTest(point=point, count=count):
                    # There is something to recover, too.
                    with self.agent({"SLUICE_KILL_AT": "%s:%d" % (point, count)}) as agent:
                        self.send_until_killed(agent)
                    with self.agent() as agent:
                        self.send_until_killed(agent, 0.1)
        self.check_nothing_is_missing()


def agent_text(agent):
    with open(agent.config) as file:
        return file.read()


def avro_long(number):
    rest, out = number << 1, b""
    while rest > 0x7f:
        out += bytes([rest & 0x7f | 0x80])
        rest >>= 7
    return out + bytes([rest])


def avro_bytes(text):
    return avro_long(len(text)) + text


def avro_file(schema, blocks):
    sync = bytes(range(16))
    out = b"Obj\x01" + avro_long(2) + avro_bytes(b"avro.schema") + avro_bytes(schema)
    out += avro_bytes(b"avro.codec") + avro_bytes(b"deflate") + avro_long(0) + sync
    for records in blocks:
        deflated = zlib.compress(b"".join(records))[2:-4]  # without zlib's own header and checksum
        out += avro_long(len(records)) + avro_bytes(deflated) + sync
    return out


class FilesOnce(unittest.TestCase):
    """Positions are in the commit of the events: what kills do not lose, they do not double either."""

    def run_through_kills(self, source, write, kills, joined=False):
        seed = drawn_seed()
        print("seed", seed)
        moments = random.Random(seed)

        def at_random():
            threading.Event().wait(moments.uniform(0, 0.06))  # any moment will do
        self.run_through_lives(source, write, [None] * kills, [None] * kills, at_random, joined)

    def run_through_points(self, source, write):
        """Each life ends itself at a named point; those of a take need a sink that takes."""
        points = fail_points("channel")
        self.assertGreaterEqual(len(points), 9)
        lives = [(point, count) for point in points
                 for count in ((1, 3) if point.startswith("commit") else (1,))]
        self.run_through_lives(source, write, [life for life in lives if not life[0].startswith("take")], lives)

    def run_through_lives(self, source, write, first, then, pause=lambda: None, joined=False):
        """`first` into the channel alone, `then` through it: how each life ends, None or a fail point and its count."""
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
            for folder in ("in", "out"):
                os.mkdir(os.path.join(directory, folder))
            state = ["-Dsluice.state.dir=" + os.path.join(directory, "state")]
            dead = "type = tcp\nhostname = 127.0.0.1\nport = %d\n" % refusing_port()
            # The text of the headers, which are none, tells where an event begins.
            sink = file_roll() + ("sink.serializer = header_and_text\n" if joined else "") + "sink.rollCount = 5000\n"
            channel = "type = rocksdb\ncapacity = 10000000"
            wanted = []

            parts = itertools.count()

            def ended(agent):
                """Commits gather, on a slow machine all of them in one: then there is more to come, until the point is reached."""
                for _ in range(10):
                    try:
                        return agent.wait(2)
                    except subprocess.TimeoutExpired:
                        wanted.extend(write(os.path.join(directory, "in"), next(parts)))
                return agent.wait(20)

            def killed(sink, point):
                environment = None if point is None else {"SLUICE_KILL_AT": "%s:%d" % point}
                with Agent(pipeline(source, sink, channel), directory=directory, arguments=state,
                           environment=environment) as agent:
                    for _ in range(4):
                        wanted.extend(write(os.path.join(directory, "in"), next(parts)))
                        if point is None:
                            wait_until(lambda: agent.running(), "the agent runs", 1)
                        pause()
                    if point is None:
                        agent.kill(9)
                    self.assertEqual(ended(agent), -9, point)

            def waiting():
                return int(agent.metrics()["CHANNEL.c1"]["ChannelSize"])

            # First into the channel alone, where each of them is once.
            for point in first:
                killed(dead, point)
            with Agent(pipeline(source, dead, channel), directory=directory, arguments=state, monitoring=True) as agent:
                wait_until(lambda: waiting() >= len(wanted), lambda: "%d of %d wait" % (waiting(), len(wanted)), 30)
                agent.stop()
            status, exported, said = run_sluice("channel", "export", "c1", "--jsonl", "--store",
                                                os.path.join(directory, "state", "store"))
            self.assertEqual(status, 0, said)
            in_channel = [json.loads(line)["body"].encode() for line in exported.splitlines()]
            self.assertEqual(sorted(in_channel), sorted(wanted))
            # Then through it into files, while the sink dies, too.
            for point in then:
                killed(sink, point)
            out = os.path.join(directory, "out")
            mark = b"{} " if joined else b"\n"
            with Agent(pipeline(source, sink, channel), directory=directory, arguments=state, monitoring=True) as agent:
                agent.wait_until_running()
                # What waits in the channel may be in files, too, and is cut off there.
                wait_until(lambda: roll_content(out).count(mark) >= len(wanted) and waiting() == 0,
                           lambda: "%d events of %d, %d wait" % (roll_content(out).count(mark), len(wanted), waiting()), 30)
                self.assertEqual(agent.stop(), 0)
            got = roll_content(out).split(mark)
            got = [event[:-1] for event in got[1:]] if joined else got[:-1]
            self.assertEqual(sorted(got), sorted(wanted))

    TAILDIR = ("type = TAILDIR\nfilegroups = f\nfilegroups.f = {dir}/in/app.log\n"
               "positionFile = {dir}/positions.json\n")

    @staticmethod
    def append_lines(directory, part):
        lines = [b"%06d-%04d %s" % (part, i, b"x" * (i % 90)) for i in range(3000)]
        with open(os.path.join(directory, "app.log"), "ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))
        return lines

    @staticmethod
    def spool_lines(directory, part):
        lines = [b"%06d-%04d" % (part, i) for i in range(2000)]
        hidden = os.path.join(directory, ".%d" % part)
        with open(hidden, "wb") as file:
            file.write(b"\n".join(lines) + (b"\n" if part % 2 else b""))
        os.rename(hidden, os.path.join(directory, "file-%d" % part))
        return lines

    def test_a_followed_file(self):
        self.run_through_kills(self.TAILDIR, self.append_lines, 40 if SOAK else 6)

    def test_a_followed_file_at_every_fail_point(self):
        self.run_through_points(self.TAILDIR, self.append_lines)

    def test_spooled_files_at_every_fail_point(self):
        self.run_through_points("type = spooldir\nspoolDir = {dir}/in\n", self.spool_lines)

    def test_a_followed_file_whose_lines_are_joined(self):
        """An event is a start and the lines behind it; a kill never parts them."""
        def write(directory, part):
            events = [b"%06d-%04d" % (part, i) + b"".join(b"\n at %d" % j for j in range(i % 5))
                      for i in range(1500)]
            with open(os.path.join(directory, "app.log"), "ab") as file:
                file.write(b"".join(event + b"\n" for event in events))
            return events
        source = ("type = TAILDIR\nfilegroups = f\nfilegroups.f = {dir}/in/app.log\n"
                  "positionFile = {dir}/positions.json\nmultiline.startPattern = ^[0-9]\n"
                  "multiline.timeout = 200\n")
        self.run_through_kills(source, write, 40 if SOAK else 6, joined=True)

    def test_spooled_files(self):
        self.run_through_kills("type = spooldir\nspoolDir = {dir}/in\n", self.spool_lines, 40 if SOAK else 6)

    def test_spooled_avro_files(self):
        """A position is within a block of a container file, and the block is read again after a kill."""
        def write(directory, part):
            records = [avro_bytes(b"%06d-%04d" % (part, i)) for i in range(2000)]
            hidden = os.path.join(directory, ".%d" % part)
            with open(hidden, "wb") as file:
                file.write(avro_file(b'"string"', [records[i:i + 300] for i in range(0, 2000, 300)]))
            os.rename(hidden, os.path.join(directory, "file-%d" % part))
            return records
        source = "type = spooldir\nspoolDir = {dir}/in\ndeserializer = AVRO\n"
        self.run_through_kills(source, write, 40 if SOAK else 6)


class FileRoll(unittest.TestCase):
    """Its files behind a channel on disk, when somebody does something to their directory."""

    def test_a_directory_that_is_not_mounted_is_waited_for_and_never_made(self):
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
            out, aside = os.path.join(directory, "out"), os.path.join(directory, "aside")
            os.mkdir(out)
            state = ["-Dsluice.state.dir=" + os.path.join(directory, "state")]
            config = pipeline(NETCAT, file_roll() + "sink.rollCount = 700\n", "type = rocksdb")
            with Agent(config, directory=directory, arguments=state) as agent:
                send_and_read(agent.port(), numbered(1000))
                wait_until(lambda: roll_content(out).count(b"\n") >= 1000, "the first lines are there")
                agent.kill(9)
                agent.wait()
            os.rename(out, aside)
            with Agent(config, directory=directory, arguments=state, monitoring=True) as agent:
                send_and_read(agent.port(), numbered(1000, first=1000))
                refused = "k1: unable to deliver events: .*" + out
                agent.wait_for_log(refused)
                self.assertFalse(os.path.exists(out))
                os.rename(aside, out)
                wait_until(lambda: roll_content(out).count(b"\n") >= 2000, "all lines are there", 20)
                # And while it runs: what is written goes with the directory, what comes later waits.
                os.rename(out, aside)
                refusals = len(re.findall(refused, agent.log()))
                send_and_read(agent.port(), numbered(1000, first=2000))
                agent.wait_for_log(refused, count=refusals + 1)
                self.assertFalse(os.path.exists(out))
                os.rename(aside, out)
                wait_until(lambda: int(agent.metrics()["CHANNEL.c1"]["ChannelSize"]) == 0, "nothing waits", 20)
                self.assertEqual(agent.stop(), 0)
            self.assertEqual(sorted(roll_content(out).splitlines()), sorted(numbered(3000).splitlines()))
            for name in os.listdir(out):
                self.assertRegex(name, r"^\d{13}-\d+$")


class FilesIntoSeveralChannels(unittest.TestCase):
    """No commit spans two channels that lie apart; each has every line once all the same."""

    def run_through_kills(self, channels, kills):
        source = ("type = TAILDIR\nfilegroups = f\nfilegroups.f = {dir}/in/app.log\n"
                  "positionFile = {dir}/positions.json\n")
        dead = "type = tcp\nhostname = 127.0.0.1\nport = %d\n" % refusing_port()

        def config(sinks):
            text = "a1.sources = r1\na1.channels = c1 c2\na1.sinks = k1 k2\n"
            parts = {"sources.r1": source + "channels = c1 c2\n", "channels.c1": channels[0],
                     "channels.c2": channels[1], "sinks.k1": sinks[0] + "channel = c1\n",
                     "sinks.k2": sinks[1] + "channel = c2\n"}
            for name, body in parts.items():
                text += "".join("a1.%s.%s\n" % (name, line) for line in body.splitlines() if line)
            return text

        seed = drawn_seed()
        print("seed", seed)
        moments = random.Random(seed)
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
            for folder in ("in", "out1", "out2"):
                os.mkdir(os.path.join(directory, folder))
            state = ["-Dsluice.state.dir=" + os.path.join(directory, "state")]
            wanted = []
            for kill in range(kills):
                with Agent(config([dead, dead]), directory=directory, arguments=state) as agent:
                    for part in range(4):
                        lines = [b"%04d-%04d" % (kill * 4 + part, i) for i in range(3000)]
                        with open(os.path.join(directory, "in", "app.log"), "ab") as file:
                            file.write(b"".join(line + b"\n" for line in lines))
                        wanted += lines
                        wait_until(lambda: agent.running(), "the agent runs", 1)
                        threading.Event().wait(moments.uniform(0, 0.06))  # any moment will do
                    agent.kill(9)
                    agent.wait(20)
            sinks = [file_roll("out%d" % i) for i in (1, 2)]
            with Agent(config(sinks), directory=directory, arguments=state):
                for out in ("out1", "out2"):
                    path = os.path.join(directory, out)
                    wait_until(lambda: roll_content(path).count(b"\n") >= len(wanted),
                               lambda: "%s: %d of %d" % (out, roll_content(path).count(b"\n"),
                                                         len(wanted)), 30)
            return wanted, [roll_content(os.path.join(directory, out)).split(b"\n")[:-1]
                            for out in ("out1", "out2")]

    def test_two_channels_with_directories_of_their_own(self):
        own = "type = file\ndataDirs = {dir}/data%d\ncheckpointDir = {dir}/cp%d\ncapacity = 10000000\n"
        wanted, got = self.run_through_kills([own % (1, 1), own % (2, 2)], 30 if SOAK else 5)
        self.assertEqual(got[0], wanted)
        self.assertEqual(got[1], wanted)

    def test_one_on_disk_and_one_in_memory(self):
        wanted, got = self.run_through_kills(
            ["type = rocksdb\ncapacity = 10000000\n", "type = memory\ncapacity = 10000000\n"], 3)
        for lines in got:  # some come twice: the position waits for the other channel
            self.assertEqual(set(lines), set(wanted))


class Restart(unittest.TestCase):
    def test_what_a_dead_sink_left_is_delivered_by_the_next_agent(self):
        content = numbered(5000, 100)
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
            os.mkdir(os.path.join(directory, "out"))
            state = ["-Dsluice.state.dir=" + os.path.join(directory, "state")]
            dead = "type = tcp\nhostname = 127.0.0.1\nport = %d\n" % refusing_port()
            with Agent(pipeline(NETCAT, dead, "type = rocksdb"), directory=directory,
                       arguments=state) as agent:
                answers = send_and_read(agent.port(), content)
                self.assertEqual(answers, b"OK\n" * 5000)
                started = time.monotonic()
                self.assertEqual(agent.stop(), 0)
                self.assertLess(time.monotonic() - started, 4, "a stop need not wait for a dead sink")
                self.assertNotRegex(agent.log(), "are lost")
            with Agent(pipeline(NETCAT, file_roll(), "type = rocksdb"), directory=directory,
                       arguments=state) as agent:
                agent.wait_for_log(r"channel c1: 5000 events \(\d+ MiB\) from before are waiting")
                wait_until(lambda: len(roll_content(os.path.join(directory, "out"))) >= len(content),
                           lambda: "all lines come out", 20)
                self.assertTrue(roll_content(os.path.join(directory, "out")) == content)

    def test_flumes_own_types_keep_their_events_in_their_data_directories(self):
        content = numbered(500, 50)
        for kind in ("file", "spillablememory"):
            with self.subTest(kind=kind), tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
                os.mkdir(os.path.join(directory, "out"))
                channel = ("type = %s\ndataDirs = {dir}/data, {dir}/more\ncheckpointDir = {dir}/cp\n"
                           "minimumRequiredSpace = 2000000\n" % kind)
                dead = "type = tcp\nhostname = 127.0.0.1\nport = %d\n" % refusing_port()
                with Agent(pipeline(NETCAT, dead, channel), directory=directory) as agent:
                    self.assertEqual(send_and_read(agent.port(), content), b"OK\n" * 500)
                self.assertTrue(os.path.isdir(os.path.join(directory, "data", "sluice-c1")))
                with Agent(pipeline(NETCAT, file_roll(), channel), directory=directory):
                    out = os.path.join(directory, "out")
                    wait_until(lambda: roll_content(out) == content, lambda: "all lines come out", 20)

    def test_flumes_own_undrained_files_are_not_forgotten(self):
        channel = "type = file\ndataDirs = {dir}/data\n"
        with Agent(pipeline(NETCAT, "type = null", channel), folders=["data"],
                   arguments=["-Dsluice.drain.ms=1"]) as agent:
            agent.stop()
            with open(agent.path("data", "log-3"), "w") as file:
                file.write("events")
            with Agent(agent_text(agent), directory=agent.directory) as again:
                self.assertNotEqual(again.wait(20), 0)
                self.assertRegex(again.log(), r"1 files of Flume's file channel in \S+ may hold undelivered")

    def test_a_second_agent_on_the_same_store_waits_for_it(self):
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
            state = ["-Dsluice.state.dir=" + os.path.join(directory, "state")]
            config = pipeline(NETCAT, "type = null\n", "type = rocksdb")
            beside = (lists("1", "2") + flow(NETCAT, "type = null\n", "type = rocksdb") +
                      flow(NETCAT, "type = null\n", suffix="2"))
            with Agent(config, directory=directory, arguments=state) as first:
                first.port()
                with Agent(beside, directory=directory, arguments=state, monitoring=True) as second:
                    second.wait_for_log("channel c1: .*in use by another agent")
                    self.assertEqual(send_and_read(second.port("r2"), b"x\n"), b"OK\n")
                    status, missing = second.http("/readyz")
                    self.assertEqual(status, 503)
                    self.assertIn("channel c1: retrying", missing)
                    self.assertTrue(first.running())
                    self.assertEqual(first.stop(), 0)
                    self.assertEqual(send_and_read(second.port(), b"x\n"), b"OK\n")
                    wait_until(lambda: second.http("/readyz")[0] == 200,
                               lambda: second.http("/readyz")[1])

    def test_once_does_not_begin_without_its_channel(self):
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
            state = ["-Dsluice.state.dir=" + os.path.join(directory, "state")]
            source = "type = seq\ntotalEvents = 10\n"
            config = pipeline(source, "type = null\n", "type = rocksdb")
            with Agent(pipeline(NETCAT, "type = null\n", "type = rocksdb"), directory=directory,
                       arguments=state) as first:
                first.port()
                with Agent(config, directory=directory, arguments=[*state, "--once"]) as second:
                    self.assertEqual(second.wait(20), 1)
                    self.assertRegex(second.log(), "cannot start: channel c1: .*in use by another")


class FullDisk(unittest.TestCase):
    """No guard in front of the disk here: RocksDB itself runs into its end."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="sluice-test-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        for folder in ("state", "out"):
            os.mkdir(os.path.join(self.directory, folder))
        self.disk, self.out = (os.path.join(self.directory, name) for name in ("state", "out"))
        if not mount_small(self.disk, "48m"):
            self.skipTest("a small file system cannot be mounted here; test_store has one of its own")
        self.addCleanup(unmount, self.disk)

    def agent(self, sink):
        channel = "type = rocksdb\ncapacity = 10000000\nminimumRequiredSpace = 1MiB\n"
        return Agent(pipeline(NETCAT + "max-line-length = 4096\n", sink, channel), directory=self.directory,
                     arguments=["-Dsluice.state.dir=" + self.disk])

    def test_what_was_acknowledged_before_the_disk_was_full_is_there_when_it_has_room_again(self):
        with self.agent("type = tcp\nhostname = 127.0.0.1\nport = %d\n" % refusing_port()) as agent:
            sender = Sender(agent.port(), "full", b"x" * 2000)
            sender.start()
            agent.wait_for_log("what is in flight is refused and offered again", 60)
            self.assertTrue(agent.running(), "a full disk ends nobody")
            agent.kill(9)
            agent.wait(20)
            sender.over = True
            sender.join(10)
        owed = sender.lines()
        self.assertGreater(len(owed), 1000)
        with self.agent(file_roll()) as agent:
            self.assertTrue(remount(self.disk, "size=400m"))
            wait_until(lambda: not owed - delivered_lines(self.out),
                       lambda: "%d of %d lines are missing" % (len(owed - delivered_lines(self.out)), len(owed)),
                       60)
            self.assertEqual(agent.stop(), 0)


class MixedChannels(unittest.TestCase):
    def test_a_position_waits_for_the_channel_in_memory(self):
        """A note in the store would be true while the other channel's events are still in memory."""
        lines = b"".join(b"%05d\n" % i for i in range(4000))
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
            for folder in ("out1", "out2"):
                os.mkdir(os.path.join(directory, folder))
            state = ["-Dsluice.state.dir=" + os.path.join(directory, "state")]
            source = ("type = TAILDIR\nfilegroups = f\nfilegroups.f = {dir}/app.log\n"
                      "positionFile = {dir}/positions.json\nchannels = c1 c2\n")

            def config(sink_of_memory):
                one = flow(source, sink_of_memory, "capacity = 100000")
                return (lists("1", "2").replace("r1 r2", "r1") +
                        one.replace("a1.sources.r1.channels = c1\n", "") +
                        "a1.channels.c2.type = rocksdb\na1.sinks.k2.channel = c2\n" +
                        "".join("a1.sinks.k2.%s\n" % line for line in file_roll("out2").splitlines()))
            with open(os.path.join(directory, "app.log"), "wb") as file:
                file.write(lines)
            dead = "type = tcp\nhostname = 127.0.0.1\nport = %d\n" % refusing_port()
            out1, out2 = (os.path.join(directory, name) for name in ("out1", "out2"))
            with Agent(config(dead), directory=directory, arguments=state) as agent:
                wait_until(lambda: roll_content(out2) == lines, lambda: "the durable side has all", 20)
                agent.kill(9)
                agent.wait(20)
            with Agent(config(file_roll("out1")), directory=directory, arguments=state) as agent:
                wait_until(lambda: roll_content(out1) == lines, lambda: "the other side has all", 20)
                self.assertEqual(agent.stop(), 0)
            with Agent(config(file_roll("out1")), directory=directory, arguments=state) as agent:
                agent.wait_until_running()
                self.assertEqual(agent.stop(), 0)
            self.assertTrue(roll_content(out1) == lines, "what both sides have is not read again")


if __name__ == "__main__":
    unittest.main()
