#!/usr/bin/env python3
"""Delivered events that a channel kept are put again through the agent that runs: each once, whoever stops or dies."""
import os
import signal
import socket
import subprocess
import tempfile
import unittest

from support.agent import BIN, NETCAT, Agent, file_roll, pipeline, roll_content, run_sluice
from support.net import numbered, send_and_read
from support.waiting import wait_until

from replay_test import Kept

KEEPING = "type = rocksdb\nretention = 24h 1GB\ncapacity = %d\ntransactionCapacity = 1000"
EVENTS = 8000
NOTHING_READS = "type = avro\nhostname = 127.0.0.1\nport = 1"  # a sink whose peer is not there


def open_sockets(pid):
    """"replay.socket" while the process is connected to one."""
    try:
        links = [os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid)]
    except FileNotFoundError:
        return ""
    return "replay.socket" if any(link.startswith("socket:") for link in links) else ""


class LiveReplay(Kept):
    """c1 has delivered EVENTS, and keeps them."""

    def setUp(self):
        super().setUp()
        self.content = numbered(EVENTS, 500)  # several batches of a megabyte
        self.lines = self.content.splitlines()

    def start(self, sink=None, capacity=1_000_000):
        return Agent(pipeline(NETCAT, sink or file_roll(), KEEPING % capacity), directory=self.directory,
                     arguments=[self.state])

    def fill(self, agent):
        self.assertEqual(send_and_read(agent.port(), self.content).count(b"OK"), EVENTS)
        self.await_lines(EVENTS)
        wait_until(lambda: self.stat()["keptEvents"] == EVENTS, lambda: "all is kept", 30)

    def await_lines(self, count):
        wait_until(lambda: roll_content(self.out).count(b"\n") >= count, lambda: "%d lines" % count, 30)

    def call(self, *arguments):
        return subprocess.Popen([BIN, "channel", "replay", "c1", "--to", "c1", "--store", self.store, *arguments],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_through_the_agent(self):
        with self.start() as agent:
            self.fill(agent)
            for first, events in ((0, EVENTS), (2 * EVENTS - 10, 10)):
                status, out, err = self.replay("--from", str(first), "--to", "c1")
                self.assertEqual((status, err), (0, ""))
                self.assertEqual(out, "%d events of channel c1 are put into channel c1\n" % events)
                wait_until(lambda: self.stat()["waitingEvents"] == 0, lambda: "all is out", 30)
            self.assertEqual(agent.stop(), 0)
            self.assertIn("a replay has put %d events" % EVENTS, agent.log())
        self.assertEqual(sorted(roll_content(self.out).splitlines()),
                         sorted(2 * self.lines + self.lines[EVENTS - 10:]))
        self.assertEqual(self.stat()["putEvents"], 2 * EVENTS + 10)

    def test_while_the_target_is_full_it_waits(self):
        """One batch is more than the channel holds; the sink empties it in small takes."""
        with self.start(capacity=1000) as agent:
            self.fill(agent)
            self.assertEqual(self.replay("--from", "0", "--to", "c1")[0], 0)
            self.await_lines(2 * EVENTS)
            self.assertEqual(agent.stop(), 0)
        self.assertEqual(sorted(roll_content(self.out).splitlines()), sorted(2 * self.lines))

    def stop_while_full(self, stop, said):
        """What stop(agent, call) leaves: as many events as the caller says, from the first on, and the rest follows."""
        with self.start() as agent:
            self.fill(agent)
            self.assertEqual(agent.stop(), 0)
        with self.start(NOTHING_READS, 3000) as agent:
            agent.wait_until_running()
            with self.call("--from", "0") as call:
                wait_until(lambda: self.stat()["waitingEvents"] > 0, lambda: "a batch is in", 30)
                stop(agent, call)
                out, err = call.communicate(timeout=60)
        self.assertEqual(call.returncode, 1, err)
        self.assertIn(said, err)
        put = int(out.split()[0])
        self.assertLess(put, EVENTS)
        self.assertEqual(self.stat()["waitingEvents"], put)
        if put == 0:
            return
        self.assertIn("--from %d goes on where it ended" % put, err)
        self.assertEqual(self.replay("--from", str(put), "--to", "c1")[0], 0)
        events = self.exported()
        self.assertEqual([int(event["headers"]["replay.sequence"]) for event in events], list(range(EVENTS)))
        # They entered anew: numbered by the channel, under the id that it has since its store was opened.
        self.assertEqual([event["origin"]["sequence"] for event in events], [event["sequence"] for event in events])
        self.assertNotIn("0" * 32, [event["origin"]["id"] for event in events])

    def test_a_caller_that_is_stopped_knows_what_is_put(self):
        def stop(_, call):
            call.send_signal(signal.SIGINT)
        self.stop_while_full(stop, "the replay was stopped")

    def test_an_agent_that_is_stopped_tells_its_caller(self):
        def stop(agent, _):
            self.assertEqual(agent.stop(), 0)
        self.stop_while_full(stop, "the replay was stopped")

    def test_a_caller_that_is_killed_leaves_whole_batches(self):
        with self.start(capacity=3000) as agent:
            self.fill(agent)
            for _ in range(5):
                with self.call("--from", "0") as call:
                    before = self.stat()["putEvents"]
                    wait_until(lambda: self.stat()["putEvents"] > before, lambda: "a batch is in", 30)
                    call.kill()
            wait_until(lambda: self.stat()["waitingEvents"] == 0, lambda: "all is out", 30)
            self.assertEqual(self.replay("--from", "0", "--to", "c1")[0], 0, "it hears the next one")
            self.assertEqual(agent.stop(), 0)
        counts = {}
        for line in roll_content(self.out).splitlines():
            counts[line] = counts.get(line, 0) + 1
        # Each attempt begins at the first event, so no line can have come more often than those before it.
        often = [counts[line] for line in self.lines]
        self.assertEqual(often, sorted(often, reverse=True))
        self.assertGreaterEqual(often[-1], 2)

    def test_a_kill_of_the_agent(self):
        """Its socket stays; the caller is told, goes on without an agent, and the next agent listens again."""
        with self.start() as agent:
            self.fill(agent)
            self.assertEqual(agent.stop(), 0)
        with self.start(NOTHING_READS, 3000) as agent:
            agent.wait_until_running()
            with self.call("--from", "0") as call:
                wait_until(lambda: self.stat()["waitingEvents"] > 0, lambda: "a batch is in", 30)
                agent.kill(signal.SIGKILL)
                agent.wait(20)
                _, err = call.communicate(timeout=60)
        self.assertEqual(call.returncode, 1)
        self.assertIn("the agent has gone", err)
        self.assertTrue(os.path.exists(os.path.join(self.store, "replay.socket")))
        put = self.stat()["waitingEvents"]
        self.assertEqual(self.replay("--from", str(put), "--to", "c1")[0], 0)
        self.assertEqual([int(event["headers"]["replay.sequence"]) for event in self.exported()], list(range(EVENTS)))
        with self.start() as agent:
            wait_until(lambda: self.stat()["waitingEvents"] == 0, lambda: "all is out", 30)
            self.assertEqual(self.replay("--from", str(2 * EVENTS - 1), "--to", "c1")[:2],
                             (0, "1 events of channel c1 are put into channel c1\n"))
            self.assertEqual(agent.stop(), 0)
        self.assertFalse(os.path.exists(os.path.join(self.store, "replay.socket")))

    def test_channels_that_the_agent_does_not_have(self):
        with self.start() as agent:
            self.fill(agent)
            self.assertEqual(agent.stop(), 0)
        other = pipeline(NETCAT, "type = null", KEEPING % 1000).replace("c1", "c2")
        with Agent(other, directory=self.directory, arguments=[self.state]) as agent:
            agent.wait_until_running()
            status, _, err = self.replay("--from", "0", "--to", "c1")
            self.assertEqual(status, 1)
            self.assertIn("the agent that runs has no channel c1 on disk that is open in this store", err)
            self.assertEqual(self.replay("--from", "0", "--to", "c2")[:2],
                             (0, "%d events of channel c1 are put into channel c2\n" % EVENTS))
            self.assertEqual(agent.stop(), 0)

    def test_what_is_no_replay_costs_only_itself(self):
        with self.start() as agent:
            self.fill(agent)
            for said in (b"", b"\n", b"GET / HTTP/1.0\r\n\r\n", b"x" * 10000, b"sluice-replay 2 c1 c1\n",
                         b"sluice-replay 1 c1 c1\n" + b"\xff" * 8, b"sluice-replay 1 c1 c1\n" + b"\x00" * 8,
                         b"sluice-replay 1 c1 c1\n\x20" + b"\x00" * 39, b"sluice-replay 1 c1 c1\n\x20\x00\x00"):
                with self.subTest(said=said[:40]), socket.socket(socket.AF_UNIX) as peer:
                    peer.settimeout(30)
                    peer.connect(os.path.join(self.store, "replay.socket"))
                    peer.sendall(said)
                    peer.shutdown(socket.SHUT_WR)
                    try:
                        self.assertIn(b"error ", b"".join(iter(lambda: peer.recv(4096), b"")))
                    except ConnectionResetError:
                        pass  # it has read no further than it could understand
            self.assertEqual(self.replay("--from", str(EVENTS - 1), "--to", "c1")[0], 0)
            self.assertEqual(agent.stop(), 0)
        self.assertEqual(self.stat()["putEvents"], EVENTS + 1)

    def test_a_caller_behind_a_silent_one_can_be_stopped(self):
        with self.start() as agent:
            self.fill(agent)
            with socket.socket(socket.AF_UNIX) as silent:
                silent.connect(os.path.join(self.store, "replay.socket"))
                with self.call("--from", "0") as call:
                    wait_until(lambda: "replay.socket" in open_sockets(call.pid) or call.poll() is not None,
                               lambda: "it has come to the agent", 20)
                    call.send_signal(signal.SIGINT)
                    _, err = call.communicate(timeout=20)
                self.assertEqual(call.returncode, 1)
                self.assertIn("the replay was stopped", err)
            self.assertEqual(self.replay("--from", str(EVENTS - 1), "--to", "c1")[0], 0)
            self.assertEqual(agent.stop(), 0)

    def test_the_socket_is_for_the_user_of_the_agent_alone(self):
        with self.start() as agent:
            agent.wait_until_running()
            path = os.path.join(self.store, "replay.socket")
            wait_until(lambda: os.path.exists(path), lambda: "it listens", 10)
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            self.assertEqual(agent.stop(), 0)

    def test_a_store_whose_path_is_longer_than_an_address(self):
        deep = os.path.join(self.directory, *["directory-with-a-long-name"] * 8)
        self.state = "-Dsluice.state.dir=" + deep
        self.store = os.path.join(deep, "store")
        self.assertGreater(len(self.store), 200)
        with self.start() as agent:
            self.fill(agent)
            self.assertEqual(self.replay("--from", "0", "--to", "c1")[0], 0)
            self.await_lines(2 * EVENTS)
            self.assertEqual(agent.stop(), 0)


if __name__ == "__main__":
    unittest.main()
