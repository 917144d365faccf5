#!/usr/bin/env python3
"""sluice avro-client against an agent's avro source, and against receivers that refuse, hang up, or are not there."""
import os
import pty
import random
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

from support.agent import BIN, Agent, file_roll, pipeline, roll_content
from support.avro_raw import BOTH, FAILED, OK, frame
from support.certificates import Certificate
from support.net import free_port, read_exactly
from support.waiting import wait_until

AVRO = "type = avro\nbind = 127.0.0.1\nport = 0\n"
CHANNEL = "capacity = 100000\ntransactionCapacity = 10000"


def receiver(sink=file_roll(), more="", channel=CHANNEL, port=0):
    return Agent(pipeline(AVRO.replace("port = 0", "port = %d" % port) + more, sink, channel),
                 folders=("out",), monitoring=True)


class FlumeServer:
    """Answers as a Flume does; `answers` decides, call by call: payload, or None to hang up."""

    def __init__(self, answers):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.answers = answers
        self.calls = 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self.serve(connection)
                except (AssertionError, OSError):
                    pass  # the client has gone

    def serve(self, connection):
        first = True
        while True:
            serial, buffers = struct.unpack(">II", read_exactly(connection, 8))
            for _ in range(buffers):
                read_exactly(connection, struct.unpack(">I", read_exactly(connection, 4))[0])
            if first:
                connection.sendall(frame(BOTH, serial))
                first = False
                continue
            answer = self.answers(self.calls)
            self.calls += 1
            if answer is None:
                return
            connection.sendall(frame(answer, serial))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


class AvroClientCommand(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sluice-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content)
        return self.path(name)

    def client(self, *arguments, stdin=b"", deadline_s=60):
        """(exit status, stdout, stderr)."""
        done = subprocess.run([BIN, "avro-client", *map(str, arguments)], input=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=deadline_s)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def to(self, agent, *arguments, **how):
        return self.client("-H", "127.0.0.1", "-p", agent.port(), *arguments, **how)

    def rpc(self, **keys):
        """A file of RPC properties."""
        keys = {"retry-time": 0, **{name.replace("_", "-"): value for name, value in keys.items()}}
        return self.write("rpc.properties", "".join("%s = %s\n" % pair for pair in keys.items()).encode())

    def arrived(self, agent):
        """What the file_roll sink wrote, after the end of the agent."""
        self.assertEqual(agent.stop(), 0)
        return roll_content(agent.path("out"))

    # What arrives

    def test_a_file_as_in_tutorials(self):
        lines = b"".join(b"line %d\n" % i for i in range(2005))
        self.write("log.10", lines)
        with receiver() as agent:
            command = ["flume-ng", "avro-client", "--conf", "conf", "-H", "localhost", "-p", str(agent.port()),
                       "-F", self.path("log.10"), "-Dflume.root.logger=DEBUG,console"]
            done = subprocess.run(command, executable=os.path.join(os.path.dirname(BIN), "flume-ng"), cwd=self.folder,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"2005 events sent\n", b""))
            self.assertEqual(self.arrived(agent), lines)

    def test_standard_input_and_how_lines_end(self):
        with receiver() as agent:
            self.assertEqual(self.to(agent, stdin=b"one\r\n\n\rtwo\r\r\nlast"), (0, "4 events sent\n", ""))
            self.assertEqual(self.arrived(agent), b"one\n\n\rtwo\r\nlast\n")

    def test_nothing_is_nothing(self):
        with receiver() as agent:
            self.assertEqual(self.to(agent), (0, "0 events sent\n", ""))
            self.assertEqual(self.to(agent, "-F", "/dev/null"), (0, "0 events sent\n", ""))
            self.assertEqual(self.arrived(agent), b"")

    def test_lines_of_a_megabyte_between_short_ones(self):
        lines = [b"short", b"m" * (1 << 20), b"", b"l" * 700_000, b"x", b"y" * (10 << 20), b"end"]
        with receiver() as agent:
            self.assertEqual(self.to(agent, stdin=b"\n".join(lines)), (0, "7 events sent\n", ""))
            self.assertTrue(self.arrived(agent) == b"\n".join(lines) + b"\n")

    def test_a_line_that_is_too_long_ends_it_behind_those_before(self):
        with receiver() as agent:
            status, out, err = self.to(agent, stdin=b"one\ntwo\n" + b"x" * (17 << 20))
            self.assertEqual((status, out), (1, ""))
            self.assertEqual(err, "avro-client: 2 events are acknowledged, 0 are not: "
                             "line 3 of standard input is longer than 16777216 bytes\n")
            self.assertEqual(self.arrived(agent), b"one\ntwo\n")

    def test_headers_of_a_file(self):
        self.write("headers", b"# of every event\nhost = h1\nempty =\nname\\ two: v\\u00e4\n")
        with receiver(sink="type = logger") as agent:
            self.assertEqual(self.to(agent, "-R", self.path("headers"), stdin=b"a\nb\n")[0], 0)
            shown = agent.wait_for_log(r"headers:\{(.*)\} body: .* b }")[1]
            for header in ("host=h1", "empty=", "name two=v\u00e4"):
                self.assertIn(header, shown)
            self.assertEqual(agent.stop(), 0)

    def test_a_directory_oldest_first(self):
        folder = self.path("spool")
        os.mkdir(folder)
        for age, name in enumerate(("c", "a", "b")):
            path = self.write("spool/" + name, b"%s 1\n%s 2" % (name.encode(), name.encode()))
            os.utime(path, (1_700_000_000 + age, 1_700_000_000 + age))
        self.write("spool/old.COMPLETED", b"no\n")
        with receiver() as agent:
            self.assertEqual(self.to(agent, "--dirname", folder), (0, "6 events sent\n", ""))
            self.assertEqual(sorted(os.listdir(folder)),
                             ["a.COMPLETED", "b.COMPLETED", "c.COMPLETED", "old.COMPLETED"])
            self.assertEqual(self.to(agent, "--dirname", folder), (0, "0 events sent\n", ""))
            self.assertEqual(self.arrived(agent), b"c 1\nc 2\na 1\na 2\nb 1\nb 2\n")

    def test_a_directory_whose_receiver_fails_keeps_its_files(self):
        folder = self.path("spool")
        os.mkdir(folder)
        self.write("spool/a", b"1\n")
        status, _, err = self.client("-H", "127.0.0.1", "-p", free_port(), "-P", self.rpc(), "--dirname", folder)
        self.assertEqual(status, 1, err)
        self.assertEqual(os.listdir(folder), ["a"])

    def test_what_is_typed_goes_out_line_by_line(self):
        with receiver() as agent:
            client = subprocess.Popen([BIN, "avro-client", "-H", "127.0.0.1", "-p", str(agent.port())],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for count in (1, 2, 3):
                client.stdin.write(b"typed %d\n" % count)
                client.stdin.flush()
                wait_until(lambda: agent.sample("sluice_source_put_events_total") == count, "the line goes out")
            client.stdin.write(b"unfinished")
            out, _ = client.communicate(timeout=20)
            self.assertEqual((client.returncode, out), (0, b"4 events sent\n"))
            self.assertEqual(self.arrived(agent), b"typed 1\ntyped 2\ntyped 3\nunfinished\n")

    # What does not

    def test_a_server_that_is_down(self):
        port = free_port()
        status, out, err = self.client("-H", "127.0.0.1", "-p", port, "-P", self.rpc(retry_time=300), stdin=b"a\nb\n")
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, r"^avro-client: 0 events are acknowledged, 2 are not: 127\.0\.0\.1:%d: .*refused.*\n$" % port)

    def test_FAILED_is_tried_again_and_given_up(self):
        with FlumeServer(lambda call: FAILED if call < 3 else OK) as server:
            status, out, err = self.client("-H", "127.0.0.1", "-p", server.port, stdin=b"a\n")
            self.assertEqual((status, out, err), (0, "1 events sent\n", ""))
            self.assertEqual(server.calls, 4)
        with FlumeServer(lambda call: OK if call == 0 else FAILED) as server:
            path = self.rpc(batch_size=2, max_attempts=3, retry_time=60000)
            status, out, err = self.client("-H", "127.0.0.1", "-p", server.port, "-P", path, stdin=b"a\nb\nc\nd\ne\n")
            self.assertEqual((status, out), (1, ""))
            self.assertRegex(err, "^avro-client: 2 events are acknowledged, [23] are not: .*answered FAILED")
            self.assertEqual(server.calls, 4)

    def test_a_full_channel_of_an_agent(self):
        with receiver(sink="type = null\nbatchSize = 1", channel="capacity = 10\ntransactionCapacity = 10\nkeep-alive = 0") as agent:
            lines = b"".join(b"%d\n" % i for i in range(5000))
            path = self.rpc(batch_size=10, retry_time=20000)
            self.assertEqual(self.to(agent, "-P", path, stdin=lines), (0, "5000 events sent\n", ""))
            wait_until(lambda: agent.sample("sluice_sink_delivered_events_total") == 5000, "each of them once")
            self.assertEqual(agent.stop(), 0)

    def test_a_server_that_is_killed_in_the_middle(self):
        with receiver() as agent:
            client = subprocess.Popen([BIN, "avro-client", "-H", "127.0.0.1", "-p", str(agent.port()), "-P",
                                       self.rpc(retry_time=200)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE)
            client.stdin.write(b"".join(b"%d\n" % i for i in range(1000)))
            client.stdin.flush()
            wait_until(lambda: agent.sample("sluice_source_put_events_total") == 1000, "a thousand are there")
            agent.kill(signal.SIGKILL)
            agent.wait()
            out, err = client.communicate(b"more\nand more\n", timeout=20)
            self.assertEqual((client.returncode, out), (1, b""))
            self.assertRegex(err, rb"^avro-client: 1000 events are acknowledged, [12] are not: ")

    def test_a_server_that_hangs_up_is_tried_again(self):
        with FlumeServer(lambda call: None if call in (0, 2) else OK) as server:
            status, out, err = self.client("-H", "127.0.0.1", "-p", server.port, "-P", self.rpc(retry_time=10000, batch_size=1),
                                           stdin=b"a\nb\nc\n")
            self.assertEqual((status, out, err), (0, "3 events sent\n", ""))
            self.assertEqual(server.calls, 5)

    def test_signals_end_it_with_their_status(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with FlumeServer(lambda call: OK) as server:
                client = subprocess.Popen([BIN, "avro-client", "-H", "127.0.0.1", "-p", str(server.port)],
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                client.stdin.write(b"one\n")
                client.stdin.flush()
                wait_until(lambda: server.calls == 1, "it is at work")
                client.send_signal(number)
                self.assertEqual(client.wait(10), 128 + number)
                self.assertRegex(client.stderr.read(), rb"^avro-client: [01] events are acknowledged, [01] are not: ")
                for pipe in (client.stdin, client.stdout, client.stderr):
                    pipe.close()
        with socket.create_server(("127.0.0.1", 0)) as silent:  # in the middle of a handshake that nobody answers
            client = subprocess.Popen([BIN, "avro-client", "-H", "127.0.0.1", "-p", str(silent.getsockname()[1])],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            client.stdin.write(b"one\n")
            client.stdin.flush()
            connection, _ = silent.accept()
            with connection:
                client.send_signal(signal.SIGTERM)
                _, err = client.communicate(timeout=10)
            self.assertEqual(client.returncode, 143)
            self.assertRegex(err, b"0 events are acknowledged, 1 are not")

    # Several receivers

    def hosts(self, *ports, **keys):
        names = " ".join("h%d" % i for i in range(len(ports)))
        content = "hosts = %s\n" % names + "".join("hosts.h%d = 127.0.0.1:%d\n" % pair for pair in enumerate(ports))
        content += "".join("%s = %s\n" % (name.replace("_", "-"), value) for name, value in keys.items())
        return self.write("hosts.properties", content.encode())

    def test_failover_goes_on_with_the_next_one(self):
        with FlumeServer(lambda call: None if call == 1 else OK) as first, FlumeServer(lambda call: OK) as second:
            path = self.hosts(free_port(), first.port, second.port, batch_size=1, **{"client.type": "default_failover"})
            self.assertEqual(self.client("-P", path, stdin=b"a\nb\nc\n"), (0, "3 events sent\n", ""))
            self.assertEqual((first.calls, second.calls), (2, 2))

    def test_load_balance_gives_each_its_share(self):
        with FlumeServer(lambda call: OK) as first, FlumeServer(lambda call: OK) as second:
            path = self.hosts(first.port, second.port, batch_size=1, **{"client.type": "default_loadbalance"})
            self.assertEqual(self.client("-P", path, stdin=b"1\n2\n3\n4\n5\n6\n"), (0, "6 events sent\n", ""))
            self.assertEqual((first.calls, second.calls), (3, 3))

    # Other wires

    def test_compressed_and_encrypted(self):
        certificate = Certificate(self.folder)
        tls = {"ssl": "true", "truststore": certificate.certificate}
        deflate = {"compression-type": "deflate"}
        server_tls = "ssl = true\nkeystore = %s\n" % certificate.pem
        for more, keys in (("compression-type = deflate\n", deflate), (server_tls, tls),
                           (server_tls + "compression-type = deflate\n", {**tls, **deflate}),
                           (server_tls + "compression-type = deflate\n", {**tls, **deflate, "compression-order": "inside"})):
            with self.subTest(keys), receiver(more=more) as agent:
                lines = b"".join(b"%d\n" % i for i in range(1000))
                self.assertEqual(self.to(agent, "-P", self.rpc(**keys), stdin=lines), (0, "1000 events sent\n", ""))
                status, _, err = self.to(agent, "-P", self.rpc(connect_timeout=1000), stdin=b"plain\n")
                self.assertEqual(status, 1)
                self.assertIn("0 events are acknowledged, 1 are not", err)
                self.assertEqual(self.arrived(agent), lines)
        with receiver(more=server_tls) as agent:  # whom nobody vouches for
            other = Certificate(self.folder, "other")
            status, _, err = self.to(agent, "-P", self.rpc(ssl="true", truststore=other.certificate), stdin=b"secret\n")
            self.assertEqual(status, 1)
            self.assertIn("certificate", err)
            self.assertEqual(self.arrived(agent), b"")

    # Options

    def test_wrong_options(self):
        def refused(*arguments):
            status, out, err = self.client(*arguments)
            self.assertEqual((status, out), (2, ""), err)
            return err
        self.assertIn("needs --host and --port", refused())
        self.assertIn("nowhere.properties", refused("-P", self.path("nowhere.properties")))
        self.assertIn("names no hosts", refused("-P", self.rpc()))
        self.assertIn("there is no hosts.h1 = host:port", refused("-P", self.rpc(hosts="h1")))
        self.assertIn("is not host:port", refused("-P", self.rpc(**{"hosts": "h1", "hosts.h1": "nowhere"})))
        self.assertIn("thrift", refused("-P", self.rpc(**{"client.type": "thrift", "hosts": "h", "hosts.h": "h:1"})))
        self.assertIn("not both", refused("-H", "h", "-p", 1, "-P", self.rpc(**{"hosts": "h", "hosts.h": "h:1"})))
        self.assertIn("no.headers", refused("-H", "h", "-p", 1, "-R", self.path("no.headers")))
        self.assertIn("nowhere.pem", refused("-H", "h", "-p", 1, "-P", self.rpc(ssl="true", truststore="/nowhere.pem")))
        status, _, err = self.client("-H", "127.0.0.1", "-p", free_port(), "-F", self.path("nothing"))
        self.assertEqual(status, 1)
        self.assertIn("cannot open", err)

    def test_a_terminal_sees_how_far_it_is(self):
        ours, theirs = pty.openpty()
        with FlumeServer(lambda call: OK) as server:
            client = subprocess.Popen([BIN, "avro-client", "-H", "127.0.0.1", "-p", str(server.port), "-P", self.rpc(batch_size=1)],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=theirs)
            os.close(theirs)
            seen = b""
            while b"events, " not in seen:
                client.stdin.write(b"line %d\n" % random.randrange(10))
                client.stdin.flush()
                os.set_blocking(ours, False)
                try:
                    seen += os.read(ours, 1000)
                except BlockingIOError:
                    pass
            out, _ = client.communicate(timeout=20)
        os.close(ours)
        self.assertRegex(seen, rb"\d+ events, \d+/s")
        self.assertRegex(out, rb"^\d+ events sent\n$")


if __name__ == "__main__":
    unittest.main()
