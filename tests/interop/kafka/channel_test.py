"""The real Kafka as our channel: with both ends, with one, beside Flume's own channel, and what is left when agents die."""
import contextlib
import os
import tempfile
import unittest

from flume_test import EVENTS
from peers.extent import full
from peers.flume import FlumeAgent, event_lines_sink, event_lines_source
from peers.kafka import VERSIONS, Cluster
from peers.kafka_flows import kafka_channel, through_kafka_channel
from sink_test import said_of, security
from source_test import numbered
from support import avro_wire
from support.agent import Agent, file_roll, flow, lists, roll_numbers
from support.avro_peer import AvroClient, AvroServer
from support.avro_wire import Event
from support.certificates import Certificate
from support.varied_events import difference
from support.waiting import wait_out, wait_until

TAIL = "type = TAILDIR\nfilegroups = f\nfilegroups.f = {dir}/in/.*\nbatchSize = 1000\n"
AVRO = "type = avro\nbind = 127.0.0.1\nport = 0\n"


def through(cluster, topic, source, sink, more="", listener="PLAINTEXT"):
    """Source, Kafka channel, sink; without the end that is empty."""
    text = through_kafka_channel(lists("1") + flow(source or "-", sink or "-", kafka_channel(cluster, topic, more, listener)))
    gone = [kind for kind, there in (("a1.sources", source), ("a1.sinks", sink)) if not there]
    return "".join(line for line in text.splitlines(True) if not line.startswith(tuple(gone) or "\0"))


def send_events(port, events):
    with AvroClient(port) as client:
        for i in range(0, len(events), 50):
            if client.append_batch(events[i:i + 50]) != "OK":
                raise AssertionError("not acknowledged")


def avro_events(records):
    return [avro_wire.Reader(each.value).event() for each in records]


def append(agent, first, count):
    with open(agent.path("in/lines"), "ab") as file:
        file.write(b"".join(b"%d .\n" % i for i in range(first, first + count)))


def numbers_in(*agents):
    return [n for agent in agents for n in roll_numbers(agent.path("out"))]


def wait_for_numbers(agents, count, deadline_s=60):
    wait_until(lambda: len(set(numbers_in(*agents))) >= count,
               lambda: "%d of %d" % (len(set(numbers_in(*agents))), count), deadline_s, poll_s=0.05)
    return numbers_in(*agents)


def both_sides(keys):
    """What is said of the producer, and the same of the consumer."""
    return keys + keys.replace("kafka.producer.", "kafka.consumer.")


class Channel(unittest.TestCase):
    VERSION = VERSIONS[0]

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(version=cls.VERSION))

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
        for strategy in ("range", "cooperative-sticky"):
            with self.subTest(strategy=strategy):
                self.come_and_go("group-" + strategy, strategy)

    def come_and_go(self, topic, strategy):
        self.cluster.create(topic, 6)
        count = 0
        more = "parseAsFlumeEvent = false\nkafka.consumer.group.id = %s\n" % topic
        more += "kafka.consumer.partition.assignment.strategy = %s\n" % strategy
        with contextlib.ExitStack() as stack:
            agents = [Agent(through(self.cluster, topic, None, file_roll(), more), folders=["out"]) for _ in range(3)]

            def put():
                nonlocal count
                self.cluster.produce(topic, numbered(count, 20_000, 6))
                count += 20_000
            put()
            for members, agent in enumerate(agents, 1):
                stack.enter_context(agent)
                put()
                wait_for_numbers(agents, 1)  # so that there is a group
                wait_until(lambda: self.cluster.members(topic) == members, "%d members" % members, 30, poll_s=0.1)
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

    @full
    def test_a_member_that_gets_no_partition_ends_with_once(self):
        for strategy in ("range", "cooperative-sticky"):
            topic = "once-" + strategy
            self.cluster.create(topic)
            more = ("kafka.consumer.group.id = %s\nkafka.consumer.partition.assignment.strategy = %s\n" % (topic, strategy) +
                    "kafka.consumer.session.timeout.ms = 6000\n")
            config = through(self.cluster, topic, TAIL, file_roll(), more)
            # One partition for three members: two of them get none at least.
            with self.subTest(strategy=strategy), Agent(config, folders=["in", "out"]) as stays:
                append(stays, 0, 1000)
                wait_for_numbers([stays], 1000)
                with contextlib.ExitStack() as stack:
                    agents = [Agent(config, folders=["in", "out"], arguments=["--once"]) for _ in range(2)]
                    for i, agent in enumerate(agents, 1):
                        append(agent, 1000 * i, 1000)
                        stack.enter_context(agent)
                    self.assertEqual([agent.wait(90) for agent in agents], [0, 0])
                    got = wait_for_numbers([stays, *agents], 3000)
                    self.assertEqual(stays.stop(), 0)
                self.check_once(got, 3000)

    @full
    def test_one_end_each_with_once(self):
        self.cluster.create("once-ends", 3)
        writer = Agent(through(self.cluster, "once-ends", TAIL, None), folders=["in"], arguments=["--once"])
        append(writer, 0, 5000)
        with writer:
            self.assertEqual(writer.wait(60), 0)
        self.assertEqual(self.cluster.count("once-ends"), 5000)
        with Agent(through(self.cluster, "once-ends", None, file_roll()), folders=["out"], arguments=["--once"]) as reader:
            self.assertEqual(reader.wait(60), 0)
            self.check_once(numbers_in(reader), 5000)

    @full
    def test_what_the_broker_will_never_take_becomes_a_dead_letter(self):
        self.cluster.create("large", max_message_bytes=10_000)
        big = {7, 8, 500}
        events = [Event({}, b"%d %s" % (i, os.urandom(20_000 if i in big else 50).hex().encode())) for i in range(1000)]
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as state, \
                Agent(through(self.cluster, "large", AVRO, None), arguments=["-Dsluice.state.dir=" + state]) as agent:
            send_events(agent.port("r1"), events)
            # One goes alone while it is looked for which of several is too large, and may go twice.
            got = {int(event.body.split(b" ")[0]) for event in avro_events(self.cluster.read("large"))}
            self.assertEqual(got, set(range(1000)) - big)
            with open(os.path.join(state, "dead-letters", "a1.jsonl")) as letters:
                self.assertEqual(letters.read().count("\n"), len(big))
            self.assertEqual(agent.stop(), 0)


@full
class ChannelOfKafka39(Channel):
    VERSION = "3.9"


@full
class SafeChannel(unittest.TestCase):
    """Over TLS, with logins, over three nodes."""

    def test_each_listener(self):
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
            certificate = Certificate(directory)
            trust = "kafka.producer.ssl.truststore.type = PEM\nkafka.producer.ssl.truststore.location = %s\n" % (
                certificate.certificate)
            cases = [("SSL", None, trust), ("SASL_PLAINTEXT", "PLAIN", ""), ("SASL_SSL", "PLAIN", trust)]
            for version in VERSIONS:
                with Cluster(version=version, listeners=[case[0] for case in cases], certificate=certificate) as cluster:
                    for listener, mechanism, keys in cases:
                        with self.subTest(version=version, listener=listener):
                            self.both_ends(cluster, listener, both_sides(keys + security(listener, mechanism)))
                    self.wrong(cluster)

    def both_ends(self, cluster, listener, keys):
        cluster.create(listener, 2)
        with Agent(through(cluster, listener, TAIL, file_roll(), keys, listener), folders=["in", "out"]) as agent:
            append(agent, 0, 20_000)
            got = wait_for_numbers([agent], 20_000)
            self.assertEqual(agent.stop(), 0)
            self.assertEqual(sorted(got), list(range(20_000)))

    def wrong(self, cluster):
        keys = both_sides(security("SASL_PLAINTEXT", "PLAIN", "not it"))
        with Agent(through(cluster, "nowhere", TAIL, file_roll(), keys, "SASL_PLAINTEXT"), folders=["in", "out"]) as agent:
            append(agent, 0, 1000)
            agent.wait_for_log(r"^.*channel c1.*[Aa]uthentication.*$", 30)
            wait_out(15, agent.running)
            self.assertEqual(agent.stop(), 0)
            said = said_of(agent, "channel c1")
            print("said:", *said, sep="\n      ")
            self.assertLess(len(said), 20)

    def test_one_broker_of_three_is_killed_under_load(self):
        with Cluster(3) as cluster:
            cluster.create("t", 3)
            with Agent(through(cluster, "t", TAIL, file_roll()), folders=["in", "out"]) as agent:
                for turn in range(4):
                    append(agent, 40_000 * turn, 40_000)
                    wait_for_numbers([agent], 40_000 * turn + 1000)
                    leader = cluster.leader("t", turn % 3)
                    leader.die()
                    got = wait_for_numbers([agent], 40_000 * (turn + 1), 120)
                    leader.start_again()
                    cluster.wait_until_in_sync("t", 60)
                self.assertEqual(agent.stop(), 0)
                print("%d of 160000 came twice" % (len(got) - len(set(got))))
                self.assertEqual(set(got), set(range(160_000)))
