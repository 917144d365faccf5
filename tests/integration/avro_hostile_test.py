#!/usr/bin/env python3
"""An avro source among strangers: whatever they send or withhold, the agent lives and serves the others, in bounded memory.

1,000 connections; with SLUICE_SOAK=1 5,000 of them.
"""
# test: timeout=300
import os
import random
import resource
import socket
import struct
import threading
import unittest

from support.agent import Agent, file_roll, pipeline, roll_content
from support.avro_raw import (BOTH, FLUME_HASH, GREETING, OK, RawAvroClient, batch, call, event, frame, hello,
                          number)
from support.net import connect, read_all
from support.processes import peak_rss_bytes, rss_bytes
from support.waiting import wait_until

SOAK = os.environ.get("SLUICE_SOAK") == "1"
CONNECTIONS = 5000 if SOAK else 1000
SEED = int(os.environ.get("SLUICE_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
MIB = 1 << 20
AVRO = "type = avro\nbind = 127.0.0.1\nport = 0\n"
CHANNEL = "capacity = 100000\ntransactionCapacity = 10000"


def raise_limit():
    """Each connection is a descriptor here and one there."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def receiver(more="", sink=file_roll(), channel=CHANNEL):
    return Agent(pipeline(AVRO + more, sink, channel), folders=("out",), monitoring=True, prepare=raise_limit)


class Hostile(unittest.TestCase):
    def setUp(self):
        raise_limit()
        self.random = random.Random(SEED)
        self.good_events = []

    def good(self, client, events=3):
        """Somebody honest is served."""
        bodies = [b"good %d" % (len(self.good_events) + i) for i in range(events)]
        self.assertEqual(client.append(bodies), OK)
        self.good_events += bodies

    def stranger(self, agent):
        """A connection that lives as long as the test, unless that closes it."""
        connection = connect(agent.port(), 30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.addCleanup(connection.close)
        return connection

    def client(self, agent, meta=None):
        client = RawAvroClient(agent.port(), meta)
        self.addCleanup(client.close)
        return client

    def open_connections(self, agent):
        return int(agent.sample("sluice_source_open_connections"))

    def end(self, agent, others_may_arrive=False):
        """The agent is as it should be, and every good event has arrived once, in order."""
        with RawAvroClient(agent.port()) as late:
            self.good(late)
        self.assertEqual(agent.stop(), 0, "seed %d" % SEED)
        lines = roll_content(agent.path("out")).split(b"\n")[:-1]
        if others_may_arrive:
            lines = [line for line in lines if line.startswith(b"good ")]
        self.assertEqual(lines, self.good_events, "seed %d" % SEED)
        self.assertLess(len(agent.log()), 1 << 16, "strangers fill the log")

    def assert_closed(self, agent, content):
        """The agent hangs up; returns what it said first."""
        with connect(agent.port()) as stranger:
            try:
                stranger.sendall(content)
            except OSError:
                pass  # it did not even wait for the end
            return read_all(stranger)

    # Bytes that are no calls

    def test_random_bytes(self):
        with receiver() as agent, RawAvroClient(agent.port()) as honest:
            for i in range(300):
                with connect(agent.port()) as stranger:
                    try:
                        stranger.sendall(self.random.randbytes(self.random.randrange(1, 3000)))
                        stranger.shutdown(socket.SHUT_WR)
                    except OSError:
                        pass
                    read_all(stranger)
                if i % 10 == 0:
                    self.good(honest)
            self.assertGreater(agent.sample("sluice_source_rejected_lines_total"), 200)
            agent.wait_for_log("sent what is no call")
            self.end(agent)

    def mutated(self, good):
        content = bytearray(good)
        for _ in range(self.random.randrange(1, 4)):
            at = self.random.randrange(len(content))
            kind = self.random.randrange(6)
            if kind == 0:
                content[at] ^= 1 << self.random.randrange(8)
            elif kind == 1:
                content[at] = self.random.choice((0, 1, 2, 0x7F, 0x80, 0xFF))
            elif kind == 2:
                del content[at:at + self.random.randrange(1, 20)]
            elif kind == 3:
                content[at:at] = self.random.randbytes(self.random.randrange(1, 20))
            elif kind == 4:
                content[at:at] = content[:self.random.randrange(1, 60)]
            else:
                content[at:at + 4] = struct.pack(">I", self.random.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 24)))
            content = content or bytearray(b"\0")
        return bytes(content)

    def test_mutated_calls(self):
        bodies = [b"strange", b"", b"x" * 300]
        goods = [frame(hello() + call(batch(bodies, {b"h": b"v", b"k": b"w"})), buffer_bytes=100),
                 frame(hello() + call(event(b"strange", {b"h": b"v"}), b"append")),
                 frame(hello(meta=GREETING) + call(batch(bodies), metadata={b"sluice.origins": bytes(40)})),
                 frame(hello(meta=GREETING) + call(batch(bodies), metadata={b"sluice.packed": b"lz4 4000"}))]
        with receiver() as agent, RawAvroClient(agent.port()) as honest:
            for i in range(1000):
                with connect(agent.port()) as stranger:
                    try:
                        stranger.sendall(self.mutated(self.random.choice(goods)) + self.random.choice(goods))
                        stranger.shutdown(socket.SHUT_WR)
                    except OSError:
                        pass
                    read_all(stranger)  # a connection that stays open fails here, by its timeout
                if i % 20 == 0:
                    self.good(honest)
            self.assertGreater(agent.sample("sluice_source_rejected_lines_total"), 100)
            self.end(agent, others_may_arrive=True)

    def test_lengths_that_lie(self):
        most = 0xFFFFFFFF
        heads = [struct.pack(">III", 1, 1, 0x7FFFFFFF), struct.pack(">III", 1, 1, most),
                 struct.pack(">II", 1, 1 << 31), struct.pack(">II", 1, most), struct.pack(">II", 1, 0),
                 struct.pack(">IIII", 1, 2, 0, most), struct.pack(">IIII", 1, 3, 0, 64 * MIB),
                 frame(b""), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32)), b"\x78\x9c" * 8]
        with receiver() as agent, RawAvroClient(agent.port()) as honest:
            for head in heads:
                self.assertEqual(self.assert_closed(agent, head), b"", head)
                self.good(honest)
            # Within a frame that keeps its word each lie costs its call alone.
            lies = [number(0x7FFFFFFF), number(-1), b"\xff" * 10, b"\xff" * 9 + b"\x01", number(1 << 62),
                    number(3) + event(b"cut"), number(1) + number(1 << 40) + b"h", number(1) + b"\0" + number(1 << 33)]
            for lie in lies:
                answer = honest.ask(call(lie))
                self.assertEqual(answer[:3], b"\0\1\0", lie)
                self.good(honest)
            self.assertEqual(agent.sample("sluice_source_rejected_lines_total"), len(heads) + len(lies))
            self.assertLess(rss_bytes(agent.pid), 64 * MIB)
            self.end(agent)

    def test_a_call_of_more_than_maxCallBytes(self):
        with receiver("maxCallBytes = 1048576") as agent, RawAvroClient(agent.port()) as honest:
            with RawAvroClient(agent.port()) as stranger:
                with self.assertRaises((AssertionError, OSError)):
                    stranger.append([b"x" * MIB])
            agent.wait_for_log(r"127\.0\.0\.1:\d+ sent a call of more than 1048576 bytes.*maxCallBytes.*connection is closed")
            with RawAvroClient(agent.port()) as stranger:  # many buffers that are small each
                with self.assertRaises((AssertionError, OSError)):
                    stranger.append([b"x" * MIB], buffer_bytes=100)
            self.good(honest, 1000)
            self.end(agent)

    # Calls that are none of Flume's

    def test_handshakes_of_strangers(self):
        with receiver() as agent, RawAvroClient(agent.port()) as honest:
            with RawAvroClient(agent.port(), greet=False) as stranger:
                for _ in range(500):
                    answer = stranger.ask(hello(client=os.urandom(16)) + call(batch([b"never"])))
                    self.assertEqual(answer[:1], b"\4")
            for i in range(3000):  # more protocols than are remembered
                if i % 100 == 0:
                    self.good(honest)
                with RawAvroClient(agent.port(), greet=False) as stranger:
                    answer = stranger.ask(hello(client=struct.pack(">QQ", 7, i), protocol=b"{}") + call(b"", b""))
                    self.assertEqual(answer, BOTH)
            self.assertEqual(self.assert_closed(agent, frame(FLUME_HASH + b"\7" * 40)), b"")
            self.assertLess(rss_bytes(agent.pid), 64 * MIB)
            self.end(agent)

    def test_what_greets_as_ours_and_is_not(self):
        def zeros_lz4(size):
            """A block of zeros: a literal, a match that goes on and on, the literals that must end it."""
            length = size - 1 - 5 - 4 - 15
            return (b"\x1f\0\1\0" + b"\xff" * (length // 255) + bytes([length % 255]) + b"\x50" + bytes(5))
        with receiver() as agent, RawAvroClient(agent.port()) as honest, \
                RawAvroClient(agent.port(), meta=GREETING) as stranger:
            two = batch([b"never", b"ever"])
            for origins in (b"\0", b"garbage", os.urandom(300), b"\xff" * 64, bytes(1000)):
                answer = stranger.ask(call(two, metadata={b"sluice.origins": origins}))
                self.assertEqual(answer[:3], b"\0\1\0", origins)
            for packed in (b"zstd 100", b"lz4 100", b"lz4 0", b"lz4", b"rot13 5", b"lz4 -1", b"lz4 99999999999999999999",
                           b"zstd 67108864", b"lz4 67108864", b"lz4 67108865"):
                answer = stranger.ask(call(two, metadata={b"sluice.packed": packed}))
                self.assertEqual(answer[:3], b"\0\1\0", packed)
            bomb = zeros_lz4(60 * MIB)
            strangers = [self.client(agent, GREETING) for _ in range(8)]
            for i in range(16):
                answer = strangers[i % 8].ask(call(bomb, metadata={b"sluice.packed": b"lz4 %d" % (60 * MIB)}))
                self.assertEqual(answer[:3], b"\0\1\0")
            self.good(honest)
            self.assertLess(rss_bytes(agent.pid), 320 * MIB)
            self.end(agent)

    def test_headers_that_no_Flume_would_send(self):
        with receiver(sink="type = logger") as agent, RawAvroClient(agent.port()) as client:
            self.assertEqual(client.append([b"first"], [(b"twice", b"1"), (b"twice", b"2")]), OK)
            self.assertEqual(client.append([b"second"], {b"\xff\xfe": b"\xc0\x80", b"a\nb": b"\x1b[31m\n2026 [info] forged"}), OK)
            self.assertEqual(client.append([b"third"], [(b"%d" % i, bytes(10)) for i in range(10000)]), OK)
            agent.wait_for_log("body: .*third")
            self.assertRegex(agent.log(), r"twice=2")
            self.assertNotRegex(agent.log(), r"twice=1")
            self.assertNotRegex(agent.log(), "(?m)^2026 .info. forged")
            self.assertNotIn("\x1b", agent.log())
            self.assertEqual(agent.stop(), 0)

    def test_a_million_empty_events(self):
        million = 1_000_000
        with receiver(sink="type = null", channel="capacity = 2000000\ntransactionCapacity = 2000000") as agent, \
                RawAvroClient(agent.port()) as client:
            self.assertEqual(client.ask(call(number(million) + bytes(2 * million + 1)), buffer_bytes=1 << 20), OK)
            wait_until(lambda: agent.sample("sluice_sink_delivered_events_total") == million, "a million events")
            self.assertEqual(client.ask(call(number(2 * million) + bytes(4 * million + 1)), buffer_bytes=1 << 20)[:3], b"\0\1\0")
            self.assertEqual(client.append([b"after"]), OK)
            self.assertLess(peak_rss_bytes(agent.pid), 256 * MIB)
            self.assertEqual(agent.stop(), 0)

    # Connections that hold on

    def test_half_open_connections(self):
        whole = frame(hello() + call(batch([b"never" * 100])))
        with receiver() as agent, RawAvroClient(agent.port()) as honest:
            strangers = []
            for i in range(CONNECTIONS):
                strangers.append(self.stranger(agent))
                strangers[-1].sendall(whole[:(0, 1, 7, 11, 100, len(whole) - 1)[i % 6]])
                if i % 50 == 0:
                    self.good(honest)
            wait_until(lambda: self.open_connections(agent) == CONNECTIONS + 1, "all are accepted")
            self.good(honest)
            self.assertLess(rss_bytes(agent.pid), 64 * MIB * (2 if SOAK else 1))
            for i, stranger in enumerate(strangers):
                if i % 2:
                    stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                stranger.close()
            wait_until(lambda: self.open_connections(agent) == 1, "they are forgotten")
            self.end(agent)

    def test_idle_connections_cost_little(self):
        with receiver() as agent:
            clients = [self.client(agent) for _ in range(CONNECTIONS)]
            for client in clients:
                self.good(client, 1)
            wait_until(lambda: self.open_connections(agent) == CONNECTIONS, "all are open")
            print("%d idle connections: %d KB resident" % (CONNECTIONS, rss_bytes(agent.pid) // 1024))
            self.assertLess(rss_bytes(agent.pid), 64 * MIB)
            for client in clients:
                client.close()
            self.end(agent)

    def test_slow_writers_beside_a_fast_one(self):
        slow = frame(hello() + call(batch([b"slow 1", b"slow 2"])))
        with receiver() as agent, RawAvroClient(agent.port()) as honest:
            writers = [self.stranger(agent) for _ in range(20)]

            def write():
                for i in range(len(slow)):
                    for writer in writers:
                        writer.sendall(slow[i:i + 1])
            thread = threading.Thread(target=write)
            thread.start()
            for _ in range(100):
                self.good(honest, 200)
            thread.join(60)
            for writer in writers:
                writer.settimeout(10)
                self.assertEqual(writer.recv(100), frame(BOTH + OK))
                writer.close()
            with RawAvroClient(agent.port()) as late:
                self.good(late)
            self.assertEqual(agent.stop(), 0)
            lines = roll_content(agent.path("out")).split(b"\n")[:-1]
            self.assertEqual([line for line in lines if line.startswith(b"good")], self.good_events)
            self.assertEqual(sum(line.startswith(b"slow") for line in lines), 40)

    def test_many_halves_of_large_calls(self):
        body = b"h" * MIB
        whole = frame(hello() + call(batch([body])), buffer_bytes=8192)
        half = len(whole) // 2
        with receiver(sink="type = null") as agent, RawAvroClient(agent.port()) as honest:
            def hold(stranger):
                try:
                    stranger.sendall(whole[:half])
                except OSError:
                    pass  # refused
            strangers = [self.stranger(agent) for _ in range(200)]
            for stranger in strangers:
                hold(stranger)
                self.assertEqual(honest.append([b"good"]), OK)
            agent.wait_for_log(r"sent a part of a call; unfinished calls of all connections together hold more than "
                               r"maxCallBytes = 67108864; the connection is closed")
            peak = peak_rss_bytes(agent.pid)
            print("200 halves of 1 MB: at most %d KB resident" % (peak // 1024))
            self.assertLess(peak, 256 * MIB)
            refused = int(agent.sample("sluice_source_rejected_lines_total"))
            self.assertTrue(50 < refused < 150, refused)
            # Whoever was let in gets to the end.
            served = 0
            for stranger in strangers:
                try:
                    stranger.sendall(whole[half:])
                    served += stranger.recv(100) == frame(BOTH + OK)
                except OSError:
                    pass
                stranger.close()
            self.assertEqual(served, 200 - refused)
            self.assertEqual(honest.append([b"good"]), OK)
            self.assertEqual(agent.stop(), 0)

    def test_resets_in_the_middle(self):
        whole = frame(hello() + call(batch([b"strange"] * 100)))
        with receiver() as agent, RawAvroClient(agent.port()) as honest:
            for i in range(200):
                stranger = RawAvroClient(agent.port(), greet=False)
                stranger.socket.sendall(whole[:self.random.randrange(1, len(whole))])
                if i % 10 == 0:
                    self.good(honest)
                stranger.reset()
            wait_until(lambda: self.open_connections(agent) == 1, "they are forgotten")
            self.assertGreater(agent.sample("sluice_source_failed_reads_total"), 100)
            agent.wait_for_log(r"left in the middle of a call \(\d+ bytes of it came")
            self.end(agent)


if __name__ == "__main__":
    unittest.main()
