"""Java processes: our classes as a jar, options of those that run for seconds, shells that are asked."""
import contextlib
import ctypes
import glob
import os
import random
import signal
import socket
import subprocess
import tempfile
import threading

from . import maven

# The first compiler only, for what runs for seconds.
QUICK = ("-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
LIBC = ctypes.CDLL(None)  # Loaded here, as it may not be between fork and exec.


class Program:
    """One version of a program of Java on this machine: its jars from Maven, and a jar of our own classes before them."""

    def __init__(self, name, here, version, telling):
        """`here` has pom-VERSION.xml and src/sluice; jars that begin like one of `telling` say what it is."""
        sources = sorted(glob.glob(os.path.join(here, "src", "sluice", "*.java")))
        jars = maven.class_path(os.path.join(here, "pom-%s.xml" % version))
        ours = os.path.join(maven.BUILD, "%s-%s-%s.jar" % (name.lower(), version, maven.digest(jars, sources)))
        if not os.path.exists(ours):
            compile_jar(sources, jars, ours)
        self.name = name
        self.version = version
        self.telling = telling
        self.jars = [ours, *jars]
        self.archive = ours[:-len(".jar")] + ".jsa"

    def __str__(self):
        """What it is made of, in a line."""
        names = sorted(os.path.basename(jar) for jar in self.jars)
        return "%s %s: %d jars, of them %s" % (self.name, self.version, len(names) - 1, " ".join(
            name[:-len(".jar")] for name in names if name.startswith(self.telling)))


def compile_jar(sources, jars, into):
    """Our classes as a jar: Java keeps no archive of classes for a class path with a folder in it."""
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
        maven.compile_java(sources, jars, directory)
        subprocess.run(["jar", "--create", "--file", into + ".new", "-C", directory, "."], stdin=subprocess.DEVNULL, check=True)
    os.replace(into + ".new", into)


def die_with_parent():
    """A process that nobody stops runs for ever; this one is killed when the tests are."""
    pr_set_pdeathsig = 1
    LIBC.prctl(pr_set_pdeathsig, signal.SIGKILL)


def lasting_port():
    """Below the range from which the kernel takes ports for clients: a node that is down a while gets its port again, and
    a client that tries it meanwhile does not meet itself."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


class Shell:
    """A program of ours that has the peer's own classes, without a start of Java for each question.

    It reads a line a command, and answers with lines that start with a blank, then with `ok` or `error WHY`.
    """

    def __init__(self, peer, command, environment=None):
        self.peer = peer
        self.command = command
        self.environment = {**os.environ, **(environment or {})}

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        text=True, env=self.environment, preexec_fn=die_with_parent)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(BrokenPipeError):  # What was written and is not read.
            self.process.stdin.close()
        self.process.stdout.close()

    def end(self, deadline_s=60):
        """By itself, as Java wants it that is to leave an archive of classes."""
        self.process.stdin.close()
        self.process.wait(deadline_s)

    def ask(self, *words, deadline_s=60):
        """The lines of the answer; raises AssertionError with the peer's words, or when the deadline ended the shell."""
        timer = threading.Timer(deadline_s, self.process.kill)
        timer.start()
        try:
            self.process.stdin.write(" ".join(map(str, words)) + "\n")
            self.process.stdin.flush()
            lines = []
            for line in self.process.stdout:
                if line.startswith(" "):
                    lines.append(line[1:-1])
                elif line == "ok\n":
                    return lines
                else:
                    raise AssertionError("%s on %s: %s" % (self.peer, " ".join(map(str, words)), line.strip()))
            raise AssertionError("no answer within %g s: %s" % (deadline_s, " ".join(map(str, words))))
        finally:
            timer.cancel()
