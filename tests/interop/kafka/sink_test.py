"""Our Kafka sink and the real Kafka: the tutorial, what is written, and what happens when things go wrong."""
import contextlib
import os
import shutil
import signal
import tempfile
import unittest

from flume_test import EVENTS, read_by_flume, written_by_flume
from peers.extent import FULL, full, some
from peers.kafka import PASSWORD, USER, VERSIONS, Cluster, jaas, kafka
from peers.kafka_flows import CHANNEL, kafka_sink
from support import avro_wire
from support.agent import SHARED, Agent, flow, lists, run_sluice
from support.avro_peer import AvroClient
from support.avro_wire import Event
from support.certificates import Certificate
from support.mounts import mount_small, remount, unmount
from support.net import free_port, is_free, refusing_port
from support.varied_events import difference
from support.waiting import wait_out, wait_until

ARTICLE = os.path.join(SHARED, "seeds", "002_d1a5fea91bebf51d.txt")
AVRO = "type = avro\nbind = 127.0.0.1\nport = 0\n"
TAIL = "type = TAILDIR\nfilegroups = g\nfilegroups.g = {dir}/in/.*\npositionFile = {dir}/positions.json\nbatchSize = 1000\n"


def avro_to_kafka(cluster, topic, more="", channel=CHANNEL, listener="PLAINTEXT"):
    return lists("1") + flow(AVRO, kafka_sink(cluster, topic, more, listener), channel)


def send(agent, events):
    """Through the agent's avro source, 100 a call."""
    with AvroClient(agent.port()) as client:
        for first in range(0, len(events), 100):
            answer = client.append_batch(events[first:first + 100])
            if answer != "OK":
                raise AssertionError("the agent's avro source answered %s" % (answer,))


def file_of_article(name):
    """The configuration that begins with "# filename: NAME"."""
    with open(ARTICLE) as file:
        text = file.read()
    begin = text.index("# filename: %s" % name)
    return text[begin:text.index("```", begin)]


# --- The tutorial ---------------------------------------------------------------------------------


@unittest.skipUnless(os.path.exists(ARTICLE), "the article is not here")
class Tutorial(unittest.TestCase):
    """To the letter where its ports are free; else only they differ. And the folder of the file that is watched."""

    def setUp(self):
        self.kafka_port = 9092 if is_free(9092) else free_port()
        self.avro_port = 44444 if is_free(44444) else free_port()

    def agent(self, name, file, article_file, directory=None):
        text = file_of_article(article_file)
        for port, ours in (("9092", self.kafka_port), ("44444", self.avro_port)):
            text = text.replace("localhost:" + port, "localhost:%d" % ours).replace("port = " + port, "port = %d" % ours)
        text = text.replace("/tmp/", "{dir}/")
        return Agent(text, directory=directory, file_name=file, command=(
            "exec {bin}/flume-ng agent --name %s --conf $FLUME-HOME/conf --conf-file %s "
            "-Dflume.root.logger=INFO,console" % (name, file)))

    def test_what_is_written_into_the_file_is_shown_by_the_console_consumer(self):
        with Cluster(port=self.kafka_port) as cluster, \
                self.agent("avro-memory-kafka", "avro-memory-kafka.conf", "avro-memeory-kafka.conf") as second:
            second.wait_until_running()
            with self.agent("a1", "exec-memory-avro.conf", "exec-memeory-avro.conf", second.directory) as first, \
                    Agent(command=kafka().java("console-consumer", "--bootstrap-server", "localhost:%d" % self.kafka_port,
                                               "--topic", "test", "--from-beginning")) as consumer:
                first.wait_until_running()
                for word in ("hello", "hello", "welcome"):
                    with open(second.path("data.log"), "a") as file:
                        file.write(word + "\n")

                def shown():
                    with open(consumer.path("stdout")) as file:
                        return file.read()
                wait_until(lambda: shown().count("\n") >= 3, lambda: "three lines: %r" % shown(), 30)
                self.assertEqual(shown(), "hello\nhello\nwelcome\n")
                consumer.kill(9)
                self.assertEqual(first.stop(), 0)
            self.assertEqual(second.stop(), 0)
            self.assertEqual([(each.key, each.headers, each.value) for each in cluster.read("test")],
                             [(None, (), word) for word in (b"hello", b"hello", b"welcome")])


# --- What is written ------------------------------------------------------------------------------


class Written(unittest.TestCase):
    """The records are those that Flume's sink makes of the same events."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())

    def ours(self, topic, events, more="", settle=None):
        with Agent(avro_to_kafka(self.cluster, topic, more)) as agent:
            send(agent, events)
            self.cluster.wait_for_count(topic, settle or len(events))
            self.assertEqual(agent.stop(), 0)
        return self.cluster.read(topic)

    def test_bodies_alone(self):
        self.cluster.create("bodies")
        records = self.ours("bodies", EVENTS)
        self.assertEqual([each.value for each in records], [each.body for each in EVENTS])
        self.assertEqual({each.headers for each in records}, {()})
        self.assertEqual([each.key for each in records], [each.headers["key"].encode() if "key" in each.headers else None
                                                          for each in EVENTS])

    def test_events_as_flume_has_them(self):
        self.cluster.create("events")
        records = self.ours("events", EVENTS, "useFlumeEventFormat = true\n")
        for each, event in zip(records, EVENTS):
            reader = avro_wire.Reader(each.value)
            self.assertEqual(reader.event(), event)
        got = read_by_flume(self.cluster, "events", len(EVENTS), "useFlumeEventFormat = true\n")
        self.assertEqual(difference(got, EVENTS), "")

    def test_events_without_headers_are_flumes_to_the_byte(self):
        events = [Event({}, b"x" * size) for size in (0, 1, 63, 64, 8191, 8192, 100_000)] + [Event({"a": "b"}, b"c")]
        for topic in ("bytes-flume", "bytes-ours"):
            self.cluster.create(topic)
        theirs = written_by_flume(self.cluster, "bytes-flume", events, "useFlumeEventFormat = true\n")
        ours = self.ours("bytes-ours", events, "useFlumeEventFormat = true\n")
        self.assertEqual([each.value for each in ours], [each.value for each in theirs])

    @full
    def test_keys_have_the_partitions_that_they_have_with_flume(self):
        events = [Event({"key": "key %d" % i}, b"%d" % i) for i in range(200)] + [
            Event({"key": "\u20ac"}, b"euro"), Event({"key": ""}, b"empty"), Event({"key": "k", "to": "3"}, b"to 3")]
        for topic in ("keys-flume", "keys-ours"):
            self.cluster.create(topic, 5)
        more = "partitionIdHeader = to\n"
        theirs = written_by_flume(self.cluster, "keys-flume", events, more)
        ours = self.ours("keys-ours", events, more)
        self.assertEqual([(each.partition, each.key, each.value) for each in ours],
                         [(each.partition, each.key, each.value) for each in theirs])

    @full
    def test_topics_of_their_own(self):
        for topic in ("first", "second", "third"):
            self.cluster.create(topic)
        events = [Event({"topic": "second", "key": "\u20ac"}, b"to second"), Event({"topic": "third"}, b"to third"),
                  Event({}, b"to first")]
        self.ours("first", events, settle=1)
        for topic in ("first", "second", "third"):
            self.cluster.wait_for_count(topic, 1)
            self.assertEqual([each.value for each in self.cluster.read(topic)], [b"to " + topic.encode()])

    @full
    def test_a_partition_for_all(self):
        self.cluster.create("fixed", 3)
        records = self.ours("fixed", [Event({}, b"%d" % i) for i in range(50)], "defaultPartitionId = 1\n")
        self.assertEqual([(each.partition, each.value) for each in records], [(1, b"%d" % i) for i in range(50)])

    @full
    def test_each_codec_arrives_compressed(self):
        for codec in ("gzip", "snappy", "lz4", "zstd"):
            with self.subTest(codec=codec):
                self.cluster.create(codec)
                events = [Event({}, b"a" * 1000)] * 100
                self.ours(codec, events, "kafka.producer.compression.type = %s\nkafka.producer.linger.ms = 50\n" % codec)
                _, said, _ = kafka().run("dump-log", "--files", self.cluster.nodes[0].path(
                    "data", codec + "-0", "00000000000000000000.log"))
                self.assertIn("compresscodec: %s" % codec, said)
                self.assertNotIn("compresscodec: none", said)

    @full
    def test_old_key_names(self):
        self.cluster.create("old")
        sink = "type = org.apache.flume.sink.kafka.KafkaSink\nbrokerList = %s\ntopic = old\nrequiredAcks = 1\nbatchSize = 20\n" % (
            self.cluster.bootstrap())
        with Agent(lists("1") + flow(AVRO, sink, CHANNEL)) as agent:
            send(agent, [Event({}, b"by its old names")])
            self.cluster.wait_for_count("old", 1)
            self.assertEqual(agent.stop(), 0)


class OldBroker(unittest.TestCase):
    @full
    def test_kafka_3_9(self):
        with Cluster(version="3.9") as cluster:
            cluster.create("t", 3)
            with Agent(avro_to_kafka(cluster, "t", "useFlumeEventFormat = true\n")) as agent:
                send(agent, EVENTS)
                cluster.wait_for_count("t", len(EVENTS))
                self.assertEqual(agent.stop(), 0)
            got = [avro_wire.Reader(each.value).event() for each in cluster.read("t")]
            self.assertEqual(sorted(got, key=repr), sorted(EVENTS, key=repr))


# --- Security -------------------------------------------------------------------------------------


class Security(unittest.TestCase):
    @full
    def test_each_listener(self):
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
            certificate = Certificate(directory)
            trust = "kafka.producer.ssl.truststore.type = PEM\nkafka.producer.ssl.truststore.location = %s\n" % certificate.certificate
            for version in VERSIONS:
                with Cluster(version=version, listeners=("SSL", "SASL_PLAINTEXT", "SASL_SSL"),
                             certificate=certificate) as cluster:
                    self.right(cluster, version, trust)
                    self.wrong(cluster)

    def right(self, cluster, version, trust):
        cases = [("SSL", None, trust), ("SASL_PLAINTEXT", "PLAIN", ""), ("SASL_SSL", "PLAIN", trust)]
        if version == "3.9":  # Kafka 4 takes SCRAM only of librdkafka 2.6.1 and later.
            cases += [("SASL_PLAINTEXT", "SCRAM-SHA-256", ""), ("SASL_SSL", "SCRAM-SHA-256", trust)]
        for listener, mechanism, keys in cases:
            topic = "%s-%s" % (listener, mechanism)
            cluster.create(topic)
            with self.subTest(topic, version=version), Agent(avro_to_kafka(
                    cluster, topic, keys + security(listener, mechanism), listener=listener)) as agent:
                send(agent, [Event({}, b"safe")] * 10)
                cluster.wait_for_count(topic, 10)
                self.assertEqual(agent.stop(), 0)

    def wrong(self, cluster):
        secret = "not the %s" % PASSWORD
        for listener, keys, said in (
                ("SASL_PLAINTEXT", security("SASL_PLAINTEXT", "PLAIN", secret), "[Aa]uthentication"),
                ("SASL_PLAINTEXT", security("SASL_PLAINTEXT", "SCRAM-SHA-256", secret), "[Aa]uthentication"),
                ("SSL", security("SSL", None), "certificate")):
            with self.subTest(listener=listener, keys=keys), \
                    Agent(avro_to_kafka(cluster, "nowhere", keys, listener=listener)) as agent:
                send(agent, [Event({}, b"kept")] * 10)
                line = agent.wait_for_log(r"^.*sink k1.*%s.*$" % said, 30)
                print("said: %s" % line[0])
                self.assertNotIn(secret, agent.log())
                self.assertEqual(agent.stop(), 0)


def security(listener, mechanism, password=PASSWORD):
    """Keys of the sink, as a Java client has them."""
    keys = "kafka.producer.security.protocol = %s\n" % listener
    if mechanism:
        keys += "kafka.producer.sasl.mechanism = %s\nkafka.producer.sasl.jaas.config = %s\n" % (
            mechanism, jaas(password, mechanism, USER))
    return keys


# --- Trouble --------------------------------------------------------------------------------------


def values(cluster, topic):
    return [int(each.value.split(b" ")[0]) for each in cluster.read(topic)]


class Load:
    """Numbered lines in a file that an agent tails."""

    def __init__(self, agent):
        self.path, self.next = agent.path("in", "lines"), 0

    def write(self, count, width=100):
        with open(self.path, "ab") as file:
            file.write(b"".join(b"%d %s\n" % (i, b"x" * width) for i in range(self.next, self.next + count)))
        self.next += count


def tail_to_kafka(cluster, topic, more="", channel="capacity = 20000\ntransactionCapacity = 1000\n", listener="PLAINTEXT"):
    return Agent(lists("1") + flow(TAIL, kafka_sink(cluster, topic, "kafka.flumeBatchSize = 1000\n" + more, listener), channel),
                 folders=["in"], monitoring=True)


def said_of(agent, component="sink k1"):
    """The warnings and errors about it."""
    return [line for line in agent.log().splitlines() if component in line and ("[warning]" in line or "[error]" in line)]


class Trouble(unittest.TestCase):
    def check_all(self, cluster, topic, count, in_order=True):
        got = values(cluster, topic)
        missing = sorted(set(range(count)) - set(got))
        self.assertEqual(missing[:10], [], "%d of %d are missing" % (len(missing), count))
        first_times = list(dict.fromkeys(got))
        if in_order:
            self.assertEqual(first_times, sorted(first_times), "in their order")
        print("%d events, %d came twice" % (count, len(got) - count))
        return len(got) - count

    def arrived(self, cluster, topic, count, deadline_s=90):
        cluster.wait_for_count(topic, count, deadline_s)

    def test_a_broker_that_comes_late_goes_and_comes_back(self):
        for version in some(VERSIONS, VERSIONS[:1]):
            with self.subTest(version=version), Cluster(version=version) as cluster:
                cluster.create("t")
                node = cluster.nodes[0]
                node.die()
                with tail_to_kafka(cluster, "t") as agent:
                    load = Load(agent)
                    load.write(30_000)
                    line = agent.wait_for_log(r"^.*sink k1.*(?:127\.0\.0\.1:%d|refused|broker).*$" % cluster.ports[0]["PLAINTEXT"], 30)
                    print("said: %s" % line[0])
                    # The channel is full, nothing is lost, and memory has its bounds.
                    wait_until(lambda: agent.metrics()["CHANNEL.c1"]["ChannelSize"] != "0", "events wait in the channel", 20)
                    node.start_again()
                    self.arrived(cluster, "t", 30_000)
                    for _ in range(3 if FULL else 1):
                        load.write(50_000)
                        self.arrived(cluster, "t", load.next - 40_000)
                        node.die()
                        load.write(1000)
                        node.start_again()
                        self.arrived(cluster, "t", load.next)
                    self.assertEqual(agent.stop(), 0)
                self.check_all(cluster, "t", load.next)

    @full
    def test_a_broker_that_is_frozen(self):
        with Cluster() as cluster:
            cluster.create("t")
            with tail_to_kafka(cluster, "t", "kafka.producer.request.timeout.ms = 3000\n") as agent:
                load = Load(agent)
                load.write(1000)
                self.arrived(cluster, "t", 1000)
                cluster.nodes[0].kill(signal.SIGSTOP)
                load.write(50_000)
                wait_out(10, agent.running)
                cluster.nodes[0].kill(signal.SIGCONT)
                self.arrived(cluster, "t", load.next)
                self.assertEqual(agent.stop(), 0)
            self.check_all(cluster, "t", load.next)

    def check_not_a_flood(self, agent, lines_max, component="sink k1"):
        said = said_of(agent, component)
        print("said:", *said, sep="\n      ")
        self.assertTrue(0 < len(said) <= lines_max, "%d lines about it" % len(said))

    def check_held_back(self, agent, capacity):
        """The channel is as full as it gets by batches of several thousand events, and its source waits."""
        def size():
            return int(agent.metrics()["CHANNEL.c1"]["ChannelSize"])
        wait_until(lambda: size() > capacity // 2, lambda: "%d of %d in the channel" % (size(), capacity), 30)
        self.assertLessEqual(size(), capacity)

    @full
    def test_brokers_that_are_away_longer_than_a_record_is_waited_for(self):
        with Cluster() as cluster:
            cluster.create("t")
            with tail_to_kafka(cluster, "t") as agent:
                load = Load(agent)
                load.write(20_000)
                self.arrived(cluster, "t", 20_000)
                cluster.nodes[0].die()
                load.write(100_000)
                self.check_held_back(agent, 20_000)
                wait_out(140, agent.running)  # delivery.timeout.ms is 120 s
                self.assertIn("delivery.timeout.ms", agent.log())
                self.check_held_back(agent, 20_000)
                cluster.nodes[0].start_again()
                self.arrived(cluster, "t", load.next)
                self.assertEqual(agent.stop(), 0)
                self.check_not_a_flood(agent, 20)
            self.assertEqual(self.check_all(cluster, "t", load.next), 0)

    @full
    def test_a_login_that_is_right_later(self):
        with Cluster(listeners=("SASL_PLAINTEXT",)) as cluster:
            cluster.create("t")
            node = cluster.nodes[0]
            with tail_to_kafka(cluster, "t", security("SASL_PLAINTEXT", "PLAIN", "another"), listener="SASL_PLAINTEXT") as agent:
                load = Load(agent)
                load.write(50_000)
                self.check_held_back(agent, 20_000)
                agent.wait_for_log(r"^.*sink k1.*[Aa]uthentication.*$", 30)
                wait_out(20, agent.running)
                with open(node.config) as file:
                    text = file.read()
                with open(node.config, "w") as file:
                    file.write(text.replace('user_%s="%s"' % (USER, PASSWORD), 'user_%s="another"' % USER))
                node.die()
                node.start_again()
                self.arrived(cluster, "t", load.next)
                self.assertEqual(agent.stop(), 0)
                self.check_not_a_flood(agent, 20)
            self.assertEqual(self.check_all(cluster, "t", load.next), 0)

    @full
    def test_a_cluster_without_enough_replicas_in_sync(self):
        with Cluster(3) as cluster:
            cluster.create("t")
            with tail_to_kafka(cluster, "t") as agent:
                load = Load(agent)
                load.write(20_000)
                self.arrived(cluster, "t", 20_000)
                leader = cluster.leader("t")
                others = [node for node in cluster.nodes if node is not leader]
                for node in others:
                    node.die()
                load.write(100_000)
                self.check_held_back(agent, 20_000)
                wait_out(20, agent.running)
                for node in others:
                    node.start()
                for node in others:
                    node.wait_until_started()
                self.arrived(cluster, "t", load.next)
                self.assertEqual(agent.stop(), 0)
                self.check_not_a_flood(agent, 20)
            self.check_all(cluster, "t", load.next)

    @full
    def test_stop_while_no_broker_answers(self):
        with Cluster() as cluster:
            cluster.nodes[0].die()
            with Agent(avro_to_kafka(cluster, "t")) as agent:
                send(agent, [Event({}, b"kept")] * 500)
                agent.wait_for_log(r"sink k1", 20)
                self.assertEqual(agent.stop(deadline_s=20), 0)

    @full
    def test_a_topic_that_nobody_makes_for_us(self):
        with Cluster(settings="auto.create.topics.enable = false\n") as cluster:
            with tail_to_kafka(cluster, "missing") as agent:
                load = Load(agent)
                load.write(5000)
                agent.wait_for_log(r"^.*sink k1.*missing.*$", 60)
                wait_out(20, agent.running)
                cluster.create("missing")
                self.arrived(cluster, "missing", 5000)
                self.assertEqual(agent.stop(), 0)
                self.check_not_a_flood(agent, 12)
            self.check_all(cluster, "missing", 5000)

    @full
    def test_what_the_broker_will_never_take_becomes_a_dead_letter(self):
        with Cluster() as cluster:
            cluster.create("t", max_message_bytes=10_000)
            text = lists("1") + flow(AVRO, kafka_sink(cluster, "t", "deadLetterChannel = c9\n"), CHANNEL)
            text = text.replace("a1.channels = c1", "a1.channels = c1 c9").replace("a1.sinks = k1", "a1.sinks = k1 k9")
            text += "a1.channels.c9.type = memory\na1.sinks.k9.type = file_roll\na1.sinks.k9.channel = c9\n"
            text += "a1.sinks.k9.sink.directory = {dir}/dead\na1.sinks.k9.sink.rollInterval = 0\n"
            big = {7, 8, 500}
            events = [Event({}, b"%d %s" % (i, os.urandom(20_000 if i in big else 50).hex().encode())) for i in range(1000)]
            with Agent(text, folders=["dead"]) as agent:
                send(agent, events)
                self.arrived(cluster, "t", len(events) - len(big))

                def dead():
                    return b"".join(open(agent.path("dead", name), "rb").read() for name in os.listdir(agent.path("dead")))
                wait_until(lambda: dead().count(b"\n") >= len(big), lambda: "dead letters: %r" % dead()[:200], 20)
                self.assertEqual(agent.stop(), 0)
                self.assertEqual({int(line.split(b" ")[0]) for line in dead().split(b"\n")[:-1]}, big)
            got = values(cluster, "t")
            self.assertEqual(set(got), set(range(1000)) - big)
            self.assertEqual(list(dict.fromkeys(got)), sorted(set(got)))
            print("%d came twice" % (len(got) - len(set(got))))

    @full
    def test_the_disk_of_the_broker_is_full(self):
        with contextlib.ExitStack() as stack:
            def small_disk(node):
                os.mkdir(node.path("data"))
                if not mount_small(node.path("data"), "40m"):
                    self.skipTest("no mounting here")
                stack.callback(shutil.rmtree, node.directory, True)
                stack.callback(unmount, node.path("data"))
            with Cluster(settings="metadata.log.dir = {dir}/metadata\nlog.segment.bytes = 8388608\n",
                         before_start=small_disk) as cluster:
                cluster.create("t")
                node = cluster.nodes[0]
                with tail_to_kafka(cluster, "t") as agent:
                    load = Load(agent)
                    load.write(100_000, width=500)
                    node.wait(60)  # Kafka halts when it cannot write.
                    agent.wait_for_log(r"^.*sink k1.*$", 60)
                    self.check_held_back(agent, 20_000)
                    self.assertTrue(remount(node.path("data"), "size=400m"))
                    node.start_again()
                    self.arrived(cluster, "t", 100_000)
                    self.assertEqual(agent.stop(), 0)
                    self.check_not_a_flood(agent, 12)
                self.check_all(cluster, "t", 100_000)

    @full
    def test_one_broker_of_three_is_killed_under_load(self):
        with Cluster(3) as cluster:
            cluster.create("t", 3)
            with tail_to_kafka(cluster, "t") as agent:
                load = Load(agent)
                for turn in range(4):
                    load.write(40_000)
                    self.arrived(cluster, "t", load.next - 35_000)
                    leader = cluster.leader("t", turn % 3)
                    leader.die()
                    self.arrived(cluster, "t", load.next)
                    leader.start_again()
                    cluster.wait_until_in_sync("t")
                self.assertEqual(agent.stop(), 0)
            self.check_all(cluster, "t", load.next, in_order=False)

    @full
    def test_check_needs_no_broker(self):
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
            path = os.path.join(directory, "a1.conf")
            for keys, failed, said in (("", False, ""), ("kafka.producer.acks = sometimes\n", True, "acks"),
                                       ("kafka.producer.lingr.ms = 1\n", False, "did you mean 'linger.ms'")):
                with open(path, "w") as file:
                    file.write(lists("1") + flow(AVRO, "type = org.apache.flume.sink.kafka.KafkaSink\n"
                                                 "kafka.bootstrap.servers = 127.0.0.1:%d\n%s" % (refusing_port(), keys)))
                done = run_sluice("check", "--conf-file", path)
                self.assertEqual((done[0] != 0, said in "".join(done[1:])), (failed, True), done)
