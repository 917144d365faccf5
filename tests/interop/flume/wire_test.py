"""The tests' own peer of the wire against the real one, in both roles: what it makes may serve as golden bytes."""
import unittest

from peers.extent import some
from peers.flume import VERSIONS, FlumeAgent, avro_client, receiver, send_by_sdk, sender
from peers.transports import BOTH, TRANSPORTS, client_layers, server_layers, sink_keys, source_keys
from support import avro_wire as wire
from support.avro_peer import FAILED, OK, AvroClient, AvroServer
from support.avro_wire import Event
from support.net import free_port
from support.varied_events import VARIED, difference, numbered_events

HELLO = Event({"h": "v"}, b"hello")
OTHER_TEXT = wire.PROTOCOL.replace('"doc"', '"about"')
SMALL_CHANNEL = "capacity = 100\ntransactionCapacity = 100\nkeep-alive = 0\n"


def first_call(port, text=wire.PROTOCOL, server_hash=wire.PROTOCOL_HASH, with_text=False):
    with AvroClient(port, client_text=text, server_hash=server_hash) as client:
        client.send_call("append", wire.append(HELLO), with_text=with_text)
        return client.receive_frame().buffers


def calls(port):
    """What a server answers to one of everything: {what: buffers}."""
    said = {"unknown client": first_call(port, OTHER_TEXT),
            "unknown client again": first_call(port, OTHER_TEXT),
            "unknown client with its text": first_call(port, OTHER_TEXT, with_text=True),
            "a client known by now": first_call(port, OTHER_TEXT),
            "wrong server hash": first_call(port, server_hash=bytes(16)),
            "another client, wrong server hash": first_call(port, OTHER_TEXT + " ", bytes(16), with_text=True)}
    with AvroClient(port) as client:
        said["ping"] = client.ping().buffers
        said["ping when connected"] = client.ping().buffers
    with AvroClient(port) as client:
        encoded = wire.event(HELLO)
        for what, message, parameters in (
                ("append with handshake", "append", encoded),
                ("append", "append", encoded),
                ("appendBatch", "appendBatch", wire.append_batch([HELLO] * 3)),
                ("empty batch", "appendBatch", wire.append_batch([])),
                ("block with its size", "appendBatch", wire.long(-1) + wire.octets(encoded) + b"\0"),
                ("more than the channel's transaction holds", "appendBatch", wire.append_batch([HELLO] * 101)),
                ("unknown message", "nope", encoded)):
            said[what] = client.call(message, parameters).buffers
        said["metadata"] = client.call("append", encoded, {"x": b"1"}).buffers
        client.send_frame([b"", b"\0", wire.text("append"), b"", encoded[:3], encoded[3:]])
        said["other cuts"] = client.receive_frame().buffers
    return said


class OurServerAnswersAsFlumes(unittest.TestCase):
    def test_byte_for_byte(self):
        with AvroServer(answer=lambda call: FAILED if len(call.events) > 100 else OK) as server:
            ours = calls(server.port)
        for version in VERSIONS:
            port = free_port()
            with FlumeAgent(receiver(port, channel=SMALL_CHANNEL), version) as agent:
                agent.wait_until_listening()
                theirs = calls(port)
                agent.stop()
            for what in ours:
                with self.subTest(version=version, what=what):
                    self.assertEqual(ours[what], theirs[what])

    def test_the_golden_bytes(self):
        """As they are written down; the test above says that Flume agrees."""
        with AvroServer() as server:
            said = calls(server.port)
        self.assertEqual(said["append with handshake"], [bytes(4), b"\0", b"\0\0"])
        self.assertEqual(said["append"], [b"", b"\0", b"\0\0"])
        told = wire.text(wire.PROTOCOL) + b"\2" + wire.PROTOCOL_HASH + b"\0"
        self.assertEqual(said["wrong server hash"], [b"\2\2" + told, b"\0", b"\0\0"])
        self.assertEqual(said["unknown client"], [b"\4\2" + told])
        self.assertEqual(said["ping"], [bytes(4)])
        self.assertEqual(said["ping when connected"], [b""])
        self.assertEqual(said["unknown message"][2][:4], b"\1\0\x84\1")


class OurClientSpeaksAsFlumes(unittest.TestCase):
    def test_byte_for_byte(self):
        for version in VERSIONS:
            for call_size, message, parameters in (
                    (0, "append", [wire.append(event) for event in ONE_HEADER]),
                    (len(ONE_HEADER), "appendBatch", [wire.append_batch(ONE_HEADER)])):
                with self.subTest(version=version, message=message), AvroServer() as server:
                    self.assertEqual(send_by_sdk(server.port, ONE_HEADER, version, call_size)[:2],
                                     (len(ONE_HEADER), True))
                    expected = [wire.call(message, some_of, handshake=wire.handshake_request() if i == 0 else b"")
                                for i, some_of in enumerate(parameters)]
                    got = [call.buffers for call in server.calls]
                    self.assertEqual([[len(b) for b in buffers] for buffers in got],
                                     [[len(b) for b in buffers] for buffers in expected])
                    self.assertTrue(got == expected)

    def test_avro_client_puts_five_lines_in_a_call(self):
        lines = [Event({}, b"l%d" % i) for i in range(1, 7)]
        for version in some(VERSIONS, ["1.11"]):
            with self.subTest(version=version), AvroServer() as server:
                status, said = avro_client("-H", "127.0.0.1", "-p", str(server.port), version=version,
                                           stdin=b"l1\nl2\nl3\nl4\nl5\nl6\n")
                self.assertEqual(status, 0, said)
                self.assertEqual([call.buffers for call in server.calls], [
                    wire.call("appendBatch", wire.append_batch(lines[:5]), handshake=wire.handshake_request()),
                    wire.call("appendBatch", wire.append_batch(lines[5:]))])


# Java's maps have an order of their own, so bytes can only be compared where there is nothing to order.
ONE_HEADER = [event for event in VARIED if len(event.headers) < 2]


class Handshakes(unittest.TestCase):
    def test_flumes_client_after_none_sends_its_text_and_the_hash_it_learned(self):
        for version in VERSIONS:
            with self.subTest(version=version), AvroServer(text=OTHER_TEXT, knows=set()) as server:
                self.assertEqual(send_by_sdk(server.port, VARIED, version)[:2], (len(VARIED), True))
                first = server.calls[0].handshake
                self.assertEqual(first, wire.HandshakeRequest(wire.PROTOCOL_HASH, wire.PROTOCOL,
                                                              wire.hash_of(OTHER_TEXT), {}))
                self.assertEqual([call.handshake for call in server.calls[1:]], [None] * (len(VARIED) - 1))
                self.assertEqual(difference(server.events(), VARIED), "")

    def test_flumes_client_goes_on_after_client(self):
        for version in VERSIONS:
            with self.subTest(version=version), AvroServer(text=OTHER_TEXT) as server:
                self.assertEqual(send_by_sdk(server.port, VARIED, version)[:2], (len(VARIED), True))
                self.assertEqual(server.calls[0].handshake, wire.HandshakeRequest(
                    wire.PROTOCOL_HASH, None, wire.PROTOCOL_HASH, {}))
                self.assertEqual(difference(server.events(), VARIED), "")

    def test_handshake_metadata_is_harmless(self):
        meta = {"sluice": b"1"}
        for version in VERSIONS:
            with self.subTest(version=version), AvroServer(handshake_meta=meta) as server:
                self.assertEqual(send_by_sdk(server.port, VARIED, version)[:2], (len(VARIED), True))
                port = free_port()
                with FlumeAgent(receiver(port), version) as agent:
                    agent.wait_until_listening()
                    with AvroClient(port, handshake_meta=meta) as client:
                        answer = client.call("append", wire.append(HELLO), {"origin": bytes(40)})
                        self.assertEqual((answer.handshake.match, answer.handshake.meta, answer.metadata, answer.status),
                                         ("BOTH", None, {}, OK))
                    self.assertEqual(agent.wait_for_events(1), [HELLO])
                    agent.stop()


class Transports(unittest.TestCase):
    def test_our_client_to_flume(self):
        for version in VERSIONS:
            for transport in some(TRANSPORTS, [BOTH]):
                with self.subTest(version=version, transport=transport.name):
                    port = free_port()
                    with FlumeAgent(receiver(port, source_keys(transport)), version) as agent:
                        agent.wait_until_listening()
                        with AvroClient(port, layers=client_layers(transport, version)) as client:
                            self.assertEqual(client.append(HELLO), OK)
                            self.assertEqual(client.append_batch(VARIED), OK)
                        self.assertEqual(difference(agent.wait_for_events(1 + len(VARIED)), [HELLO] + VARIED), "")
                        agent.stop()

    def test_flumes_sink_to_our_server(self):
        events = VARIED + numbered_events(1000)
        for version in VERSIONS:
            for transport in some(TRANSPORTS, [BOTH]):
                with self.subTest(version=version, transport=transport.name), \
                        AvroServer(layers=server_layers(transport, version)) as server:
                    config = sender(server.port, "{dir}/sent", sink_keys(transport))
                    with FlumeAgent(config, version, files={"sent": events}) as agent:
                        self.assertEqual(difference(server.wait_for_events(len(events)), events), "")
                        agent.stop()
                    self.assertEqual(len(server.events(None)), len(events))
