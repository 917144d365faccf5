"""Kafka's clients to Kafka: the tests' own programs lose and change nothing, so that a difference elsewhere is ours."""
import os
import tempfile
import unittest

from peers.extent import full, some
from peers.kafka import PASSWORD, VERSIONS, Cluster, kafka, record
from support.certificates import Certificate

VARIED = [
    record(b"plain"),
    record(b"", b""),
    record(None, b"a key that stands for a deletion"),
    record(bytes(range(256)), bytes(range(255, -1, -1)), [("h", b"\0\n ,:-")]),
    record(b"-", b"-", [("same", b"1"), ("same", b"2"), ("empty", b""), ("null", None), ("", b"no name"), ("\u20ac", b"-")]),
    record(b"x" * 900_000),
    record(b"with a time", timestamp=1_234_567_890_123),
]


def content(records):
    return [(each.key, each.headers, each.value) for each in records]


class KafkaToKafka(unittest.TestCase):
    def test_every_kind_of_record(self):
        for version in VERSIONS:
            with self.subTest(version=version), Cluster(version=version) as cluster:
                cluster.create("t", 3)
                sent = [each._replace(partition=i % 3) for i, each in enumerate(VARIED)]
                self.assertEqual(cluster.produce("t", sent), len(sent))
                got = cluster.read("t")
                self.assertEqual(content(got), content(sorted(sent, key=lambda each: each.partition)))
                self.assertIn(1_234_567_890_123, [each.timestamp for each in got])
                self.assertEqual(cluster.ends("t"), {0: (0, 3), 1: (0, 2), 2: (0, 2)})
                status, said, why = kafka(version).run("console-consumer", "--bootstrap-server", cluster.bootstrap(), "--topic",
                                                       "t", "--partition", 0, "--offset", 0, "--max-messages", 1)
                self.assertEqual((status, said), (0, "plain\n"), why)

    def test_only_what_was_committed_is_read(self):
        for version in some(VERSIONS, VERSIONS[:1]):
            with self.subTest(version=version), Cluster(version=version) as cluster:
                cluster.create("t")
                cluster.produce("t", [record(b"one")], transactional_id="x")
                cluster.produce("t", [record(b"two")], transactional_id="x", end="abort")
                cluster.produce("t", [record(b"three")])
                self.assertEqual([each.value for each in cluster.read("t")], [b"one", b"three"])
                self.assertEqual([each.value for each in cluster.read("t", "read_uncommitted")], [b"one", b"two", b"three"])
                self.assertEqual(cluster.count("t"), 5, "three records and a mark for each transaction")
                # Java's close() aborts what is open; kill -9 would leave it to the time-out.
                cluster.produce("t", [record(b"four")], transactional_id="x", end="none")
                self.assertEqual([each.value for each in cluster.read("t")], [b"one", b"three"])

    @full
    def test_each_listener(self):
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
            certificate = Certificate(directory)
            for version in VERSIONS:
                listeners = ("SSL", "SASL_PLAINTEXT", "SASL_SSL")
                with self.subTest(version=version), \
                        Cluster(version=version, listeners=listeners, certificate=certificate) as cluster:
                    cluster.create("t")
                    for listener in listeners:
                        cluster.produce("t", [record(listener.encode())], **cluster.settings_for(listener))
                    cluster.produce("t", [record(b"scram")],
                                    **cluster.settings_for("SASL_PLAINTEXT", mechanism="SCRAM-SHA-256"))
                    self.assertEqual([each.value.decode() for each in cluster.read("t")], [*listeners, "scram"])
                    for mechanism in ("PLAIN", "SCRAM-SHA-256"):
                        with self.assertRaisesRegex(AssertionError, "SaslAuthenticationException"):
                            cluster.produce("t", [record(b"no")], **cluster.settings_for(
                                "SASL_PLAINTEXT", password="not " + PASSWORD, mechanism=mechanism))


class ThreeNodes(unittest.TestCase):
    @full
    def test_a_node_is_killed_and_comes_back(self):
        for version in VERSIONS:
            with self.subTest(version=version), Cluster(3, version) as cluster:
                cluster.create("t")
                values = [b"%d" % i for i in range(100)]
                cluster.produce("t", list(map(record, values)))
                first = cluster.leader("t")
                first.die()
                cluster.produce("t", list(map(record, values)))
                self.assertNotEqual(cluster.leader("t").number, first.number)
                first.start_again()
                cluster.wait_until_in_sync("t")
                self.assertEqual([each.value for each in cluster.read("t")], values + values)


class Topics(unittest.TestCase):
    @full
    def test_what_tests_do_with_topics(self):
        with Cluster() as cluster:
            cluster.create("t", 2, max_message_bytes=1000)
            self.assertEqual(cluster.describe("t"), [(0, 1, [1], [1]), (1, 1, [1], [1])])
            with self.assertRaisesRegex(AssertionError, "RecordTooLargeException"):
                cluster.produce("t", [record(os.urandom(2000))])
            cluster.set("t", max_message_bytes=100_000)
            self.assertEqual(cluster.produce("t", [record(os.urandom(2000))]), 1)
            self.assertEqual(cluster.count("t"), 1)
            cluster.shell.ask("delete", "t")
            self.assertNotIn("t", cluster.shell.ask("topics"))
            with self.assertRaisesRegex(AssertionError, "TopicExistsException"):
                cluster.create("u")
                cluster.create("u")
            self.assertEqual(cluster.group("nobody"), {})
