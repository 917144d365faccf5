"""From Flume to our avro source. Behind it our avro sink hands the events to the tests' own server, which compares them."""
import contextlib
import os
import tempfile
import unittest

from peers import abilities
from peers.extent import full, some
from peers.flume import VERSIONS, FlumeAgent, avro_client, avro_sink, send_by_sdk, sender
from peers.transports import BOTH, PLAIN, sink_keys, sluice_source_keys
from support.agent import Agent, flow, lists
from support.avro_peer import AvroServer
from support.avro_wire import Event
from support.net import free_port
from support.varied_events import VARIED, difference, numbered_events, numbers
from support.waiting import wait_until

CHANNEL = "capacity = 30000\ntransactionCapacity = 10000\n"


def forwarder(port, to, source="", channel=CHANNEL):
    """An agent of ours from our avro source to the tests' server."""
    return lists("1") + flow("type = avro\nbind = 127.0.0.1\nport = %d\n%s" % (port, source), avro_sink(to), channel)


@contextlib.contextmanager
def sluice(source="", **more):
    """(our agent, its port, the server behind it)."""
    with AvroServer() as server, Agent(forwarder(0, server.port, source, **more)) as agent:
        yield agent, agent.port(), server
        agent.stop()


class SdkClient(unittest.TestCase):
    def test_every_kind_of_event_by_each_transport(self):
        many = numbered_events(10_000)
        for version in VERSIONS:
            for transport in some(abilities.transports(), [PLAIN, BOTH]):
                with self.subTest(version=version, transport=transport.name), \
                        sluice(sluice_source_keys(transport, version)) as (_, port, server):
                    for events, call_size in ((VARIED, 0), (VARIED, len(VARIED)), (many, len(many))):
                        acknowledged, content, said = send_by_sdk(port, events, version, call_size, sink_keys(transport))
                        self.assertEqual((acknowledged, content), (len(events), True), said)
                    self.assertEqual(difference(server.wait_for_events(2 * len(VARIED) + len(many)), 2 * VARIED + many), "")

    def test_an_unlike_transport_is_no_success(self):
        others = [each for each in abilities.transports() if each != PLAIN]
        # Ours has fewer layers than the client, and the other way round.
        for theirs, ours in [(BOTH, PLAIN)] + [(PLAIN, each) for each in some(others, [BOTH])]:
            with self.subTest(client=theirs.name, source=ours.name), \
                    sluice(sluice_source_keys(ours)) as (_, port, server):
                acknowledged, content, _ = send_by_sdk(port, VARIED, properties=sink_keys(theirs) +
                                                       "connect-timeout = 2000\nrequest-timeout = 2000\n")
                self.assertEqual((acknowledged, content), (0, False))
                self.assertEqual(send_by_sdk(port, VARIED, properties=sink_keys(ours))[:2], (len(VARIED), True))
                self.assertEqual(difference(server.wait_for_events(len(VARIED)), VARIED), "")


class AvroClient(unittest.TestCase):
    def test_lines_of_a_file_with_headers_of_another(self):
        lines = ["line %d \u20ac" % i for i in range(1234)]
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory, sluice() as (_, port, server):
            text, headers = os.path.join(directory, "text"), os.path.join(directory, "headers")
            with open(text, "w", encoding="utf-8") as file:
                file.write("".join(line + "\n" for line in lines))
            with open(headers, "w") as file:
                file.write("a=1\nb=two words\n")
            status, said = avro_client("-H", "127.0.0.1", "-p", str(port), "-F", text, "-R", headers)
            self.assertEqual(status, 0, said)
            expected = [Event({"a": "1", "b": "two words"}, line.encode()) for line in lines]
            self.assertEqual(difference(server.wait_for_events(len(lines)), expected), "")


class AvroSink(unittest.TestCase):
    def test_every_kind_of_event_by_each_transport(self):
        events = VARIED + numbered_events(3000)
        for version in VERSIONS:
            for transport in some(abilities.transports(), [PLAIN, BOTH]):
                with self.subTest(version=version, transport=transport.name), \
                        sluice(sluice_source_keys(transport, version)) as (_, port, server):
                    config = sender(port, "{dir}/sent", sink_keys(transport))
                    with FlumeAgent(config, version, files={"sent": events}) as agent:
                        self.assertEqual(difference(server.wait_for_events(len(events)), events), "")
                        agent.stop()
                    self.assertEqual(len(server.events(None)), len(events), "nothing failed, so nothing came twice")

    def test_a_batch_of_ten_thousand(self):
        events = numbered_events(30_000)
        with sluice() as (_, port, server):
            with FlumeAgent(sender(port, "{dir}/sent", "batch-size = 10000\n").replace(
                    "EventLinesSource", "EventLinesSource\na1.sources.r1.batchSize = 10000"),
                    files={"sent": events}) as agent:
                self.assertEqual(difference(server.wait_for_events(len(events)), events), "")
                agent.stop()

    def test_our_agent_is_not_there_yet(self):
        events = VARIED + numbered_events(1000)
        port = free_port()
        with FlumeAgent(sender(port, "{dir}/sent"), files={"sent": events}) as flume_agent:
            flume_agent.wait_for_log("Unable to deliver event|Unable to create Rpc client", 30)
            with AvroServer() as server, Agent(forwarder(port, server.port)) as agent:
                self.assertEqual(difference(server.wait_for_events(len(events)), events), "")
                flume_agent.stop()
                agent.stop()

    def test_our_agent_is_killed_in_the_middle_and_nothing_that_was_answered_is_lost(self):
        count = 20_000
        port = free_port()
        durable = "type = rocksdb\ndirectory = {dir}/store\ncapacity = 100000\n"
        with AvroServer() as server, Agent(forwarder(port, server.port, channel="").replace(
                "c1.type = memory\n", "c1." + durable.replace("\n", "\na1.channels.c1.", 2))) as agent:
            agent.port()
            with FlumeAgent(sender(port, "{dir}/sent"), files={"sent": numbered_events(count)}) as flume_agent:
                for part in (1, 2):
                    wait_until(lambda: len(server.events()) >= part * count // 4, lambda: len(server.events()), 30)
                    agent.kill(9)
                    agent.wait()
                    agent.start()
                wait_until(lambda: set(numbers(server.events())) == set(range(count)),
                           lambda: "%d different events" % len(set(numbers(server.events()))), 60)
                flume_agent.stop()
            twice = len(server.events()) - count
            print("two kills: %d events came twice" % twice)
            # Flume sends again the batch that was in flight; and our sink the calls whose answers it did not see.
            self.assertLessEqual(twice, 2 * (100 + 8 * 100))
            agent.stop()

    def test_our_channel_is_full(self):
        events = numbered_events(3000)
        channel = "capacity = 500\ntransactionCapacity = 100\nkeep-alive = 1\n"
        with AvroServer() as server, Agent(forwarder(0, server.port, channel=channel)) as agent:
            port = agent.port()
            server.pause()
            with FlumeAgent(sender(port, "{dir}/sent"), files={"sent": events}) as flume_agent:
                flume_agent.wait_for_log("Avro RPC call returned Status: FAILED", 40)
                server.go_on()
                self.assertEqual(difference(server.wait_for_events(len(events), 60), events), "", "in order, none twice")
                flume_agent.stop()
            agent.stop()
            self.assertEqual(len(server.events()), len(events))


class ManyClients(unittest.TestCase):
    @full
    def test_four_agents_at_once(self):
        events = numbered_events(20_000)
        with sluice() as (_, port, server), contextlib.ExitStack() as stack:
            for i in range(4):
                mine = events[i::4]
                stack.enter_context(FlumeAgent(sender(port, "{dir}/sent"), files={"sent": mine}))
            got = server.wait_for_events(len(events), 90)
            self.assertEqual(sorted(numbers(got)), list(range(len(events))))
            for i in range(4):
                self.assertEqual([n for n in numbers(got) if n % 4 == i], list(range(i, len(events), 4)))
