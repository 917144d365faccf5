"""Files of our hdfs sink on a local file system, read by Hadoop's own readers: what went in comes out, byte for byte."""
import collections
import json
import os
import subprocess
import tempfile
import unittest

from peers.abilities import hdfs_sink_knows
from peers.hadoop import Reader, Record
from peers.sequence_files import read_blocks
from support.agent import Agent
from support.avro_peer import AvroClient
from support.avro_wire import Event
from support.varied_events import difference
from support.waiting import wait_until

NOT_IN_HADOOP = "zstd"  # Without libhadoop.so, which Maven does not have.
CODECS = {"gzip": "GzipCodec", "bzip2": "BZip2Codec", "deflate": "DefaultCodec", "snappy": "SnappyCodec", "lz4": "Lz4Codec",
          "zstd": "ZStandardCodec"}
SUFFIXES = {"gzip": ".gz", "bzip2": ".bz2", "deflate": ".deflate", "snappy": ".snappy", "lz4": ".lz4", "zstd": ".zst", None: ""}
FIRST_KEY = 1_700_000_000_000
# Of each kind of content; the long ones are more than a block of a SequenceFile, of snappy and of lz4.
BODIES = [b"", b"a", b"two\nlines\n", "\u4e2d\u6587 \U0001f680".encode(), b"\xff\xfe\x80 no UTF-8", bytes(range(256)),
          os.urandom(1 << 20), b"0123456789" * 100_000, b""]
LINES = [b"%06d INFO request answered in %d ms, nothing else to say about it but that it was a request " % (i, i % 97) +
         os.urandom(30).hex().encode() for i in range(20_000)]
CONTENTS = BODIES + LINES[:10_000] + BODIES + LINES[10_000:] + [b""]


MORE = "hdfs.rollInterval = 0\nhdfs.rollSize = 0\nhdfs.rollCount = 15000\nhdfs.batchSize = 1000\n"


def sink(file_type, codec=None, more=""):
    return "hdfs.fileType = %s\n%s%s" % (file_type, "hdfs.codeC = %s\n" % codec if codec else "", more)


# By name: what a sink is told, its codec, the type of its values or None, and what of a SequenceFile is compressed.
Case = collections.namedtuple("Case", "sink codec value unit", defaults=("BLOCK",))
CASES = {"data": Case(sink("DataStream"), None, None)}
CASES.update(("stream-" + codec, Case(sink("CompressedStream", codec), codec, None)) for codec in CODECS)
CASES.update(("%s-%s" % (value, codec or "none"), Case(sink("SequenceFile", codec, "hdfs.writeFormat = %s\n" % value), codec, value))
             for value in ("Writable", "Text") for codec in (None, *CODECS))
CASES.update(("%s-%s-record" % (value, codec), Case(
    sink("SequenceFile", codec, "hdfs.writeFormat = %s\nhdfs.compressionType = RECORD\n" % value), codec, value, "RECORD"))
    # Of bzip2 each value costs as much as a whole block.
    for value, codec in (("Writable", "gzip"), *(("Text", codec) for codec in CODECS if codec != "bzip2")))


def agent_text(sinks):
    """One source, and for each of {name: what a sink is told} a channel and a sink."""
    channels = " ".join("c-" + name for name in sinks)
    text = "a1.sources = r1\na1.channels = %s\na1.sinks = %s\n" % (channels, " ".join("k-" + name for name in sinks))
    text += "".join("a1.sources.r1.%s\n" % line for line in ("type = avro", "bind = 127.0.0.1", "port = 0", "channels = " + channels))
    for name, told in sinks.items():
        text += "a1.channels.c-%s.type = memory\na1.channels.c-%s.capacity = 30000\n" % (name, name)
        text += "".join("a1.sinks.k-%s.%s\n" % (name, line) for line in (
            "type = hdfs\nhdfs.path = file://{dir}/%s\nhdfs.idleTimeout = 5\nchannel = c-%s\n%s" % (name, name, told)).splitlines())
    return text


def write_files(directory, sinks, sent):
    """Files of each of the sinks below `directory`, under its name."""
    with Agent(agent_text(sinks), directory=directory, monitoring=True) as agent:
        with AvroClient(agent.port("r1"), timeout_s=60) as client:
            for i in range(0, len(sent), 1000):
                if client.append_batch(sent[i:i + 1000]) != "OK":
                    raise AssertionError("not acknowledged")

        def delivered():
            metrics = agent.metrics()
            return [int(metrics["SINK.k-" + name]["EventDrainSuccessCount"]) for name in sinks]
        wait_until(lambda: set(delivered()) == {len(sent)}, lambda: "%d: %s" % (len(sent), delivered()), 60)

        def unfinished():
            return [path for name in sinks for path in files_of(os.path.join(directory, name)) if path.endswith(".tmp")]
        # At its end the agent waits a bounded time for what is being compressed.
        wait_until(lambda: not unfinished(), lambda: "unfinished: %s" % unfinished(), 120, poll_s=0.1)
        if agent.stop(deadline_s=60) != 0:
            raise AssertionError("the agent's end")


def events():
    return [Event({"timestamp": str(FIRST_KEY + i)}, body) for i, body in enumerate(CONTENTS)]


RECORDS = [Record(FIRST_KEY + i, body) for i, body in enumerate(CONTENTS)]


def files_of(folder):
    """In the order in which the sink wrote them; an in-use name would be an error of its own."""
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]


class EveryFormat(unittest.TestCase):
    """One agent writes them all, and one Hadoop reads them all."""

    @classmethod
    def setUpClass(cls):
        cls.directory = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="sluice-test-"))
        write_files(cls.directory, {name: MORE + case.sink for name, case in CASES.items()}, events())
        cls.reader = cls.enterClassContext(Reader())

    def files(self, name):
        files = files_of(os.path.join(self.directory, name))
        suffix = SUFFIXES[CASES[name].codec]
        for file in files:
            self.assertRegex(os.path.basename(file), r"^FlumeData\.\d{13}%s$" % suffix)
        self.assertEqual(len(files), 2)
        return files

    def test_streams(self):
        content = b"".join(body + b"\n" for body in CONTENTS)
        for name, case in CASES.items():
            if case.value is None and case.codec != NOT_IN_HADOOP:
                with self.subTest(name):
                    what, parts = zip(*map(self.reader.read, self.files(name)))
                    # Two codecs are called .deflate, and are one.
                    self.assertEqual(set(what), {"stream %s" % CODECS.get(case.codec, "none").replace("Default", "Deflate")})
                    self.assertTrue(b"".join(parts) == content)

    def test_sequence_files(self):
        for name, case in CASES.items():
            if case.value is not None and case.codec != NOT_IN_HADOOP:
                with self.subTest(name):
                    what, parts = zip(*map(self.reader.read, self.files(name)))
                    kind = "%s %s" % (case.unit, CODECS[case.codec]) if case.codec else "NONE none"
                    value = {"Text": "Text", "Writable": "BytesWritable"}[case.value]
                    self.assertEqual(set(what), {"sequence %s LongWritable %s" % (kind, value)})
                    self.check_records(parts[0] + parts[1])

    def check_records(self, records):
        self.assertEqual(len(records), len(RECORDS))
        self.assertEqual([i for i, pair in enumerate(zip(records, RECORDS)) if pair[0] != pair[1]][:5], [])

    def test_zstd_which_hadoop_from_maven_cannot_read(self):
        for name in ("stream-zstd", "Writable-zstd"):
            with self.assertRaisesRegex(AssertionError, "native zStandard library not available"):
                self.reader.read(self.files(name)[0])
        content = b"".join(map(unpack, self.files("stream-zstd")))
        self.assertTrue(content == b"".join(body + b"\n" for body in CONTENTS))
        for value in ("Writable", "Text"):
            with self.subTest(value):
                first, second = map(read_blocks, self.files(value + "-zstd"))
                self.check_records(first + second)


def unpack(path):
    return subprocess.run(["zstd", "-dcq", path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout


@unittest.skipUnless(hdfs_sink_knows("serializer.syncIntervalBytes"), "our hdfs sink has no Avro serializers")
class AvroFiles(unittest.TestCase):
    """Read by the Avro library that Hadoop has."""

    def read(self, sinks, sent):
        """{name: (what Avro took it for, its records)}, each of one file."""
        directory = self.enterContext(tempfile.TemporaryDirectory(prefix="sluice-test-"))
        write_files(directory, {name: "hdfs.fileType = DataStream\nhdfs.fileSuffix = .avro\n" + told for name, told in sinks.items()},
                    sent)
        with Reader() as reader:
            read = {name: [reader.read(path) for path in files_of(os.path.join(directory, name))] for name in sinks}
        return {name: (what, [json.loads(line) for line in content.split(b"\n")[:-1]]) for name, ((what, content),) in read.items()}

    def test_avro_event(self):
        codecs = ("null", "deflate", "snappy", "zstandard")
        sent = events()[:3000]
        sent[3].headers["Schl\u00fcssel"] = "\u4e2d\u6587 \U0001f680"
        files = self.read({codec: "serializer = avro_event\nserializer.compressionCodec = %s\n" % codec for codec in codecs}, sent)
        for codec in codecs:
            with self.subTest(codec):
                what, records = files[codec]
                self.assertEqual(what, "avro %s Event" % codec)
                self.assertEqual(len(records), len(sent))
                # Bytes are letters of Latin-1 in Avro's JSON.
                got = [Event(record["headers"], record["body"].encode("latin-1")) for record in records]
                self.assertEqual(difference(got, sent), "")

    def test_bodies_that_are_records(self):
        schema = '{"type":"record","name":"Point","namespace":"a.b","fields":[{"name":"x","type":"long"},{"name":"s","type":"string"}]}'
        sent = [Event({"flume.avro.schema.literal": schema}, bytes([2 * i, 2]) + b"abc"[i % 3:i % 3 + 1]) for i in range(60)]
        serializer = "serializer = org.apache.flume.sink.hdfs.AvroEventSerializer$Builder\n"
        what, records = self.read({"point": serializer}, sent)["point"]
        self.assertEqual(what, "avro null a.b.Point")
        self.assertEqual(records, [{"x": i, "s": "abc"[i % 3]} for i in range(60)])
