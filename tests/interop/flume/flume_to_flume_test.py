"""Flume to Flume: the tests' own programs lose and change nothing, so that a difference elsewhere is ours."""
import unittest

from peers.extent import some
from peers.flume import VERSIONS, FlumeAgent, receiver, send_by_sdk, sender
from peers.transports import BOTH, TRANSPORTS, sink_keys, source_keys
from support.net import free_port
from support.varied_events import VARIED, difference, numbered_events


class FlumeToFlume(unittest.TestCase):
    def test_the_sdk_client_to_an_agent_by_each_transport(self):
        for version in VERSIONS:
            for transport in some(TRANSPORTS, [BOTH]):
                with self.subTest(version=version, transport=transport.name):
                    self.by_sdk(version, transport)

    def by_sdk(self, version, transport):
        port = free_port()
        with FlumeAgent(receiver(port, source_keys(transport)), version) as agent:
            agent.wait_until_listening()
            many = numbered_events(10_000)
            for events, call_size in ((VARIED, 0), (VARIED, len(VARIED)), (many, len(many))):
                acknowledged, content, said = send_by_sdk(port, events, version, call_size, sink_keys(transport))
                self.assertEqual((acknowledged, content), (len(events), True), said)
            self.assertEqual(difference(agent.wait_for_events(2 * len(VARIED) + len(many)), 2 * VARIED + many), "")
            agent.stop()

    def test_an_agent_to_an_agent_with_trust_in_everybody(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                port = free_port()
                with FlumeAgent(receiver(port, source_keys(BOTH)), version) as second:
                    second.wait_until_listening()
                    events = VARIED + numbered_events(2500)
                    config = sender(port, "{dir}/sent", sink_keys(BOTH, trust_all=True))
                    with FlumeAgent(config, version, files={"sent": events}) as first:
                        self.assertEqual(difference(second.wait_for_events(len(events)), events), "")
                        first.stop()
                    second.stop()
                    self.assertEqual(len(second.received()), len(events))
