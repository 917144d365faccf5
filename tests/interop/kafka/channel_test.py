"""The real Kafka as our channel: with both ends, with one, beside Flume's own channel, and what is left when agents die."""
import contextlib
import unittest

from flume_test import EVENTS
from peers.extent import full
from peers.flume import FlumeAgent, event_lines_sink, event_lines_source
from peers.kafka import Cluster
from peers.kafka_flows import kafka_channel, through_kafka_channel
from source_test import numbered
from support.agent import Agent, file_roll, flow, lists, roll_numbers
from support.avro_peer import AvroClient, AvroServer
from support.varied_events import difference
from support.waiting import wait_until

TAIL = "type = TAILDIR\nfilegroups = f\nfilegroups.f = {dir}/in/.*\nbatchSize = 1000\n"
AVRO = "type = avro\nbind = 127.0.0.1\nport = 0\n"


def through(cluster, topic, source, sink, more=""):
    """Source, Kafka channel, sink; without the end that is empty."""
    text = through_kafka_channel(lists("1") + flow(source or "-", sink or "-", kafka_channel(cluster, topic, more)))
    gone = [kind for kind, there in (("a1.sources", source), ("a1.sinks", sink)) if not there]
    return "".join(line for line in text.splitlines(True) if not line.startswith(tuple(gone) or "\0"))


def send_events(port, events):
    with AvroClient(port) as client:
        for i in range(0, len(events), 50):
            if client.append_batch(events[i:i + 50]) != "OK":
                raise AssertionError("not acknowledged")


def append(agent, first, count):
    with open(agent.path("in/lines"), "ab") as file:
        file.write(b"".join(b"%d .\n" % i for i in range(first, first + count)))


def numbers_in(*agents):
    return [n for agent in agents for n in roll_numbers(agent.path("out"))]


def wait_for_numbers(agents, count, deadline_s=60):
    wait_until(lambda: len(set(numbers_in(*agents))) >= count,
               lambda: "%d of %d" % (len(set(numbers_in(*agents))), count), deadline_s, poll_s=0.05)
    return numbers_in(*agents)


class Channel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())

    def check_once(self, got, count):
        self.assertEqual(len(set(got)), count)
        self.assertEqual(len(got) - len(set(got)), 0, "none twice")

    def test_both_ends_and_a_restart(self):
        self.cluster.create("both", 3)
        with Agent(through(self.cluster, "both", TAIL, file_roll()), folders=["in", "out"]) as agent:
            for turn in range(3):
                if turn > 0:
                    agent.start()
                append(agent, 5000 * turn, 5000)
                wait_for_numbers([agent], 5000 * (turn + 1))
                self.assertEqual(agent.stop(), 0)
                offsets = {p: offset for (topic, p), (offset, _) in self.cluster.group("flume").items() if topic == "both"}
                self.assertEqual(offsets, {p: end for p, (_, end) in self.cluster.ends("both").items()})
            self.check_once(numbers_in(agent), 15_000)

    def test_one_end_each(self):
        self.cluster.create("ends", 2)
        events = EVENTS
        with Agent(through(self.cluster, "ends", AVRO, None)) as writer:
            send_events(writer.port("r1"), events)
            self.assertEqual(self.cluster.count("ends"), len(events), "acknowledged means that brokers have it")
            self.assertEqual(writer.stop(), 0)
        with AvroServer() as server, Agent(through(
                self.cluster, "ends", None, "type = avro\nhostname = 127.0.0.1\nport = %d\n" % server.port)) as reader:
            got = server.wait_for_events(len(events), 60)
            self.assertEqual(reader.stop(), 0)
        self.assertEqual(sorted(map(repr, got)), sorted(map(repr, events)))

    def test_what_flumes_channel_wrote_and_reads(self):
        for topic in ("theirs", "ours"):
            self.cluster.create(topic)
        config = through(self.cluster, "theirs", event_lines_source("{dir}/sent"), None)
        with FlumeAgent(config, files={"sent": EVENTS}) as flume:
            self.cluster.wait_for_count("theirs", len(EVENTS), 60)
            flume.stop()
        # From Flume's channel into ours, and with Flume's channel out again.
        with AvroServer() as server, Agent(through(
                self.cluster, "theirs", None, "type = avro\nhostname = 127.0.0.1\nport = %d\n" % server.port)) as reader:
            got = server.wait_for_events(len(EVENTS), 60)
            self.assertEqual(reader.stop(), 0)
        self.assertEqual(difference(got, EVENTS), "")
        with Agent(through(self.cluster, "ours", AVRO, None)) as writer:
            send_events(writer.port("r1"), EVENTS)
            self.assertEqual(writer.stop(), 0)
        with FlumeAgent(through(self.cluster, "ours", None, event_lines_sink())) as flume:
            got = flume.wait_for_events(len(EVENTS), 60)
            flume.stop()
        self.assertEqual(difference(got, EVENTS), "")

    @full
    def test_agents_of_one_group_come_and_go(self):
        self.cluster.create("group", 6)
        count = 0
        more = "parseAsFlumeEvent = false\nkafka.consumer.group.id = g\n"
        with contextlib.ExitStack() as stack:
            agents = [Agent(through(self.cluster, "group", None, file_roll(), more), folders=["out"]) for _ in range(3)]

            def put():
                nonlocal count
                self.cluster.produce("group", numbered(count, 20_000, 6))
                count += 20_000
            put()
            for members, agent in enumerate(agents, 1):
                stack.enter_context(agent)
                put()
                wait_for_numbers(agents, 1)  # so that there is a group
                wait_until(lambda: self.cluster.members("g") == members, "%d members" % members, 30, poll_s=0.1)
                put()
            wait_for_numbers(agents, count, 90)
            for agent in agents[:2]:
                put()
                self.assertEqual(agent.stop(), 0)
                put()
                wait_for_numbers(agents, count, 90)
            self.assertEqual(agents[2].stop(), 0)
            self.check_once(numbers_in(*agents), count)
            self.assertGreater(min(len(numbers_in(agent)) for agent in agents), 0)

    @full
    def test_an_agent_that_is_killed(self):
        self.cluster.create("killed", 3)
        more = "kafka.consumer.group.id = killed\nkafka.consumer.session.timeout.ms = 6000\n"
        with Agent(through(self.cluster, "killed", TAIL, file_roll(), more), folders=["in", "out"]) as agent:
            count = 0
            for _ in range(10):
                append(agent, count, 30_000)
                count += 30_000
                wait_for_numbers([agent], count - 25_000, 90)
                agent.kill(9)
                agent.wait()
                agent.start()
            got = wait_for_numbers([agent], count, 120)
            self.assertEqual(agent.stop(), 0)
            print("%d of %d came twice after ten kills" % (len(got) - len(set(got)), count))

    @full
    def test_a_broker_that_is_away(self):
        with Cluster() as cluster:
            cluster.create("away")
            node = cluster.nodes[0]
            with Agent(through(cluster, "away", TAIL, file_roll()), folders=["in", "out"]) as agent:
                append(agent, 0, 1000)
                wait_for_numbers([agent], 1000)
                node.die()
                append(agent, 1000, 100_000)
                print("said: %s" % agent.wait_for_log(r"^.*warning.*channel c1.*$", 30)[0])
                node.start_again()
                got = wait_for_numbers([agent], 101_000, 120)
                self.assertEqual(agent.stop(), 0)
                self.check_once(got, 101_000)
