#!/usr/bin/env python3
# test: no-sanitizer
"""Senders that mean no good, or fail: bounded memory, a clear answer, the others served."""
import random
import resource
import select
import socket
import struct
import unittest

from support.agent import NETCAT, Agent, file_roll, pipeline, roll_content
from support.net import connect, read_all, read_exactly, send_and_read
from support.processes import open_files, peak_rss_bytes, rss_bytes
from support.waiting import wait_until

MIB = 1 << 20
FAILED = b"FAILED: Event exceeds the maximum length (%d chars, including newline)\n"


def to_files(source=NETCAT):
    """An agent whose files are in its out/."""
    return Agent(pipeline(source, file_roll(), "capacity = 100000"), folders=["out"])


def reset(connection):
    """Closes with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Garbage(unittest.TestCase):
    def test_any_bytes_are_a_body_when_lines_may_be_long(self):
        noise = random.Random(7).randbytes(2 * MIB)
        with to_files(NETCAT + "max-line-length = 100000\n") as agent:
            answers = send_and_read(agent.port(), noise)
            expected = noise if noise.endswith(b"\n") else noise + b"\n"
            self.assertEqual(answers, b"OK\n" * expected.count(b"\n"))
            self.assertEqual(agent.stop(), 0)
            self.assertTrue(roll_content(agent.path("out")) == expected)

    def test_with_default_limits_each_garbage_sender_is_refused_alone(self):
        noise = random.Random(8)
        with Agent(pipeline(), monitoring=True) as agent:
            port = agent.port()
            for _ in range(20):
                answers = send_and_read(port, noise.randbytes(64 * 1024))
                self.assertTrue(answers.endswith(FAILED % 512), answers[-100:])
                self.assertEqual(answers.replace(b"OK\n", b""), FAILED % 512)
            self.assertEqual(agent.sample("sluice_source_rejected_lines_total"), 20)
            self.assertEqual(send_and_read(port, b"hello\n"), b"OK\n")


class VeryLongLine(unittest.TestCase):
    def send_a_gigabyte(self, port):
        """Sends until the agent hangs up; its answer, and how many MiB it had been sent by then."""
        block = b"x" * MIB
        answer, answered_at = b"", None
        with connect(port, 30) as client:
            for sent in range(1024):
                if answered_at is None and select.select([client], [], [], 0)[0]:
                    answer, answered_at = client.recv(1000), sent
                try:
                    client.sendall(block)
                except OSError:
                    break
        return answer, answered_at

    def test_a_gigabyte_without_a_newline_is_refused_early_in_bounded_memory(self):
        for limit, growth_mib in ((512, 4), (4_000_000, 40)):
            config = pipeline(NETCAT + "max-line-length = %d\n" % limit)
            with self.subTest(limit), Agent(config) as agent:
                port = agent.port()
                send_and_read(port, b"warm\n")
                before = rss_bytes(agent.pid)
                answer, answered_at = self.send_a_gigabyte(port)
                self.assertEqual(answer, FAILED % limit)
                self.assertLess(answered_at, 64)  # what the sockets hold, and then some
                agent.wait_for_log("sent a line longer than max-line-length = %d" % limit)
                self.assertLess(peak_rss_bytes(agent.pid) - before, growth_mib * MIB)
                self.assertEqual(send_and_read(port, b"hello\n"), b"OK\n")

    def test_the_answer_comes_before_the_line_ends(self):
        with Agent(pipeline()) as agent:
            with connect(agent.port()) as client:
                client.sendall(b"x" * 600)
                self.assertEqual(read_all(client), FAILED % 512)

    def test_many_unfinished_lines_together_have_one_bound(self):
        config = pipeline(NETCAT + "max-line-length = 1000000\n")
        with Agent(config) as agent:
            port = agent.port()
            before = rss_bytes(agent.pid)
            clients = [connect(port) for _ in range(40)]
            for client in clients:
                try:
                    client.sendall(b"x" * 900_000)
                except OSError:
                    pass  # refused: 40 * 0.9 MB is above the source's bound of 4 MiB
            agent.wait_for_log("source r1: .*closed")
            self.assertLess(peak_rss_bytes(agent.pid) - before, 32 * MIB)
            for client in clients:
                client.close()
            self.assertEqual(send_and_read(port, b"hello\n"), b"OK\n")


class ManyConnections(unittest.TestCase):
    WANTED = 10_000
    KB_EACH = 4

    def test_silent_connections_cost_little_and_the_live_one_is_served(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        count = self.WANTED if hard == resource.RLIM_INFINITY else min(self.WANTED, hard - 200)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with Agent(pipeline()) as agent:
            port = agent.port()
            send_and_read(port, b"warm\n")
            before = rss_bytes(agent.pid)
            clients = [connect(port) for _ in range(count)]
            self.addCleanup(lambda: [client.close() for client in clients])
            wait_until(lambda: open_files(agent.pid) >= count, "all are accepted", 20)
            with connect(port) as live:
                for _ in range(10):
                    live.sendall(b"hello\n")
                    self.assertEqual(read_exactly(live, 3), b"OK\n")
            grown = rss_bytes(agent.pid) - before
            print("%d silent connections (descriptor limit %d): %.1f kB each" % (count, hard, grown / 1024 / count))
            self.assertLess(grown, count * self.KB_EACH * 1024)
            for client in clients:
                client.close()
            wait_until(lambda: open_files(agent.pid) < 50, "their descriptors are closed", 20)
            self.assertEqual(agent.stop(), 0)

    def test_without_descriptors_new_connections_wait_for_old_ones_to_close(self):
        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))
        with Agent(pipeline(), prepare=few) as agent:
            port = agent.port()
            clients = [connect(port) for _ in range(60)]  # the kernel's backlog takes the rest
            agent.wait_for_log("source r1: cannot accept a connection: Too many open files")
            clients[0].sendall(b"served\n")
            self.assertEqual(read_exactly(clients[0], 3), b"OK\n")
            for client in clients[1:30]:
                client.close()
            clients[-1].sendall(b"its turn\n")
            self.assertEqual(read_exactly(clients[-1], 3), b"OK\n")
            for client in clients:
                client.close()


class OddSenders(unittest.TestCase):
    def test_a_client_that_vanishes_loses_its_torn_line_only(self):
        with to_files() as agent:
            port = agent.port()
            with connect(port) as client:
                client.sendall(b"whole\n")
                self.assertEqual(read_exactly(client, 3), b"OK\n")
                client.sendall(b"torn")
                reset(client)
            agent.wait_for_log("source r1: .*a line that was cut off")
            self.assertEqual(send_and_read(port, b"next\nno newline"), b"OK\nOK\n")
            self.assertEqual(agent.stop(), 0)
            self.assertEqual(roll_content(agent.path("out")), b"whole\nnext\nno newline\n")

    def test_a_client_that_vanishes_before_its_answers_harms_nobody(self):
        with Agent(pipeline()) as agent:
            port = agent.port()
            for _ in range(50):
                client = connect(port)
                client.sendall(b"x\n" * 5000)
                reset(client)
            self.assertEqual(send_and_read(port, b"hello\n"), b"OK\n")
            self.assertEqual(agent.stop(), 0)

    def test_one_byte_at_a_time(self):
        with to_files() as agent:
            with connect(agent.port()) as client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for byte in b"one byte at a time\r\n\n\xff\xfe\n":
                    client.send(bytes([byte]))
                self.assertEqual(read_exactly(client, 9), b"OK\nOK\nOK\n")
            self.assertEqual(agent.stop(), 0)
            self.assertEqual(roll_content(agent.path("out")), b"one byte at a time\r\n\n\xff\xfe\n")

    def test_a_client_that_never_reads_its_answers_is_bounded(self):
        with Agent(pipeline()) as agent:
            port = agent.port()
            before = rss_bytes(agent.pid)
            client = connect(port)
            client.settimeout(1)  # nothing taken for so long: it holds us back
            with self.assertRaises(socket.timeout):
                for _ in range(1024):
                    client.sendall(b"\n" * 65536)
            self.assertLess(rss_bytes(agent.pid) - before, 24 * MIB)
            self.assertEqual(send_and_read(port, b"hello\n"), b"OK\n")
            client.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
