#!/usr/bin/env python3
# test: sanitize
"""Our avro source and sink between the tests' own client and server: every kind of event comes out as it went in."""
import unittest

from support.agent import Agent, pipeline
from support.avro_peer import FAILED, LATER, OK, UNKNOWN, AvroClient, AvroServer, Event, RemoteError
from support.varied_events import VARIED, difference, numbered_events

SOURCE = "type = avro\nbind = 127.0.0.1\nport = 0\n"


def sink(port):
    return "type = avro\nhostname = 127.0.0.1\nport = %d\n" % port


class Events(unittest.TestCase):
    def setUp(self):
        self.server = self.enterContext(AvroServer())
        self.agent = self.enterContext(Agent(pipeline(SOURCE, sink(self.server.port), "capacity = 10000")))
        self.client = self.enterContext(AvroClient(self.agent.port()))
        self.sent = []

    def send(self, *events):
        self.assertEqual(self.client.append_batch(events), OK)
        self.sent += events

    def all_came_through(self):
        self.assertEqual(difference(self.server.wait_for_events(len(self.sent)), self.sent), "")
        self.assertEqual(self.agent.stop(), 0)

    def test_each_in_a_call_of_its_own(self):
        for event in VARIED:
            self.assertEqual(self.client.append(event), OK)
            self.sent.append(event)
        self.all_came_through()

    def test_all_in_one_call(self):
        self.send(*VARIED)
        self.send(*reversed(VARIED))
        self.all_came_through()

    def test_any_number_of_headers_behind_an_event_with_none(self):
        for count in (0, 1, 4, 5, 6, 15, 16, 17, 63, 64, 65, 127, 128, 1000):
            many = Event({"h%d" % i: "v%d" % i for i in range(count)}, b"with headers")
            self.send(Event({}, b"without"), many, many, Event({"one": "1"}, b""))
        self.all_came_through()

    def test_events_of_a_call_share_their_headers(self):
        shared = {"h%d" % i: "v" for i in range(9)}
        self.send(*[Event(shared, b"%d" % i) for i in range(500)])
        self.send(*[Event(shared, b"%d" % i) for i in range(500)], Event({}, b"another"))
        self.all_came_through()


class Faults(unittest.TestCase):
    """At a receiver that is no agent of ours, and so gets one call at a time."""

    BATCH = 100
    COUNT = 3000
    EVERY = 5  # calls from one fault to the next

    def check(self, fault, more=""):
        """Calls go wrong now and then: each comes again at once, before anything else, and nothing else does."""
        events = numbered_events(self.COUNT)

        def answer(call):
            return fault(call) if server.calls.index(call) % self.EVERY == self.EVERY - 2 else OK
        with AvroServer(answer=answer) as server, \
                Agent(pipeline(SOURCE, sink(server.port) + more, "capacity = 10000")) as agent:
            with AvroClient(agent.port()) as client:
                self.assertEqual(client.append_batch(events), OK)
            self.assertEqual(difference(server.wait_for_events(self.COUNT), events), "")
            self.assertEqual(agent.stop(), 0)
            failed = [call for call in server.calls if call.status != OK]
            self.assertEqual(len(failed), len(server.calls) // self.EVERY)
            self.assertEqual(len(server.events(None)), self.COUNT + self.BATCH * len(failed))
            return failed

    def test_a_refused_batch_comes_again_before_what_is_behind_it(self):
        self.check(lambda call: FAILED)

    def test_so_does_one_with_an_unknown_status_or_an_error(self):
        self.check(lambda call: UNKNOWN)
        self.check(lambda call: RemoteError("no"))

    def test_so_does_one_whose_connection_ends(self):
        self.check(lambda call: call.cut())
        self.check(lambda call: call.close())

    def test_so_does_one_that_is_not_answered_in_time_on_another_connection(self):
        for call in self.check(lambda call: LATER, "request-timeout = 1000\n"):
            self.assertTrue(call.connection.ended.is_set(), "a late answer would find nobody")


if __name__ == "__main__":
    unittest.main(verbosity=2)
