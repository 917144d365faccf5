"""Apache Spark: one process that is asked, with what programs of Spark call to read files."""
import collections
import functools
import json
import os
import shutil
import tempfile

from support.agent import ROOT

from .hadoop import encode
from .java import QUICK, Program, Shell

HERE = os.path.join(ROOT, "tests", "interop", "spark")
VERSIONS = ("3.5",)
# Spark's own list for Java 17 (JavaModuleOptions), which spark-submit gives to Java.
OPENED = ("java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util",
          "java.util.concurrent", "java.util.concurrent.atomic", "jdk.internal.ref", "sun.nio.ch", "sun.nio.cs",
          "sun.security.action", "sun.util.calendar")
TELLING = ("spark-core_", "spark-sql_", "spark-streaming_", "avro-1", "hadoop-client-api")

INTO = object()

# What Spark read of a directory: how many records, in how many parts, and how often it has each word.
Count = collections.namedtuple("Count", "records parts words")


class Spark(Program):
    """One version of Spark on this machine."""

    def __init__(self, version):
        super().__init__("Spark", HERE, version, TELLING)

    def java(self, main, *arguments, options=(), heap_mb=512):
        """The command line of a class. With less than 450 MB of heap Spark does not start."""
        opened = ["--add-opens=java.base/%s=ALL-UNNAMED" % each for each in OPENED]
        # Plans of SQL are deep trees: they want more than the stack of QUICK.
        return ["java", "-Xmx%dm" % heap_mb, *QUICK, "-Xss2m", *options, *opened, "-cp", ":".join(self.jars), main,
                *arguments]


@functools.lru_cache(maxsize=None)
def spark(version=VERSIONS[0]):
    return Spark(version)


class SparkShell(Shell):
    """Spark on two threads of one process, for a with statement; paths are of this machine."""

    def __init__(self, version=VERSIONS[0]):
        self.spark = spark(version)

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="sluice-test-")
        # Java unpacks the libraries of codecs there too, and a process that is killed leaves them.
        super().__init__("Spark", self.spark.java("sluice.SparkShell", self.directory,
                                                  options=["-Djava.io.tmpdir=" + self.directory]))
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        shutil.rmtree(self.directory)

    def count(self, kind, path, parts=1):
        """A Count of files of a kind, text, Text, Writable or avro, cut into so many parts where they can be cut."""
        into = os.path.join(self.directory, "words")
        answer = self.ask("count", kind, encode("file://" + path), parts, encode(into), deadline_s=120)
        with open(into, "rb") as file:
            pairs = [line.split(b"\t") for line in file.read().split(b"\n")[:-1]]
        return Count(*map(int, answer[0].split()), collections.Counter({word: int(count) for word, count in pairs}))

    def asked(self, command, *words, deadline_s=120):
        """What a command left in the file that is its word INTO, as text."""
        into = os.path.join(self.directory, "answer")
        self.ask(command, *(encode(into if word is INTO else str(word)) for word in words), deadline_s=deadline_s)
        with open(into, encoding="utf-8", newline="") as file:
            return file.read()

    def batches(self, folder, interval_ms, slide_ms, program, *numbers):
        """What a program of Spark Streaming printed of the batches in a folder, see Streams.java."""
        return self.asked("batches", folder, interval_ms, slide_ms, INTO, program, *numbers)

    def sql(self, path, statement):
        """The rows that Spark finds in a file of lines, as dicts."""
        return [json.loads(row) for row in self.asked("sql", "file://" + path, statement, INTO).splitlines()]

    def headers(self, key, path):
        """{value: how many events of Avro files have it in that header}."""
        lines = self.ask("headers", encode(key), encode("file://" + path), deadline_s=120)
        return {value: int(count) for count, value in (line.split(" ", 1) for line in lines)}
