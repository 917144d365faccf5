"""From our avro sink to Flume's avro source. The tests' own client feeds our avro source; Flume writes down what arrived."""
import contextlib
import os
import subprocess
import tempfile
import unittest

from peers import abilities
from peers.extent import some
from peers.flume import VERSIONS, FlumeAgent, avro_sink, receiver
from peers.transports import BOTH, PLAIN, sluice_sink_keys, source_keys
from support.agent import BIN, Agent, flow, lists
from support.avro_peer import OK, AvroClient
from support.net import free_port
from support.varied_events import VARIED, difference, numbered_events, numbers
from support.waiting import wait_until

SOURCE = "type = avro\nbind = 127.0.0.1\nport = 0\n"
CHANNEL = "capacity = 100000\ntransactionCapacity = 10000\n"


@contextlib.contextmanager
def sluice(port, sink=""):
    """(our agent that sends to that port, a client that feeds it)."""
    with Agent(lists("1") + flow(SOURCE, avro_sink(port, sink), CHANNEL)) as agent:
        with AvroClient(agent.port()) as client:
            yield agent, client
        agent.stop()


class AvroSink(unittest.TestCase):
    def test_every_kind_of_event_by_each_transport(self):
        events = VARIED + numbered_events(3000)
        for version in VERSIONS:
            for transport in some(abilities.transports(), [PLAIN, BOTH]):
                with self.subTest(version=version, transport=transport.name):
                    port = free_port()
                    with FlumeAgent(receiver(port, source_keys(transport)), version) as flume_agent:
                        flume_agent.wait_until_listening()
                        with sluice(port, sluice_sink_keys(transport, version)) as (_, client):
                            self.assertEqual(client.append_batch(events), OK)
                            got = flume_agent.wait_for_events(len(events))
                        self.assertEqual(difference(got, events), "")
                        flume_agent.stop()
                        self.assertEqual(len(flume_agent.received()), len(events), "nothing failed, nothing comes twice")

    def test_a_batch_of_ten_thousand(self):
        events = numbered_events(20_000)
        port = free_port()
        with FlumeAgent(receiver(port)) as flume_agent:
            flume_agent.wait_until_listening()
            with sluice(port, "batch-size = 10000\n") as (_, client):
                for part in (events[:10_000], events[10_000:]):
                    self.assertEqual(client.append_batch(part), OK)
                self.assertEqual(difference(flume_agent.wait_for_events(len(events)), events), "")
            flume_agent.stop()

    def test_one_call_in_flight_keeps_the_order_at_flume(self):
        """Flume 1.10 and later serve the calls of a connection in several threads."""
        events = numbered_events(20_000)
        port = free_port()
        with FlumeAgent(receiver(port)) as flume_agent:
            flume_agent.wait_until_listening()
            with sluice(port, "batch-size = 10\n") as (_, client):
                self.assertEqual(client.append_batch(events), OK)
                self.assertEqual(difference(flume_agent.wait_for_events(len(events)), events), "")
            flume_agent.stop()

    def test_flumes_channel_is_full(self):
        """Flume answers FAILED; nothing of such a call is in its channel, so nothing comes twice."""
        events = numbered_events(3000)
        port = free_port()
        config = receiver(port, sink="gate = {dir}/gate\n",
                          channel="capacity = 250\ntransactionCapacity = 100\nkeep-alive = 0\n")
        with FlumeAgent(config) as flume_agent:
            flume_agent.wait_until_listening()
            with sluice(port) as (agent, client):
                self.assertEqual(client.append_batch(events), OK)
                agent.wait_for_log(r"sink k1: .*FAILED", 20)
                self.assertEqual(flume_agent.received(), [])
                open(flume_agent.path("gate"), "w").close()
                self.assertEqual(difference(flume_agent.wait_for_events(len(events), 60), events), "")
            flume_agent.stop()
            self.assertEqual(len(flume_agent.received()), len(events))

    def test_flume_is_killed_and_started_again_in_the_middle(self):
        count = 20_000
        port = free_port()
        # Flume's file channel keeps what it acknowledged.
        channel = "capacity = 100000\ntransactionCapacity = 10000\ncheckpointDir = {dir}/check\ndataDirs = {dir}/data\n"
        config = receiver(port, channel=channel).replace("c1.type = memory", "c1.type = file")
        with FlumeAgent(config) as flume_agent:
            flume_agent.wait_until_listening()
            with sluice(port) as (_, client):
                self.assertEqual(client.append_batch(numbered_events(count)), OK)
                flume_agent.wait_for_events(count // 10)
                flume_agent.kill(9)
                flume_agent.wait()
                flume_agent.start()
                got = self.all_numbers(flume_agent, count)
            # The call whose answer was lost comes twice, and what the sink wrote and had not committed.
            print("Flume killed: %d events came twice" % (len(got) - count))
            self.assertLessEqual(len(got) - count, 100 + 1)
            flume_agent.stop()

    def all_numbers(self, flume_agent, count):
        seen = []

        def all_came():
            seen[:] = numbers(flume_agent.received())
            return len(set(seen)) == count
        wait_until(all_came, lambda: "%d of %d different events" % (len(set(seen)), count), 60, poll_s=0.2)
        return seen


@unittest.skipUnless(abilities.has_verb("avro-client"), "this build has no avro-client")
class AvroClientCommand(unittest.TestCase):
    def test_lines_with_headers_of_a_file(self):
        lines = ["line %d \u20ac" % i for i in range(1234)]
        port = free_port()
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory, FlumeAgent(receiver(port)) as flume_agent:
            flume_agent.wait_until_listening()
            headers = os.path.join(directory, "headers")
            with open(headers, "w") as file:
                file.write("a=1\nb=two words\n")
            done = subprocess.run([BIN, "avro-client", "-H", "127.0.0.1", "-p", str(port), "-R", headers], timeout=30,
                                  input="".join(line + "\n" for line in lines).encode(), capture_output=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            got = flume_agent.wait_for_events(len(lines))
            self.assertEqual([event.body.decode() for event in got], lines)
            self.assertEqual([event.headers for event in got], [{"a": "1", "b": "two words"}] * len(lines))
            flume_agent.stop()
