"""Flume 1.11's Kafka sink, source and channel against the real Kafka: what they write and what they read."""
import unittest

from peers.extent import full
from peers.flume import FlumeAgent, event_lines_sink, event_lines_source
from peers.kafka import Cluster
from peers.kafka_flows import CHANNEL, kafka_channel, kafka_sink, kafka_source, through_kafka_channel
from support.agent import flow, lists
from support.avro_wire import Event
from support.varied_events import VARIED, difference, numbered_events

# What a broker takes by default.
EVENTS = [each for each in VARIED if len(each.body) < 1_000_000] + numbered_events(300)


def read_by_flume(cluster, topic, count, more=""):
    """The events of Flume's Kafka source, without the headers that it adds."""
    config = lists("1") + flow(kafka_source(cluster, topic, more), event_lines_sink(), CHANNEL)
    with FlumeAgent(config) as agent:
        events = agent.wait_for_events(count, 60)
        agent.stop()
    added = ("topic", "partition", "offset", "timestamp")
    return [Event({k: v for k, v in each.headers.items() if k not in added}, each.body) for each in events]


def written_by_flume(cluster, topic, events, more=""):
    """By Flume's Kafka sink: all records that are in the topic then."""
    before = cluster.count(topic)
    config = lists("1") + flow(event_lines_source("{dir}/sent"), kafka_sink(cluster, topic, more), CHANNEL)
    with FlumeAgent(config, files={"sent": events}) as agent:
        cluster.wait_for_count(topic, before + len(events), 60)
        agent.stop()
    return cluster.read(topic)


class FlumeAlone(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())

    @full
    def test_bodies_alone(self):
        self.cluster.create("bodies")
        records = written_by_flume(self.cluster, "bodies", EVENTS)
        self.assertEqual([each.value for each in records], [each.body for each in EVENTS])
        self.assertEqual({each.headers for each in records}, {()})
        got = read_by_flume(self.cluster, "bodies", len(EVENTS))
        self.assertEqual([each.body for each in got], [each.body for each in EVENTS])

    def test_headers_within_the_value(self):
        self.cluster.create("events")
        records = written_by_flume(self.cluster, "events", EVENTS, "useFlumeEventFormat = true\n")
        # A map of one entry, the body's length, the body.
        self.assertEqual(records[-1].value[:8], b"\x02\x02n\x06299\0")
        got = read_by_flume(self.cluster, "events", len(EVENTS), "useFlumeEventFormat = true\n")
        self.assertEqual(difference(got, EVENTS), "")

    @full
    def test_a_channel(self):
        self.cluster.create("channel", 2)
        config = through_kafka_channel(lists("1") + flow(event_lines_source("{dir}/sent"), event_lines_sink(),
                                                         kafka_channel(self.cluster, "channel")))
        with FlumeAgent(config, files={"sent": EVENTS}) as agent:
            got = agent.wait_for_events(len(EVENTS), 60)
            self.assertEqual(sorted(got, key=repr), sorted(EVENTS, key=repr))
            agent.stop()

    @full
    def test_keys_and_partitions(self):
        self.cluster.create("keys", 4)
        keyed = [Event({"key": "key %d" % i}, b"%d" % i) for i in range(20)]
        records = written_by_flume(self.cluster, "keys", [*keyed, Event({"to": "3"}, b"to 3")],
                                   "partitionIdHeader = to\n")
        self.assertEqual([each.partition for each in records if each.value == b"to 3"], [3])
        self.assertEqual({(each.key, each.value) for each in records if each.key is not None},
                         {(each.headers["key"].encode(), each.body) for each in keyed})
        self.assertGreater(len({each.partition for each in records if each.key is not None}), 1)
        self.assertEqual(len({each.partition for each in written_by_flume(
            self.cluster, "keys", keyed[:1] * 5) if each.key == b"key 0"}), 1, "a key has its partition")

    @full
    def test_a_topic_of_its_own(self):
        for topic in ("first", "second"):
            self.cluster.create(topic)
        events = [Event({"topic": "second", "key": "\u20ac"}, b"to second"), Event({}, b"to first")]
        config = lists("1") + flow(event_lines_source("{dir}/sent"), kafka_sink(self.cluster, "first"), CHANNEL)
        with FlumeAgent(config, files={"sent": events}) as agent:
            for topic in ("first", "second"):
                self.cluster.wait_for_count(topic, 1, 60)
            agent.stop()
        self.assertEqual([each.value for each in self.cluster.read("first")], [b"to first"])
        self.assertEqual([(each.key, each.value) for each in self.cluster.read("second")],
                         [("\u20ac".encode(), b"to second")])
