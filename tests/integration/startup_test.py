#!/usr/bin/env python3
# test: sanitize
"""What an agent says, and how it exits, when what it is given cannot run, or not all of it."""
import os
import re
import socket
import subprocess
import tempfile
import unittest

from support.agent import BIN, CONSOLE, NETCAT, SHARED, Agent, flow, lists, pipeline, run_sluice
from support.net import send_and_read


class Refused(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sluice-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def file(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def refused(self, *arguments, status=1, saying=()):
        code, out, error = run_sluice(*arguments, directory=self.folder)
        self.assertEqual(code, status, error)
        self.assertEqual(out, "")
        for text in saying:
            self.assertIn(text, error)
        self.assertNotRegex(error, r"terminate called|Segmentation|Assertion")
        return error

    def start(self, path, *more, name="a1", saying=()):
        return self.refused("agent", "-n", name, "-c", self.folder, "-f", path, CONSOLE, *more, saying=saying)

    def test_an_unknown_agent_is_told_which_agents_there_are(self):
        config = pipeline() + pipeline().replace("a1.", "tier2.")
        error = self.start(self.file("x.conf", config), name="a2", saying=["a2", "a1", "tier2"])
        self.assertIn("No configuration found for this host:a2", error)  # Flume's words

    def test_files_that_are_none(self):
        missing = os.path.join(self.folder, "missing.conf")
        self.start(missing, saying=["The specified configuration file does not exist: " + missing])
        self.start(self.folder, saying=["Unable to read file " + self.folder, "directory"])
        self.start(self.file("empty.conf", ""), saying=["empty.conf", "No configuration could be found"])
        self.start(self.file("remarks.conf", "# only\n! remarks\n"), saying=["No configuration could be found"])
        self.start(self.file("empty.yaml", ""), saying=["empty.yaml"])
        self.start(os.devnull, saying=["/dev/null"])

    def test_xml_gets_one_clear_line(self):
        error = self.start(self.file("x.xml", "<?xml version='1.0'?>\n<configuration/>\n"))
        lines = [line for line in error.splitlines() if "x.xml:1:1" in line]
        self.assertEqual(len(lines), 1, error)
        self.assertIn("XML", lines[0])

    def test_a_file_of_another_user(self):
        path = self.file("secret.conf", pipeline())
        os.chmod(path, 0)
        os.chmod(self.folder, 0o755)
        user = None
        if os.access(path, os.R_OK):  # root reads everything
            user = 65534
            if subprocess.run(["test", "-x", BIN], user=user).returncode != 0:
                self.skipTest("root reads everything, and nobody else may run the binary")
        code, _, error = run_sluice("agent", "-n", "a1", "-f", path, user=user)
        self.assertEqual(code, 1)
        for text in ("Unable to read", path, "Permission denied"):
            self.assertIn(text, error)

    def test_binary_files(self):
        with open("/proc/self/exe", "rb") as file:
            program = file.read(1 << 20)
        for name, content in (("elf.conf", program),
                              ("zeros.conf", bytes(100_000)), ("high.conf", bytes(range(256)) * 100),
                              ("elf.yaml", program[:65536]),
                              ("utf16.conf", pipeline().encode("utf-16"))):
            with self.subTest(name):
                error = self.start(self.file(name, content), saying=[name])
                self.assertLess(len(error), 200_000, "a flood of messages")
                self.assertNotRegex(error, r"[\x00-\x08\x0b-\x1f]", "control characters reach the terminal")

    def test_wrong_usage_is_status_2(self):
        conf = self.file("x.conf", pipeline())
        for arguments, word in (((), "command"), (("agnet",), "agnet"), (("agent", "-f", conf), "n"),
                                (("agent", "-n", "a1"), "conf-file"),
                                (("agent", "-n", "a1", "-f", conf, "--bogus"), "--bogus"),
                                (("agent", "-n", "a1", "-f"), "-f"),
                                (("agent", "-n", "a1", "-f", conf, "--conf-fil", "y"), "--conf-file"),
                                (("agent", "-n", "a1", "-z", "zk:2181"), "ZooKeeper"),
                                (("agent", "-n", "a1", "-u", "http://x/y"), "http://x/y"),
                                (("check",), "conf-file")):
            with self.subTest(arguments):
                self.refused(*arguments, status=2, saying=[word])

    def test_strict_refuses_what_would_be_left_out(self):
        config = self.file("x.conf", pipeline() + "a1.sinks = k1 k2\n")
        self.start(config, "--strict", saying=["k2", "--strict"])

    def test_strict_refuses_a_file_with_errors(self):
        config = self.file("x.conf", pipeline() + "a1.sinks.k1.x = \\uZZ\n")
        self.start(config, "--strict", saying=["--strict: the configuration has errors"])

    def test_nothing_left_to_run(self):
        self.start(self.file("x.conf", pipeline("type = carrier_pigeon", "type = hole")),
                   saying=["carrier_pigeon", "hole", "nothing can run"])


class RunsWithout(unittest.TestCase):
    def test_an_unknown_type_is_left_out_and_the_rest_runs(self):
        config = (lists("1", "2") + flow(NETCAT, "type = null") +
                  flow("type = netcaat", "type = com.example.MySink", suffix="2"))
        with Agent(config) as agent:
            self.assertEqual(send_and_read(agent.port(), b"hello\n"), b"OK\n")
            self.assertRegex(agent.log(), r"test\.conf:\d+:\d+: unknown source type 'netcaat' of source r2.*netcat")
            for name in ("source r2", "sink k2"):
                self.assertRegex(agent.log(), r"\[error\] agent a1: %s is left out" % name)

    def test_an_interval_below_zero_is_never_as_in_flume(self):
        sink = "type = avro\nhostname = 127.0.0.1\nport = 1\nreset-connection-interval = -1"
        with Agent(pipeline(NETCAT, sink)) as agent:
            self.assertEqual(send_and_read(agent.port(), b"hello\n"), b"OK\n")
            self.assertRegex(agent.log(), r"\[warning\].*reset-connection-interval")
            self.assertNotIn("is left out", agent.log())

    def test_a_wrong_value_leaves_its_component_out(self):
        config = (lists("1", "2") + flow(NETCAT, "type = null") +
                  flow(NETCAT.replace("port = 0", "port = http"), "type = null", suffix="2"))
        with Agent(config) as agent:
            self.assertEqual(send_and_read(agent.port(), b"hello\n"), b"OK\n")
            self.assertRegex(agent.log(), r"test\.conf:\d+:\d+: .*http")

    def test_properties_that_cannot_be_read_are_said_and_have_no_effect(self):
        wrong = ["-Dsluice.drain.ms=soon", "-Dsluice.memory.limit=much", "-Dflume.monitoring.port=99999"]
        with Agent(pipeline(), arguments=["-Dflume.monitoring.type=http", *wrong]) as agent:
            agent.wait_until_running()
            for word in wrong:
                self.assertRegex(agent.log(), r"\[warning\] %s has no effect: " % re.escape(word))

    def test_properties_take_units(self):
        units = ["-Dsluice.drain.ms=2s", "-Dsluice.memory.limit=32Mi"]
        with Agent(pipeline(), arguments=units) as agent:
            agent.wait_until_running()
            self.assertNotIn("no effect", agent.log())
            self.assertRegex(agent.log(), r"memory accounts sum up to 4\d MiB")

    def test_the_file_may_set_the_memory_limit_and_the_command_line_wins(self):
        config = pipeline() + "a1.memoryLimit = 32Mi\n"
        for arguments, sum_in_mib in (([], r"4\d"), (["-Dsluice.memory.limit=96Mi"], r"1\d\d")):
            with Agent(config, arguments=arguments) as agent:
                agent.wait_for_log(r"memory accounts sum up to %s MiB" % sum_in_mib)

    def test_java_options_of_the_environment_count(self):
        options = {"JAVA_OPTS": "-Xmx20m -Dq=type", "FLUME_JAVA_OPTS": "-Dq=null"}
        config = pipeline(sink="type = ${sys:q}")
        with Agent(config, environment=options) as agent:
            agent.wait_for_log(r"sink k1 \(null\)")

    def test_dryrun_does_not_run(self):
        code, out, error = self.dry(pipeline())
        self.assertEqual(code, 0, error)
        self.assertIn("runs", out + error)

    def dry(self, config):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write(config)
            file.flush()
            return run_sluice("agent", "-n", "a1", "-f", file.name, "--dryrun")


class TakenPort(unittest.TestCase):
    def test_it_is_said_and_the_port_taken_over_when_it_is_free(self):
        holder = socket.create_server(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        config = (lists("1", "2") + flow(NETCAT.replace("port = 0", "port = %d" % port), "type = null") +
                  flow(NETCAT, "type = null", suffix="2"))
        with Agent(config, monitoring=True) as agent:
            agent.wait_for_log(r"source r1: cannot listen on 127\.0\.0\.1:%d: Address already in use" % port)
            self.assertEqual(send_and_read(agent.port("r2"), b"the rest runs\n"), b"OK\n")
            status, text = agent.http("/readyz")
            self.assertEqual(status, 503)
            self.assertIn("source r1: retrying", text)
            self.assertEqual(agent.http("/healthz")[0], 200)
            holder.close()
            self.assertEqual(agent.port("r1"), port)
            self.assertEqual(send_and_read(port, b"hello\n"), b"OK\n")
            self.assertEqual(agent.http("/readyz")[0], 200)
            self.assertEqual(agent.stop(), 0)

    def test_an_address_of_another_machine(self):
        with Agent(pipeline(NETCAT.replace("127.0.0.1", "192.0.2.1"))) as agent:
            agent.wait_for_log(r"source r1: cannot listen on 192\.0\.2\.1:0: .*tried again")
            self.assertEqual(agent.stop(), 0)


class Libraries(unittest.TestCase):
    def test_none_is_looked_for_in_the_working_directory(self):
        # The loader takes an empty folder in RUNPATH for the working directory.
        dynamic = subprocess.run(["readelf", "-d", BIN], stdout=subprocess.PIPE, text=True, check=True, timeout=30).stdout
        self.assertIn("NEEDED", dynamic)
        self.assertNotRegex(dynamic, "RUNPATH|RPATH")


class Information(unittest.TestCase):
    def test_version_and_help(self):
        for word in ("version", "--version"):
            code, out, _ = run_sluice(word)
            self.assertEqual(code, 0)
            self.assertRegex(out, r"\d+\.\d+")
        for word in ("help", "--help", "-h"):
            code, out, _ = run_sluice(word)
            self.assertEqual(code, 0)
            self.assertIn("--conf-file", out)


@unittest.skipUnless(os.path.isdir(os.path.join(SHARED, "flume-configs")), "the real configurations are not here")
class RealConfigurations(unittest.TestCase):
    def test_starting_one_that_names_an_agent_says_something_and_ends(self):
        # Each is started under a name that is not in it: it is loaded and judged, and nothing runs.
        folder = os.path.join(SHARED, "flume-configs")
        names = [n for n in sorted(os.listdir(folder)) if re.search(r"\.(conf|properties|ya?ml)$", n)]
        for name in names[::10]:
            with self.subTest(name):
                code, _, error = run_sluice("agent", "-n", "no such agent", "-f", os.path.join(folder, name))
                self.assertEqual(code, 1, error)
                self.assertIn("no such agent", error)


if __name__ == "__main__":
    unittest.main(verbosity=2)
