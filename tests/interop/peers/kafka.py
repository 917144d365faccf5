"""Apache Kafka: nodes as processes of their own, one shell of Kafka's clients beside them, Kafka's tools."""
import base64
import collections
import contextlib
import functools
import os
import subprocess
import urllib.parse

from support.agent import ROOT, Agent
from support.certificates import Certificate
from support.waiting import wait_until

from .java import QUICK, Program, Shell, die_with_parent, lasting_port

HERE = os.path.join(ROOT, "tests", "interop", "kafka")
VERSIONS = ("4.3", "3.9")
CLUSTER_ID = "c2x1aWNlLWludGVyb3AtMQ"
USER, PASSWORD = "sluice", "secret"
NAMED = {"console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
         "producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
         "consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
         "dump-log": "org.apache.kafka.tools.DumpLogSegments"}
NAMED_OTHERWISE = {"3.9": {"dump-log": "kafka.tools.DumpLogSegments"}}


class Kafka(Program):
    """One version of Kafka on this machine."""

    def __init__(self, version):
        super().__init__("Kafka", HERE, version, ("kafka_", "kafka-clients", "kafka-tools-"))

    def java(self, main, *arguments, heap_mb=256, options=QUICK):
        """The command line of a class, or of a tool by the name that Kafka's scripts give it."""
        archive = ["-XX:SharedArchiveFile=" + self.archive] if os.path.exists(self.archive) else []
        main = NAMED_OTHERWISE.get(self.version, {}).get(main) or NAMED.get(main, main)
        return ["java", "-Xmx%dm" % heap_mb, *archive, *options, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
                "-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
                "-cp", ":".join(self.jars), main, *map(str, arguments)]

    def run(self, main, *arguments, stdin=b"", deadline_s=60, **more):
        """A tool that ends by itself: (exit status, stdout, stderr)."""
        done = subprocess.run(self.java(main, *arguments, **more), input=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=deadline_s)
        return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


@functools.lru_cache(maxsize=None)
def kafka(version=VERSIONS[0]):
    """Once for a version and a machine, a node runs for the archive of the classes that it loads."""
    it = Kafka(version)
    if not os.path.exists(it.archive):
        with Cluster(of=it, options=(*QUICK, "-XX:ArchiveClassesAtExit=%s.new" % it.archive)) as cluster:
            cluster.create("any")
            cluster.produce("any", [record(b"any")])
            cluster.read("any")
            cluster.nodes[0].stop(deadline_s=60)
        with contextlib.suppress(FileNotFoundError):  # Java had its reasons; a start takes longer then.
            os.replace(it.archive + ".new", it.archive)
    return it


# --- Nodes ----------------------------------------------------------------------------------------


class Node(Agent):
    """Broker and controller in one process; used as support.agent.Agent, and kill() and start() as often as one likes."""

    def __init__(self, number, config, of, heap_mb, options):
        super().__init__(config, file_name="server.properties", prepare=die_with_parent)
        self.number = number
        self.starts = 0
        self.command = of.java("sluice.RunKafka", self.config, CLUSTER_ID, self.path("data"),
                                           "SCRAM-SHA-256=[name=%s,password=%s]" % (USER, PASSWORD),
                                           heap_mb=heap_mb, options=options)

    def start(self):
        self.starts += 1
        super().start()

    def wait_until_started(self, deadline_s=60):
        self.wait_for_log(r"Kafka Server started", deadline_s, self.starts)

    def die(self):
        self.kill(9)
        self.wait()

    def start_again(self):
        self.start()
        self.wait_until_started()


class Cluster:
    """A cluster of `nodes` nodes on loopback, for a with statement.

    It listens on PLAINTEXT and on what `listeners` names besides: SSL, SASL_PLAINTEXT, SASL_SSL, with the certificate
    `certificate` and the user USER (PLAIN and SCRAM-SHA-256). `settings` are more lines for server.properties. It trades
    nothing for speed but time-outs, which are shorter, and internal topics of few partitions. `port` is of node 1.
    `before_start` is called with each node, once, before it makes its folder data.
    """

    def __init__(self, nodes=1, version=VERSIONS[0], listeners=(), settings="", heap_mb=320, options=QUICK, certificate=None,
                 port=None, before_start=lambda node: None, of=None):
        self.kafka = of or kafka(version)
        self.listeners = ("PLAINTEXT", *listeners)
        self.ports = [{name: lasting_port() for name in (*self.listeners, "CONTROLLER")} for _ in range(nodes)]
        self.ports[0]["PLAINTEXT"] = port or self.ports[0]["PLAINTEXT"]
        self.certificate = certificate
        self.stack = contextlib.ExitStack()
        self.settings = settings
        self.before_start = before_start
        self.nodes = []
        self.make_node = lambda number: Node(number, self.properties(number), self.kafka, heap_mb, options)

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for number in range(1, len(self.ports) + 1):
                node = self.make_node(number)
                stack.push(self.end_of(node))
                self.before_start(node)
                node.start()
                self.nodes.append(node)
            self.shell = stack.enter_context(Shell("Kafka", self.kafka.java("sluice.KafkaShell", self.bootstrap(), heap_mb=512)))
            for node in self.nodes:
                node.wait_until_started()
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        self.stack.__exit__(*error)

    @staticmethod
    def end_of(node):
        """Killed: nobody needs what is in it, and an orderly end takes seconds."""
        def end(*error):
            if node.process is not None:
                if node.running():
                    node.kill(9)
                node.wait()
                node.__exit__(*error)
        return end

    def bootstrap(self, listener="PLAINTEXT"):
        return ",".join("127.0.0.1:%d" % ports[listener] for ports in self.ports)

    def properties(self, number):
        ports, count = self.ports[number - 1], len(self.ports)
        text = PROPERTIES % {
            "number": number, "copies": min(3, count), "in_sync": min(2, count),
            "listeners": ",".join("%s://127.0.0.1:%d" % each for each in ports.items()),
            "advertised": ",".join("%s://127.0.0.1:%d" % (name, ports[name]) for name in self.listeners),
            "voters": ",".join("%d@127.0.0.1:%d" % (i + 1, each["CONTROLLER"]) for i, each in enumerate(self.ports))}
        if any("SASL" in name for name in self.listeners):
            text += SASL % {"user": USER, "password": PASSWORD}
        if any(name in ("SSL", "SASL_SSL") for name in self.listeners):
            text += TLS % {"keystore": self.certificate.pkcs12, "password": Certificate.password}
        return text + self.settings

    # What tests ask

    def settings_for(self, listener, password=PASSWORD, mechanism="PLAIN"):
        """Of a Java client for another listener than PLAINTEXT, keys with _ for the dots."""
        settings = {"bootstrap_servers": self.bootstrap(listener), "security_protocol": listener}
        if "SASL" in listener:
            settings.update(sasl_mechanism=mechanism, sasl_jaas_config=jaas(password, mechanism))
        if listener in ("SSL", "SASL_SSL"):
            settings.update(ssl_truststore_type="PEM", ssl_truststore_location=self.certificate.certificate)
        return settings

    def create(self, topic, partitions=1, replication=None, **configs):
        """Keys of `configs` have _ for the dots."""
        self.shell.ask("create", topic, partitions, replication or min(3, len(self.ports)), *settings_of(configs))

        def known():
            try:
                leaders = [leader for _, leader, _, _ in self.describe(topic)]
            except AssertionError as error:
                if "UnknownTopicOrPartition" in str(error):  # A node that was asked may not have heard yet.
                    return False
                raise
            return len(leaders) == partitions and -1 not in leaders
        wait_until(known, "%s has leaders" % topic, 20, poll_s=0.02)

    def set(self, topic, **configs):
        self.shell.ask("set", topic, *settings_of(configs))

    def describe(self, topic):
        """(partition, leader or -1, replicas, in-sync replicas) of each partition."""
        return [(int(p), int(leader), ids(replicas), ids(isr)) for p, leader, replicas, isr in (
            line.split(" ") for line in self.shell.ask("describe", topic))]

    def ends(self, topic, isolation="read_uncommitted"):
        """{partition: (first, end)}; read_committed ends before the first open transaction."""
        return {int(p): (int(first), int(end)) for p, first, end in (
            line.split(" ") for line in self.shell.ask("ends", topic, isolation))}

    def count(self, topic):
        """Offsets in use: of records, and of the marks that transactions leave."""
        return sum(end - first for first, end in self.ends(topic).values())

    def group(self, group):
        """{(topic, partition): (offset, metadata)} that the group committed."""
        offsets = {}
        for line in self.shell.ask("group", group):
            topic, partition, offset, metadata = line.split(" ", 3)
            offsets[topic, int(partition)] = int(offset), metadata
        return offsets

    def members(self, group):
        try:
            return int(self.shell.ask("members", group)[0])
        except AssertionError as error:
            if "GroupIdNotFound" in str(error):  # Kafka 4 says so of a group that nobody has joined yet.
                return 0
            raise

    def read(self, topic, isolation="read_committed", deadline_s=60):
        """All records that are there now, by partition and offset."""
        path = self.nodes[0].path("read")
        self.shell.ask("read", topic, isolation, path, deadline_s=deadline_s)
        with open(path) as file:
            return sorted(map(parse, file))

    def produce(self, topic, records, **settings):
        """Records in that order; keys of `settings` have _ for the dots.

        With a transactional_id all of them are a transaction, committed or what `end` says: abort, none.
        """
        path = self.nodes[0].path("produce")
        with open(path, "w") as file:
            file.writelines(map(line_of, records))
        return int(self.shell.ask("produce", topic, path, *settings_of(settings))[0])

    def wait_for_count(self, topic, count, deadline_s=30):
        wait_until(lambda: self.count(topic) >= count, lambda: "%d of %d in %s" % (self.count(topic), count, topic),
                   deadline_s, poll_s=0.05)

    def wait_until_in_sync(self, topic, deadline_s=30):
        wait_until(lambda: all(set(replicas) == set(isr) for _, _, replicas, isr in self.describe(topic)),
                   lambda: "all replicas of %s: %s" % (topic, self.describe(topic)), deadline_s, poll_s=0.05)

    def leader(self, topic, partition=0):
        """The node that leads it, or None."""
        number = self.describe(topic)[partition][1]
        return None if number == -1 else self.nodes[number - 1]


PROPERTIES = """process.roles = broker,controller
node.id = %(number)d
controller.quorum.voters = %(voters)s
controller.listener.names = CONTROLLER
listeners = %(listeners)s
advertised.listeners = %(advertised)s
inter.broker.listener.name = PLAINTEXT
listener.security.protocol.map = CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
log.dirs = {dir}/data
num.network.threads = 2
num.io.threads = 4
num.partitions = 1
default.replication.factor = %(copies)d
min.insync.replicas = %(in_sync)d
offsets.topic.num.partitions = 3
offsets.topic.replication.factor = %(copies)d
transaction.state.log.num.partitions = 3
transaction.state.log.replication.factor = %(copies)d
transaction.state.log.min.isr = %(in_sync)d
share.coordinator.state.topic.num.partitions = 1
share.coordinator.state.topic.replication.factor = %(copies)d
share.coordinator.state.topic.min.isr = %(in_sync)d
group.initial.rebalance.delay.ms = 0
log.cleaner.dedupe.buffer.size = 8388608
controller.quorum.election.timeout.ms = 500
controller.quorum.fetch.timeout.ms = 1000
broker.session.timeout.ms = 3000
broker.heartbeat.interval.ms = 500
"""
LOGIN_MODULES = {"PLAIN": "plain.PlainLoginModule", "SCRAM-SHA-256": "scram.ScramLoginModule"}


def jaas(password=PASSWORD, mechanism="PLAIN", user=USER):
    """The sasl.jaas.config of a client."""
    return 'org.apache.kafka.common.security.%s required username="%s" password="%s";' % (
        LOGIN_MODULES[mechanism], user, password)


SASL = "".join("""listener.name.%s.sasl.enabled.mechanisms = PLAIN,SCRAM-SHA-256
listener.name.%s.plain.sasl.jaas.config = org.apache.kafka.common.security.plain.PlainLoginModule required \
username="broker" password="broker" user_%%(user)s="%%(password)s";
listener.name.%s.scram-sha-256.sasl.jaas.config = org.apache.kafka.common.security.scram.ScramLoginModule required;
""" % (name, name, name) for name in ("sasl_plaintext", "sasl_ssl"))
TLS = """ssl.keystore.location = %(keystore)s
ssl.keystore.type = PKCS12
ssl.keystore.password = %(password)s
ssl.key.password = %(password)s
"""


def settings_of(settings):
    return ["%s=%s" % (key.replace("_", "."), urllib.parse.quote_plus(str(value))) for key, value in settings.items()]


def ids(text):
    return [int(each) for each in text.split(",")] if text else []


# --- Records --------------------------------------------------------------------------------------

# As Kafka has them: key and value bytes or None, headers a tuple of (name, bytes or None). To send, partition and
# timestamp may be None.
Record = collections.namedtuple("Record", "partition offset timestamp key headers value",
                                defaults=(None, 0, None, None, (), b""))


def record(value, key=None, headers=(), partition=None, timestamp=None):
    return Record(partition, 0, timestamp, key, tuple(headers), value)


def line_of(each):
    """As RecordLines.java has it."""
    headers = ",".join("%s:%s" % (encode(name.encode()), encode(value)) for name, value in each.headers) or "-"
    return "%s %d %s %s %s %s\n" % ("-" if each.partition is None else each.partition, each.offset,
                                    "-" if each.timestamp is None else each.timestamp, encode(each.key), headers,
                                    encode(each.value))


def parse(line):
    partition, offset, timestamp, key, headers, value = line.rstrip("\n").split(" ")
    pairs = [pair.split(":") for pair in headers.split(",")] if headers != "-" else []
    return Record(int(partition), int(offset), int(timestamp), decode(key),
                  tuple((decode(name).decode(), decode(content)) for name, content in pairs), decode(value))


def encode(content):
    return "-" if content is None else base64.b64encode(content).decode()


def decode(word):
    return None if word == "-" else base64.b64decode(word)
