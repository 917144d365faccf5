"""What Flume's avro sink does when a call goes wrong: what our source may count on, and what it must bear."""
import unittest

from peers.extent import some
from peers.flume import VERSIONS, FlumeAgent, sender
from support.avro_peer import FAILED, LATER, OK, UNKNOWN, AvroServer, RemoteError
from support.varied_events import difference, numbered_events
from support.waiting import wait_until

BATCH = 50
FAULTS = {"FAILED": lambda call: FAILED,
          "UNKNOWN": lambda call: UNKNOWN,
          "an error": lambda call: RemoteError("no"),
          "the end of the connection": lambda call: call.close(),
          "a reset": lambda call: call.cut(),
          "nothing within request-timeout": lambda call: LATER}


class AfterAFault(unittest.TestCase):
    def test_the_batch_comes_once_more_by_another_connection_and_nothing_else_does(self):
        for version in some(VERSIONS, ["1.11"]):
            self.every_fault(version)

    def every_fault(self, version):
        # Every fourth call goes wrong. So each fault meets a connection that has shaken hands.
        faults = {4 * i + 2: name for i, name in enumerate(FAULTS)}
        events = numbered_events(BATCH * (4 * len(FAULTS) + 2))

        def answer(call):
            name = faults.get(server.calls.index(call))
            return FAULTS[name](call) if name else OK
        with AvroServer(answer=answer) as server:
            config = sender(server.port, "{dir}/sent", "batch-size = %d\nrequest-timeout = 1000\n" % BATCH)
            with FlumeAgent(config, version, files={"sent": events}) as agent:
                server.wait_for_events(len(events), deadline_s=90)
                self.assertEqual(difference(server.events(), events), "", "in order, and answered with OK once")
                self.assertEqual(len(server.events(None)), len(events) + BATCH * len(faults))
                for i, name in faults.items():
                    with self.subTest(version=version, fault=name):
                        failed, again = server.calls[i:i + 2]
                        self.assertEqual(again.events, failed.events)
                        self.assertIsNot(again.connection, failed.connection)
                        self.assertIsNone(failed.handshake)
                        self.assertIsNotNone(again.handshake)
                        # So an answer that is late has nobody to come to.
                        wait_until(failed.connection.ended.is_set, "the old connection's end")
                agent.stop()


class OneCallInFlight(unittest.TestCase):
    def test_flumes_sink_sends_nothing_before_the_answer(self):
        held = []
        with AvroServer(answer=lambda call: held.append(call) or LATER) as server:
            with FlumeAgent(sender(server.port, "{dir}/sent"), files={"sent": numbered_events(300)}) as agent:
                for count in (1, 2, 3):
                    server.wait_for_calls(count)
                    self.assertEqual([call.serial for call in server.calls], list(range(1, count + 1)))
                    held[-1].answer(OK)
                server.wait_for_events(300)
                agent.stop()
