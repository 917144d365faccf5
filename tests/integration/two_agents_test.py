#!/usr/bin/env python3
"""Two of our agents, avro sink to avro source: what they agree on between them."""
import tempfile
import unittest

from support.agent import NETCAT, Agent, file_roll, pipeline, roll_content
from support.avro_peer import AvroServer
from support.certificates import Certificate
from support.net import numbered, send_and_read
from support.proxy import Proxy
from support.waiting import wait_until

SOURCE = "type = avro\nbind = 127.0.0.1\nport = 0\n"
CHANNEL = "capacity = 100000"


def sink(port, more):
    return "type = avro\nhostname = 127.0.0.1\nport = %d\nbatch-size = 1000\n%s" % (port, more)


class TwoAgents(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="sluice-test-"))

    def collector(self, more=""):
        return Agent(pipeline(SOURCE + more, file_roll(), CHANNEL), folders=["out"])

    def edge(self, port, more):
        return Agent(pipeline(NETCAT, sink(port, more), CHANNEL))

    def check_passed_on(self, edge, collector, content):
        send_and_read(edge.port(), content)
        out = collector.path("out")
        wait_until(lambda: len(roll_content(out)) >= len(content), lambda: "%d bytes" % len(roll_content(out)))
        self.assertTrue(roll_content(out) == content)

    def test_each_proves_who_it_is(self):
        names = {name: Certificate(self.folder, name) for name in ("collector", "edge", "stranger")}
        mine = "ssl = true\nkeystore = %s\n"
        asks = mine % names["collector"].pem + "need-client-auth = true\ntruststore = %s\n" % names["edge"].certificate
        trusts = "ssl = true\nverify-hostname = false\ntruststore = %s\n" % names["collector"].certificate
        for shown in ("pem", "pkcs12"):
            shows = "keystore = %s\nkeystore-password = %s\n" % (getattr(names["edge"], shown), Certificate.password)
            with self.subTest(shown), self.collector(asks) as collector, self.edge(collector.port(), trusts + shows) as edge:
                self.check_passed_on(edge, collector, numbered(3000, 100))
        for what, shows in (("nothing", ""), ("another certificate", "keystore = %s\n" % names["stranger"].pem)):
            with self.subTest(what), self.collector(asks) as collector, self.edge(collector.port(), trusts + shows) as edge:
                send_and_read(edge.port(), numbered(10))
                collector.wait_for_log(r"(?i)source r1: .*certificate")
                self.assertEqual(roll_content(collector.path("out")), b"")

    def test_calls_are_compressed_where_both_can(self):
        content = numbered(20_000, 200)
        sent = {}
        for how in ("none", "lz4", "zstd"):
            with self.subTest(how), self.collector() as collector, Proxy(lambda: collector.port()) as proxy:
                with self.edge(proxy.port, "callCompression = %s\n" % how) as edge:
                    self.check_passed_on(edge, collector, content)
                    sent[how] = proxy.sent_bytes
        self.assertGreater(sent["none"], len(content))
        self.assertLess(sent["lz4"] * 5, len(content))
        self.assertLess(sent["zstd"] * 5, len(content))

    def test_a_flume_gets_plain_calls(self):
        with AvroServer() as flume, self.edge(flume.port, "callCompression = zstd\n") as edge:
            send_and_read(edge.port(), numbered(500))
            self.assertEqual(b"".join(event.body + b"\n" for event in flume.wait_for_events(500)), numbered(500))


if __name__ == "__main__":
    unittest.main(verbosity=2)
