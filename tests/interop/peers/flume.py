"""Apache Flume: agents, the SDK's client and avro-client, as processes of their own."""
import functools
import glob
import os
import subprocess
import tempfile

from support.agent import ROOT, Agent, flow, lists

from . import maven
from .events import read_event_lines, wait_until_received, write_event_lines

HERE = os.path.join(ROOT, "tests", "interop", "flume")
VERSIONS = ("1.11", "1.9")
# Little memory, and no time for code that runs for seconds only.
JVM = ("-Xmx256m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class Flume:
    """One version of Flume on this machine."""

    def __init__(self, version):
        pom = os.path.join(HERE, "pom-%s.xml" % version)
        self.version = version
        jars = maven.class_path(pom)
        classes = os.path.join(maven.BUILD, "classes-" + version)
        maven.compile_java(sorted(glob.glob(os.path.join(HERE, "src", "sluice", "*.java"))), jars, classes)
        self.jars = [classes, *jars]

    def __str__(self):
        """What it is made of, in a line."""
        telling = ("flume-ng-", "flume-file-", "flume-taildir-", "avro-", "netty-3", "netty-all-")
        names = [os.path.basename(jar) for jar in self.jars]
        return "Flume %s: %d jars, of them %s" % (self.version, len(names) - 1, " ".join(
            name[:-len(".jar")] for name in sorted(names) if name.startswith(telling)))

    def java(self, main, *arguments, options=()):
        """The command line of a class."""
        return ["java", *JVM, "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
                "-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
                *options, "-cp", ":".join(self.jars), main, *arguments]


@functools.lru_cache(maxsize=None)
def flume(version="1.11"):
    return Flume(version)


class FlumeAgent(Agent):
    """Flume's agent a1; used as support.agent.Agent, which stops it and looks after its log.

    `files` are lists of events, written as lines to {dir} before it starts.
    """

    def __init__(self, config, version="1.11", options=(), files=None, **more):
        super().__init__(config, file_name="flume.conf", **more)
        for name, events in (files or {}).items():
            write_event_lines(self.path(name), events)
        self.command = flume(version).java("org.apache.flume.node.Application", "--name", "a1", "--conf-file",
                                           self.config, "--no-reload-conf", options=options)

    def wait_until_listening(self, source="r1", deadline_s=30, count=1):
        self.wait_for_log(r"Avro source %s started\." % source, deadline_s, count)

    def received(self):
        """The events that the EventLinesSink of this agent wrote."""
        return read_event_lines(self.path("received"))

    def wait_for_events(self, count, deadline_s=30):
        return wait_until_received(self.path("received"), count, deadline_s)


# --- Configurations -------------------------------------------------------------------------------

CHANNEL = "capacity = 30000\ntransactionCapacity = 10000\n"


def receiver(port, source="", sink="", channel=CHANNEL):
    """An agent that takes events by Avro and writes them to {dir}/received."""
    return lists("1") + flow(avro_source(port, source), event_lines_sink(sink), channel)


def sender(port, file, sink="", channel=CHANNEL):
    """An agent that sends the events of a file by Avro, 100 a batch if `sink` does not say otherwise."""
    return lists("1") + flow(event_lines_source(file), avro_sink(port, sink), channel)


def avro_source(port, more=""):
    return "type = avro\nbind = 127.0.0.1\nport = %d\n%s" % (port, more)


def avro_sink(port, more=""):
    return "type = avro\nhostname = 127.0.0.1\nport = %d\n%s" % (port, more)


def event_lines_source(file, more=""):
    return "type = sluice.EventLinesSource\nfile = %s\n%s" % (file, more)


def event_lines_sink(more=""):
    return "type = sluice.EventLinesSink\nfile = {dir}/received\n" + more


# --- Clients --------------------------------------------------------------------------------------


def send_by_sdk(port, events, version="1.11", call_size=0, properties="", deadline_s=60):
    """Flume's SDK client: (how many were acknowledged, whether it was content, what it said on stderr).

    `call_size` events go in one appendBatch, or each in an append for 0.
    """
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
        client, lines = os.path.join(directory, "client.properties"), os.path.join(directory, "events")
        with open(client, "w") as file:
            file.write("hosts = h1\nhosts.h1 = 127.0.0.1:%d\nbatch-size = %d\n%s" % (port, max(call_size, 1), properties))
        write_event_lines(lines, events)
        done = subprocess.run(flume(version).java("sluice.SendEvents", client, lines, str(call_size)),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=deadline_s)
    words = done.stdout.decode().split()
    if words[:1] != ["acknowledged"]:
        raise AssertionError("the SDK client failed:\n" + done.stderr.decode(errors="replace"))
    return int(words[1]), done.returncode == 0, done.stderr.decode(errors="replace")


def avro_client(*arguments, version="1.11", stdin=b"", deadline_s=60):
    """Flume's avro-client: (exit status, what it said)."""
    done = subprocess.run(flume(version).java("org.apache.flume.client.avro.AvroCLIClient", *arguments), input=stdin,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=deadline_s)
    return done.returncode, done.stdout.decode(errors="replace")
