#!/usr/bin/env python3
"""Delivered events that a channel kept are put again: counted exactly, under a new origin, also after a kill -9."""
import json
import os
import signal
import subprocess
import tempfile
import unittest

from support.agent import BIN, NETCAT, Agent, file_roll, pipeline, roll_content, run_sluice
from support.net import numbered, send_and_read
from support.waiting import wait_until

KEEPING = "type = rocksdb\ncapacity = 10000000\nretention = 24h 1GB"
EVENTS = 10000


def channel(*arguments):
    return run_sluice("channel", *arguments, deadline_s=60)


class Kept(unittest.TestCase):
    """A channel in a store of its own, and the tools to look at it."""

    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="sluice-test-")
        self.directory = self.temporary.name
        self.out = os.path.join(self.directory, "out")
        os.mkdir(self.out)
        self.state = "-Dsluice.state.dir=" + os.path.join(self.directory, "state")
        self.store = os.path.join(self.directory, "state", "store")

    def tearDown(self):
        self.temporary.cleanup()

    def replay(self, *arguments):
        return channel("replay", "c1", "--store", self.store, *arguments)

    def stat(self):
        status, out, err = channel("stat", "c1", "--json", "--store", self.store)
        self.assertEqual((status, err), (0, ""))
        return json.loads(out)

    def exported(self):
        status, out, err = channel("export", "c1", "--jsonl", "--store", self.store)
        self.assertEqual((status, err), (0, ""))
        return [json.loads(line) for line in out.splitlines()]


class Replay(Kept):
    def setUp(self):
        super().setUp()
        self.content = numbered(EVENTS, 100)

    def agent(self, channel_keys=KEEPING):
        return Agent(pipeline(NETCAT, file_roll(), channel_keys), directory=self.directory, arguments=[self.state])

    def deliver(self, content, ending):
        with self.agent() as agent:
            self.assertEqual(send_and_read(agent.port(), content).count(b"OK"), content.count(b"\n"))
            before = len(content)
            wait_until(lambda: len(roll_content(self.out)) >= before, lambda: "all lines come out", 30)
            wait_until(lambda: self.stat()["waitingEvents"] == 0, lambda: "all is committed", 30)
            ending(agent)

    def test_what_was_delivered_is_delivered_again_once_and_as_new_events(self):
        self.deliver(self.content, lambda agent: self.assertEqual(agent.stop(), 0))
        self.assertEqual(self.stat()["keptEvents"], EVENTS)
        self.assertEqual(self.stat()["keptBytes"], len(self.content) - EVENTS)
        status, out, err = self.replay("--from", "0", "--to", "c1", "--dry-run")
        self.assertEqual((status, err, out), (0, "", "10000 events of channel c1 would be put into channel c1\n"))
        self.assertEqual(self.stat()["waitingEvents"], 0)
        status, out, err = self.replay("--from", "2500", "--to", "c1")
        self.assertEqual((status, err, out), (0, "", "7500 events of channel c1 are put into channel c1\n"))
        self.assertEqual(self.stat()["keptEvents"], EVENTS, "what is kept stays")
        lines = self.content.split(b"\n")
        events = self.exported()
        self.assertEqual([event["body"].encode() for event in events], lines[2500:EVENTS])
        self.assertEqual([event["headers"]["replay.sequence"] for event in events],
                         [str(i) for i in range(2500, EVENTS)])
        origins = set()
        for event in events:
            headers, origin = event["headers"], event["origin"]
            self.assertEqual(headers["replay.channel"], "c1")
            origin = "%s:%d" % (origin["id"], origin["sequence"])
            self.assertNotEqual(headers["replay.origin"], origin)
            origins.update((headers["replay.origin"], origin))
        self.assertEqual(len(origins), 15000)
        with self.agent() as agent:
            whole = len(self.content) + sum(len(line) + 1 for line in lines[2500:EVENTS])
            wait_until(lambda: len(roll_content(self.out)) >= whole, lambda: "they come out", 30)
            wait_until(lambda: self.stat()["waitingEvents"] == 0, lambda: "all is committed", 30)
            self.assertEqual(agent.stop(), 0)
        self.assertEqual(sorted(roll_content(self.out).splitlines()), sorted(lines[:EVENTS] + lines[2500:EVENTS]))

    def test_from_a_time(self):
        self.deliver(self.content, lambda agent: self.assertEqual(agent.stop(), 0))
        for begin, events in (("-1h", EVENTS), ("2020-01-01", EVENTS), ("2099-01-01T00:00:00Z", 0), ("@0", EVENTS)):
            with self.subTest(begin=begin):
                status, out, err = self.replay("--from", begin, "--to", "c1", "--dry-run")
                self.assertEqual((status, err), (0, ""))
                self.assertIn("%d events" % events, out)

    def test_behind_a_kill_all_that_was_delivered_is_kept(self):
        def kill(agent):
            agent.kill(9)
            agent.wait(20)
        self.deliver(self.content, kill)
        self.assertEqual(self.replay("--from", "0", "--to", "c1")[:2],
                         (0, "10000 events of channel c1 are put into channel c1\n"))
        self.assertEqual([event["body"].encode() for event in self.exported()], self.content.split(b"\n")[:EVENTS])

    def test_a_replay_that_is_killed_leaves_whole_batches_and_can_go_on(self):
        self.deliver(numbered(EVENTS, 400), lambda agent: self.assertEqual(agent.stop(), 0))
        for after in (0, 1, 2, 4, 8):
            killed = subprocess.Popen([BIN, "channel", "replay", "c1", "--from", "0", "--to", "c1", "--store", self.store],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                killed.communicate(timeout=0.02 * after + 0.001)
            except subprocess.TimeoutExpired:
                killed.send_signal(signal.SIGKILL)
                killed.communicate()
        self.assertEqual(channel("verify", "--store", self.store)[0], 0)
        self.assertEqual(self.replay("--from", "0", "--to", "c1")[0], 0)
        sequences = [int(event["headers"]["replay.sequence"]) for event in self.exported()]
        begins = [i for i, sequence in enumerate(sequences) if sequence == 0] + [len(sequences)]
        for begin, end in zip(begins, begins[1:]):
            self.assertEqual(sequences[begin:end], list(range(end - begin)))
        self.assertEqual(sequences[-1], EVENTS - 1)

    def test_messages_say_what_to_do(self):
        with self.agent("type = rocksdb") as agent:
            send_and_read(agent.port(), b"one\n")
            wait_until(lambda: self.stat()["outEvents"] == 1, lambda: "it is delivered", 10)
            self.assertEqual(agent.stop(), 0)
        for arguments, status, said in (
                ([], 2, "needs --from SEQUENCE|TIME and --to CHANNEL"),
                (["--from", "yesterday", "--to", "c1"], 2, "is neither a sequence nor a time"),
                (["--from", "0", "--to", "c2"], 2, "there is no channel c2"),
                (["--from", "0", "--to", "c1"], 1, "give it the key retention")):
            with self.subTest(arguments=arguments):
                got, _, err = self.replay(*arguments)
                self.assertEqual(got, status)
                self.assertIn(said, err)


if __name__ == "__main__":
    unittest.main()
