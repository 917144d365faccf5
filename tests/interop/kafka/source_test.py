"""The real Kafka and our Kafka source: what events it makes, groups, and what happens when things go wrong."""
import contextlib
import tempfile
import unittest

from flume_test import EVENTS, written_by_flume
from kafka_to_kafka_test import VARIED
from peers.extent import FULL, full
from peers.flume import FlumeAgent, event_lines_sink
from peers.kafka import VERSIONS, Cluster, record
from peers.kafka_flows import CHANNEL, kafka_source
from sink_test import said_of, security
from support.agent import Agent, file_roll, flow, lists, roll_numbers
from support.avro_peer import AvroServer
from support.avro_wire import Event
from support.certificates import Certificate
from support.varied_events import difference
from support.waiting import wait_out, wait_until

DURABLE = "type = rocksdb\ndirectory = {dir}/store\ncapacity = 1000000\n"
ADDED = ("topic", "partition", "offset", "timestamp")


def to_server(cluster, server, topics, more="", channel=CHANNEL, listener="PLAINTEXT"):
    """From Kafka through an avro sink to the tests' own server, which has each event exactly."""
    return lists("1") + flow(kafka_source(cluster, topics, more, listener),
                             "type = avro\nhostname = 127.0.0.1\nport = %d\n" % server.port, channel)


def to_files(cluster, topics, more="", folder="out", durable=False):
    text = lists("1") + flow(kafka_source(cluster, topics, more), file_roll(folder), DURABLE if durable else CHANNEL)
    return text.replace("a1.channels.c1.type = memory\n", "") if durable else text


def without(added, events):
    return [Event({k: v for k, v in each.headers.items() if k not in added}, each.body) for each in events]


def numbered(first, count, partitions=None):
    """Records whose values say which they are."""
    return [record(b"%d ." % i, partition=None if partitions is None else i % partitions)
            for i in range(first, first + count)]


class Events(unittest.TestCase):
    """The events are those that Flume's source makes of the same records."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())

    def ours(self, topics, count, more=""):
        with AvroServer() as server, Agent(to_server(self.cluster, server, topics, more)) as agent:
            events = server.wait_for_events(count, 60)
            self.assertEqual(agent.stop(), 0)
            self.assertEqual(len(server.events()), count)
        return events

    def theirs(self, topics, count, more=""):
        config = lists("1") + flow(kafka_source(self.cluster, topics, more), event_lines_sink(), CHANNEL)
        with FlumeAgent(config) as agent:
            events = agent.wait_for_events(count, 60)
            agent.stop()
        return events

    def compare(self, topics, count, more=""):
        theirs = self.theirs(topics, count, more + "kafka.consumer.group.id = theirs\n")
        ours = self.ours(topics, count, more + "kafka.consumer.group.id = ours\n")

        def place(event):
            return event.headers.get("topic"), event.headers["partition"], int(event.headers["offset"])
        self.assertEqual(difference(sorted(ours, key=place), sorted(theirs, key=place)), "")
        return ours

    def test_every_kind_of_record(self):
        self.cluster.create("varied", 3)
        # A key of other bytes than UTF-8 reaches the event as it is; Flume's has U+FFFD for them.
        records = [each._replace(partition=i % 3, key=each.key and each.key.decode(errors="ignore").encode())
                   for i, each in enumerate(VARIED)]
        self.cluster.produce("varied", records)
        self.compare("varied", len(records))

    @full
    def test_headers_that_are_asked_for(self):
        self.cluster.create("headers")
        self.cluster.produce("headers", [record(b"1", b"k", [("a", b"first"), ("a", b"last"), ("b", b"\xe2\x82\xac")]),
                                         record(b"2", headers=[("b", b"")]), record(b"3")])
        self.compare("headers", 3, "header.one = a\nheader.two = b\nheader.three = none\nsetTopicHeader = false\n")
        got = self.ours("headers", 3, "topicHeader = from\nkafka.consumer.group.id = third\n")
        self.assertEqual([each.headers.get("from") for each in got], ["headers"] * 3)

    def test_events_that_flume_wrote(self):
        self.cluster.create("events")
        written_by_flume(self.cluster, "events", EVENTS, "useFlumeEventFormat = true\n")
        got = self.compare("events", len(EVENTS), "useFlumeEventFormat = true\n")
        self.assertEqual(difference(without(ADDED, got), EVENTS), "")

    @full
    def test_several_topics_and_a_pattern(self):
        for topic in ("many-1", "many-2", "other"):
            self.cluster.create(topic)
            self.cluster.produce(topic, [record(topic.encode())])
        got = self.ours("many-1,other", 2, "kafka.consumer.group.id = list\n")
        self.assertEqual({each.body for each in got}, {b"many-1", b"other"})
        got = self.ours("", 2, "kafka.topics.regex = many-.\nkafka.consumer.group.id = pattern\n")
        self.assertEqual({each.body for each in got}, {b"many-1", b"many-2"})

    @full
    def test_only_what_was_committed(self):
        self.cluster.create("transactions")
        for value, end in ((b"one", {}), (b"two", {"end": "abort"}), (b"three", {})):
            self.cluster.produce("transactions", [record(value)], transactional_id="x", **end)
        got = self.ours("transactions", 2, "kafka.consumer.isolation.level = read_committed\n")
        self.assertEqual([each.body for each in got], [b"one", b"three"])

    @full
    def test_a_record_that_is_no_event_costs_only_itself(self):
        self.cluster.create("bad")
        good = record(b"\0\x06abc")
        self.cluster.produce("bad", [good, record(b"\xff\xff\xff\xff"), good, record(b""), record(None), good])
        with AvroServer() as server, Agent(to_server(self.cluster, server, "bad", "useFlumeEventFormat = true\n")) as agent:
            events = server.wait_for_events(3, 60)
            print("said: %s" % agent.wait_for_log(r"^.*\[(?:warning|error)\].*r1.*bad.*$", 20)[0])
            self.assertEqual(agent.stop(), 0)
        self.assertEqual([each.body for each in events], [b"abc"] * 3)


class Group(unittest.TestCase):
    VERSION = VERSIONS[0]

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(version=cls.VERSION))

    def wait_for_numbers(self, directories, count, deadline_s=60):
        def got():
            return [n for directory in directories for n in roll_numbers(directory)]
        wait_until(lambda: len(set(got())) >= count, lambda: "%d of %d" % (len(set(got())), count), deadline_s, poll_s=0.05)
        return got()

    def check_once(self, got, count):
        self.assertEqual(len(set(got)), count)
        self.assertEqual(len(got) - len(set(got)), 0, "none twice")

    def test_a_restart_goes_on_where_it_was(self):
        for durable in (False, True):
            topic = "restart-%s" % durable
            with self.subTest(durable=durable), Agent(
                    to_files(self.cluster, topic, "kafka.consumer.group.id = %s\n" % topic, durable=durable),
                    folders=["out"]) as agent:
                self.cluster.create(topic, 3)
                for turn in range(3):
                    self.cluster.produce(topic, numbered(5000 * turn, 5000, 3))
                    self.wait_for_numbers([agent.path("out")], 5000 * (turn + 1))
                    self.assertEqual(agent.stop(), 0)
                    offsets = {p: offset for (_, p), (offset, _) in self.cluster.group(topic).items()}
                    self.assertEqual(offsets, {p: end for p, (_, end) in self.cluster.ends(topic).items()})
                    agent.start()
                self.check_once(roll_numbers(agent.path("out")), 15_000)

    @full
    def test_agents_come_and_go(self):
        self.cluster.create("group", 6)
        count = 0
        with contextlib.ExitStack() as stack:
            agents = [Agent(to_files(self.cluster, "group", "kafka.consumer.group.id = g\n"), folders=["out"]) for _ in range(3)]
            folders = [agent.path("out") for agent in agents]

            def more():
                nonlocal count
                self.cluster.produce("group", numbered(count, 20_000, 6))
                count += 20_000
            more()
            for members, agent in enumerate(agents, 1):
                stack.enter_context(agent)
                more()
                wait_until(lambda: self.cluster.members("g") == members, "%d members" % members, 30, poll_s=0.1)
                more()
            self.wait_for_numbers(folders, count, 90)
            more()
            self.assertEqual(agents[0].stop(), 0)
            more()
            self.wait_for_numbers(folders, count, 90)
            self.assertEqual(agents[1].stop(), 0)
            more()
            got = self.wait_for_numbers(folders, count, 90)
            self.assertEqual(agents[2].stop(), 0)
            self.check_once(got, count)
            self.assertGreater(min(len(roll_numbers(folder)) for folder in folders), 0)

    @full
    def test_an_agent_that_is_killed(self):
        for durable in (False, True):
            topic = "killed-%s" % durable
            self.cluster.create(topic, 3)
            with self.subTest(durable=durable), Agent(
                    to_files(self.cluster, topic, "kafka.consumer.group.id = %s\nkafka.consumer.session.timeout.ms = 6000\n" % topic,
                             durable=durable), folders=["out"]) as agent:
                count = 0
                for _ in range(5):
                    self.cluster.produce(topic, numbered(count, 30_000, 3))
                    count += 30_000
                    self.wait_for_numbers([agent.path("out")], count - 25_000)
                    agent.kill(9)
                    agent.wait()
                    agent.start()
                got = self.wait_for_numbers([agent.path("out")], count, 90)
                self.assertEqual(agent.stop(), 0)
                print("durable %s: %d came twice after five kills" % (durable, len(got) - len(set(got))))
                if durable:
                    self.check_once(got, count)


    def to_collector(self, topic, port, durable):
        """From Kafka to the collector; a record that it has not got is the group's again after six seconds."""
        keys = "kafka.consumer.group.id = %s\nkafka.consumer.session.timeout.ms = 6000\n" % topic
        text = lists("1") + flow(kafka_source(self.cluster, topic, keys),
                                 "type = avro\nhostname = 127.0.0.1\nport = %d\nbatch-size = 500\n" % port,
                                 DURABLE if durable else CHANNEL)
        return text.replace("a1.channels.c1.type = memory\n", "") if durable else text

    @full
    def test_two_agents_of_a_group_and_a_collector_that_has_each_record_once(self):
        collector = lists("1") + flow("type = avro\nbind = 127.0.0.1\nport = 0\n", file_roll(), DURABLE)
        collector = collector.replace("a1.channels.c1.type = memory\n", "")
        for durable in (False, True):
            topic = "collected-%s" % durable
            self.cluster.create(topic, 6)
            with self.subTest(durable=durable), Agent(collector, folders=["out"], monitoring=True) as at, contextlib.ExitStack() as stack:
                agents = [stack.enter_context(Agent(self.to_collector(topic, at.port(), durable))) for _ in range(2)]
                wait_until(lambda: self.cluster.members(topic) == 2, "both are members", 30, poll_s=0.1)
                count = 0
                for turn in range(6):
                    self.cluster.produce(topic, numbered(count, 40_000, 6))
                    count += 40_000
                    self.wait_for_numbers([at.path("out")], count - 35_000)
                    agents[turn % 2].kill(9)
                    agents[turn % 2].wait()
                    if turn < 4:
                        agents[turn % 2].start()
                    else:  # The other one is left with all of it.
                        self.wait_for_numbers([at.path("out")], count - 20_000)
                        agents[turn % 2].start()
                got = self.wait_for_numbers([at.path("out")], count, 120)
                print("durable %s: %d dropped as repetitions" % (durable, at.sample("sluice_source_doubles_events_total")))
                for each in (*agents, at):
                    self.assertEqual(each.stop(), 0)
                self.check_once(roll_numbers(at.path("out")), count)
                self.assertEqual(set(got), set(range(count)))


@full
class GroupOfKafka39(Group):
    VERSION = "3.9"


class Trouble(unittest.TestCase):
    def received(self, agent):
        return roll_numbers(agent.path("out"))

    def wait_for_all(self, agent, count, deadline_s=90):
        wait_until(lambda: len(set(self.received(agent))) >= count,
                   lambda: "%d of %d" % (len(set(self.received(agent))), count), deadline_s, poll_s=0.05)

    @full
    def test_a_broker_that_comes_late_goes_and_comes_back(self):
        with Cluster() as cluster:
            cluster.create("t", 3)
            cluster.produce("t", numbered(0, 1000))
            node = cluster.nodes[0]
            node.die()
            with Agent(to_files(cluster, "t"), folders=["out"]) as agent:
                print("said: %s" % agent.wait_for_log(r"^.*r1.*(?:refused|broker).*$", 30)[0])
                node.start_again()
                self.wait_for_all(agent, 1000)
                for turn in range(1, 3 if FULL else 2):
                    node.die()
                    node.start_again()
                    wait_until(lambda: -1 not in [each[1] for each in cluster.describe("t")], "leaders", 30)
                    cluster.produce("t", numbered(1000 * turn, 1000))
                    self.wait_for_all(agent, 1000 * (turn + 1))
                self.assertEqual(agent.stop(), 0)
                self.assertEqual(len(self.received(agent)), len(set(self.received(agent))))

    @full
    def test_one_broker_of_three_is_killed(self):
        with Cluster(3) as cluster:
            cluster.create("t", 3)
            with Agent(to_files(cluster, "t", durable=True), folders=["out"]) as agent:
                # What groups are kept in is made for the first of them, and not with two brokers.
                cluster.produce("t", numbered(0, 1))
                self.wait_for_all(agent, 1)
                for turn in range(3):
                    cluster.produce("t", numbered(max(1, 20_000 * turn), 20_000 - (turn == 0)))
                    leader = cluster.leader("t", turn)
                    leader.die()
                    self.wait_for_all(agent, 20_000 * (turn + 1))
                    leader.start_again()
                    cluster.wait_until_in_sync("t")
                self.assertEqual(agent.stop(), 0)
                self.assertEqual(len(self.received(agent)), 60_000)

    @full
    def test_a_topic_that_is_made_anew(self):
        for durable in (False, True):
            with self.subTest(durable=durable), Cluster() as cluster:
                cluster.create("t")
                with Agent(to_files(cluster, "t", durable=durable), folders=["out"]) as agent:
                    cluster.produce("t", numbered(0, 1000))
                    self.wait_for_all(agent, 1000)
                    cluster.shell.ask("delete", "t")
                    cluster.create("t")
                    cluster.produce("t", numbered(1000, 200))
                    self.wait_for_all(agent, 1200, 60)
                    print("said: %s" % agent.wait_for_log(r"^.*\[(?:warning|error)\].*r1.*t-0.*$", 10)[0])
                    self.assertEqual(agent.stop(), 0)

    @full
    def test_brokers_that_cannot_keep_groups(self):
        with Cluster(settings="offsets.topic.replication.factor = 3\n") as cluster:
            cluster.create("t")
            cluster.produce("t", numbered(0, 1000))
            with Agent(to_files(cluster, "t"), folders=["out"]) as agent:
                print("said: %s" % agent.wait_for_log(r"^.*source r1.*offsets\.topic\.replication\.factor.*$", 40)[0])
                self.assertLess(len(said_of(agent, "source r1")), 5)
                self.assertEqual(agent.stop(), 0)

    @full
    def test_a_topic_that_is_made_later(self):
        for once in (False, True):
            with self.subTest(once=once), Cluster(settings="auto.create.topics.enable = false\n") as cluster, \
                    Agent(to_files(cluster, "t"), folders=["out"], arguments=["--once"] if once else ()) as agent:
                agent.wait_for_log(r"^.*source r1.*there is no such topic.*$", 60)
                wait_out(25, agent.running)
                self.assertLess(len(said_of(agent, "source r1")), 10)
                print("said:", *said_of(agent, "source r1"), sep="\n      ")
                self.assertNotIn("offsets.topic.replication.factor", agent.log())
                cluster.create("t", 3)
                cluster.produce("t", numbered(0, 1000))
                self.wait_for_all(agent, 1000, 60)
                self.assertEqual(agent.wait(30) if once else agent.stop(), 0)

    @full
    def test_each_listener(self):
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
            certificate = Certificate(directory)
            with Cluster(listeners=("SSL", "SASL_PLAINTEXT"), certificate=certificate) as cluster:
                cluster.create("t")
                cluster.produce("t", numbered(0, 10))
                for listener, keys in (
                        ("SSL", security("SSL", None) + "kafka.producer.ssl.truststore.type = PEM\n"
                         "kafka.producer.ssl.truststore.location = %s\n" % certificate.certificate),
                        ("SASL_PLAINTEXT", security("SASL_PLAINTEXT", "PLAIN"))):
                    keys = keys.replace("kafka.producer", "kafka.consumer")
                    with self.subTest(keys=keys), AvroServer() as server, Agent(
                            to_server(cluster, server, "t", keys + "kafka.consumer.group.id = g-%d\n" % len(keys),
                                      listener=listener)) as agent:
                        server.wait_for_events(10)
                        self.assertEqual(agent.stop(), 0)
                keys = security("SASL_PLAINTEXT", "PLAIN", "wrong").replace("kafka.producer", "kafka.consumer")
                with AvroServer() as server, Agent(to_server(cluster, server, "t", keys, listener="SASL_PLAINTEXT")) as agent:
                    print("said: %s" % agent.wait_for_log(r"^.*r1.*[Aa]uthentication.*$", 30)[0])
                    self.assertEqual(agent.stop(), 0)
