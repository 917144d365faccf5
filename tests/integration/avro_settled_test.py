#!/usr/bin/env python3
"""What one agent of ours tells the next of what it will never send again, and what that one does with it."""
import os
import struct
import tempfile
import unittest

from support.agent import Agent, pipeline
from support.avro_peer import FAILED, OK, AvroClient, AvroServer, Event
from support.avro_raw import GREETING, RawAvroClient, batch, call
from support.waiting import wait_until

AVRO = "type = avro\nbind = 127.0.0.1\nport = 0\n"
ON_DISK = "type = rocksdb\n"
NULL = "type = null\n"
ID = (0x1122334455667788, 0x99AABBCCDDEEFF00)
FORGETS = "ranges were accepted from one sender with gaps between them"


def agent_on_disk(case, sink):
    directory = case.enterContext(tempfile.TemporaryDirectory(prefix="sluice-test-"))
    return Agent(pipeline(AVRO, sink, ON_DISK), directory=directory,
                 arguments=["-Dsluice.state.dir=" + os.path.join(directory, "state")])


def with_gaps(first, count):
    """Origins of `count` events, every second sequence from `first` on."""
    return b"".join(struct.pack("<QQQQII", *ID, at, at + 1, 1, 0) for at in range(first, first + 2 * count, 2))


def settled(below):
    return struct.pack("<QQQ", *ID, below)


class Receiver(unittest.TestCase):
    """10,000 ranges are kept of a sender; what a load balancer gives to others makes gaps between them."""

    COUNT = 6000  # of a call

    def put(self, client, first, mark=None):
        metadata = {b"sluice.origins": with_gaps(first, self.COUNT)}
        if mark is not None:
            metadata[b"sluice.settled"] = settled(mark)
        self.assertEqual(client.ask(call(batch([b"x"] * self.COUNT), metadata=metadata)), bytes(3))

    def log_of(self, mark):
        with agent_on_disk(self, NULL) as agent:
            with RawAvroClient(agent.port(), GREETING) as client:
                self.put(client, 0)
                self.put(client, 2 * self.COUNT, mark)
            self.assertEqual(agent.stop(), 0)
            return agent.log()

    def test_what_the_sender_has_settled_is_forgotten_without_a_word(self):
        self.assertNotIn(FORGETS, self.log_of(2 * self.COUNT))

    def test_what_it_may_send_again_is_not(self):
        self.assertIn(FORGETS, self.log_of(None))
        self.assertIn(FORGETS, self.log_of(10))

    def test_a_mark_that_is_none_is_an_error_and_nothing_is_put(self):
        with agent_on_disk(self, NULL) as agent:
            with RawAvroClient(agent.port(), GREETING) as client:
                answer = client.ask(call(batch([b"x"]), metadata={b"sluice.settled": b"short"}))
                self.assertIn(b"a damaged call: what is settled", answer)
                self.assertEqual(client.append([b"good"]), bytes(3))


class Sender(unittest.TestCase):
    def marks(self, calls):
        """Of each call how many events its sender has settled."""
        marks = [struct.unpack("<QQQ", each.metadata["sluice.settled"]) for each in calls]
        first = struct.unpack_from("<QQQ", calls[0].metadata["sluice.origins"])
        self.assertEqual({mark[:2] for mark in marks}, {first[:2]}, "the id under which the channel numbers")
        return [mark[2] - first[2] for mark in marks]

    def test_the_mark_rises_with_what_is_committed_and_never_beyond(self):
        taken = []  # by the receiver, after each call

        def answer(each):
            taken.append(taken[-1] if refused else (taken[-1] if taken else 0) + len(each.events))
            return FAILED if refused else OK
        refused = []
        with AvroServer(handshake_meta={"sluice": b"1"}, answer=answer) as server:
            sink = "type = avro\nhostname = 127.0.0.1\nport = %d\nmaxCallsInFlight = 1\n" % server.port
            with agent_on_disk(self, sink) as agent:
                with AvroClient(agent.port()) as client:
                    for at in range(20):
                        self.assertEqual(client.append_batch([Event({}, b"%d" % at)] * 10), OK)
                        server.wait_for_events(10 * (at + 1))
                    refused.append(True)
                    client.append_batch([Event({}, b"refused")] * 10)
                    wait_until(lambda: server.calls[-1].events[0].body == b"refused", "it is sent", 20)
                    refused.clear()
                    server.wait_for_events(210)
        marks = self.marks(server.calls)
        self.assertEqual(marks, sorted(marks))
        for mark, before in zip(marks, [0] + taken):
            self.assertLessEqual(mark, before)
        self.assertGreaterEqual(marks[-1], 190, "a commit may be on its way while the next call is sent")


if __name__ == "__main__":
    unittest.main(verbosity=2)
