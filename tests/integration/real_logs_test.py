#!/usr/bin/env python3
"""Real logs, byte for byte: CRLF, no final newline, very long lines, UTF-16, GBK, binary."""
import os
import unittest

from support.agent import NETCAT, SHARED, Agent, file_roll, pipeline, roll_bytes, roll_content
from support.net import connect, send_and_read
from support.waiting import wait_until

DATA = os.path.join(SHARED, "data")
CHANNEL = "capacity = 100000\ntransactionCapacity = 1000"
RAISED = NETCAT + "max-line-length = 1000000\n"


def files():
    for name in sorted(os.listdir(DATA)):
        with open(os.path.join(DATA, name), "rb") as file:
            yield name, file.read()


def whole_lines(content):
    return content if content.endswith(b"\n") or not content else content + b"\n"


@unittest.skipUnless(os.path.isdir(DATA), "the real logs are not beside this tree")
class RealLogs(unittest.TestCase):
    def agent(self, source):
        return Agent(pipeline(source, file_roll(), CHANNEL), folders=["out"])

    def assert_same(self, name, got, expected):
        if got == expected:
            return
        at = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b), min(len(got), len(expected)))
        self.fail("%s: %d bytes instead of %d, different from byte %d on: %r instead of %r" % (
            name, len(got), len(expected), at, got[at:at + 40], expected[at:at + 40]))

    def test_every_file_arrives_unchanged_through_netcat(self):
        with self.agent(RAISED) as agent:
            port = agent.port()
            expected = b""
            for name, content in files():
                expected += whole_lines(content)
                answers = send_and_read(port, content)
                self.assert_same(name + " (answers)", answers, b"OK\n" * whole_lines(content).count(b"\n"))
                wait_until(lambda: roll_bytes(agent.path("out")) >= len(expected), name)
            self.assertEqual(agent.stop(), 0)
            self.assert_same("all", roll_content(agent.path("out")), expected)

    def test_every_file_arrives_unchanged_through_exec(self):
        # cat joins a last line without a newline to the next file's first, and so do we here.
        script = "for name in %s; do cat %s/$name; done" % (" ".join(n for n, _ in files()), DATA)
        with self.agent("type = exec\nshell = /bin/sh -c\ncommand = " + script) as agent:
            expected = whole_lines(b"".join(content for _, content in files()))
            wait_until(lambda: roll_bytes(agent.path("out")) >= len(expected),
                       lambda: "%d of %d" % (roll_bytes(agent.path("out")), len(expected)), 30)
            self.assertEqual(agent.stop(), 0)
            self.assert_same("all", roll_content(agent.path("out")), expected)

    def test_a_last_line_without_a_newline_is_a_line_through_exec(self):
        for name in ("flume-multiline-stacktrace.log", "vector-utf-16le.log", "loghub-Mac_2k.log",
                     "cppjieba-hmm_model.gbk", "flume-sample-statuses-medium.avro"):
            source = "type = exec\ncommand = cat " + os.path.join(DATA, name)
            with self.subTest(name), self.agent(source) as agent:
                with open(os.path.join(DATA, name), "rb") as file:
                    expected = whole_lines(file.read())
                wait_until(lambda: roll_bytes(agent.path("out")) >= len(expected), name, 20)
                self.assertEqual(agent.stop(), 0)
                self.assert_same(name, roll_content(agent.path("out")), expected)


@unittest.skipUnless(os.path.isdir(DATA), "the real logs are not beside this tree")
class DefaultLimits(unittest.TestCase):
    """With 512 characters a line: what came before the long line is kept, the rest is refused."""

    def test_a_line_over_512_characters_is_refused_and_counted(self):
        with Agent(pipeline(NETCAT, file_roll(), CHANNEL), folders=["out"], monitoring=True) as agent:
            port = agent.port()
            expected, refused = b"", 0
            for name, content in files():
                lines = whole_lines(content).split(b"\n")[:-1]
                good = next((i for i, line in enumerate(lines) if characters(line) > 511), len(lines))
                said = b"OK\n" * good
                if good < len(lines):
                    refused += 1
                    said += b"FAILED: Event exceeds the maximum length (512 chars, including newline)\n"
                answers = send_and_read(port, content)
                self.assertEqual(answers[-200:], said[-200:], name)
                self.assertEqual(len(answers), len(said), name)
                expected += b"".join(line + b"\n" for line in lines[:good])
                wait_until(lambda: roll_bytes(agent.path("out")) >= len(expected), name)
            self.assertGreater(refused, 5)
            self.assertEqual(agent.sample("sluice_source_rejected_lines_total"), refused)
            self.assertEqual(int(agent.metrics()["SOURCE.r1"]["EventReadFail"]), refused)
            with connect(port) as client:
                client.sendall(b"it goes on\n")
                self.assertEqual(client.recv(3), b"OK\n")
            self.assertEqual(agent.stop(), 0)
            self.assertEqual(roll_content(agent.path("out")), expected + b"it goes on\n")


def characters(line):
    """As Java counts them where the text is UTF-8; a byte that is none counts for one."""
    return len(line.decode("utf-8", errors="surrogateescape").encode("utf-16-le", "surrogatepass")) // 2


if __name__ == "__main__":
    unittest.main(verbosity=2)
