#!/usr/bin/env python3
# test: timeout=300
"""The hdfs sink on a local file system: each line is in one file once, whatever kills the agent.

SLUICE_SOAK=1 kills 200 times at random instead of a few times.
"""
import gzip
import importlib.util
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

from support.avro_container import EVENT_SCHEMA, Container
from support.agent import NETCAT, ROOT, Agent, drawn_seed, fail_points, pipeline
from support.net import connect
from support.waiting import wait_until

SOAK = os.environ.get("SLUICE_SOAK") == "1"
TAIL = ("type = TAILDIR\nfilegroups = f\nfilegroups.f = {dir}/app.log\n"
        "positionFile = {dir}/positions.json\n")
ROCKSDB = "type = rocksdb\ncapacity = 1000000"


def hdfs(path="file://{dir}/out", more=""):
    return "type = hdfs\nhdfs.path = %s\nhdfs.fileType = DataStream\n%s" % (path, more)


def files_below(directory):
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(directory) for name in names)


def content(path):
    """Of a file that may just get its final name: then nothing, or what it has under that name. Events of Avro as lines."""
    try:
        with open(path, "rb") as file:
            data = gzip.decompress(file.read()) if path.endswith(".gz") else file.read()
    except FileNotFoundError:
        return b""
    return b"".join(body + b"\n" for _, body in Container(data).events()) if data[:4] == b"Obj\x01" else data


def content_as_it_is(path):
    with open(path, "rb") as file:
        return file.read()


def lines_of(paths):
    return [line for path in paths for line in content(path).split(b"\n")[:-1]]


class Files(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="sluice-test-")
        self.directory = self.temporary.name
        self.out = os.path.join(self.directory, "out")
        self.written = 0

    def tearDown(self):
        self.temporary.cleanup()

    def agent(self, config, environment=None, arguments=()):
        return Agent(config, directory=self.directory, environment=environment, monitoring=True,
                     arguments=["-Dsluice.state.dir=" + os.path.join(self.directory, "state"), *arguments])

    def write(self, lines):
        with open(os.path.join(self.directory, "app.log"), "ab") as file:
            file.write(b"".join(b"line-%06d\n" % (self.written + i) for i in range(lines)))
        self.written += lines

    def all_lines(self):
        return [b"line-%06d" % i for i in range(self.written)]

    def complete_lines(self):
        return lines_of([f for f in files_below(self.out) if not f.endswith(".tmp")])

    def check_once(self):
        """All lines are in files with their final names, once."""
        files = files_below(self.out)
        in_use = [f for f in files if f.endswith(".tmp")]
        # One that was made and not told the store of is empty.
        self.assertEqual([content(f) for f in in_use], [b""] * len(in_use))
        self.assertEqual(sorted(lines_of(files)), self.all_lines())

    def run_to_the_end(self, config):
        with self.agent(config) as agent:
            # What is in files in use may be cut off again, and count for nothing yet.
            wait_until(lambda: len(set(self.complete_lines())) >= self.written,
                       lambda: "%d of %d lines" % (len(set(self.complete_lines())), self.written), 60)
            self.assertEqual(agent.stop(), 0)
        self.check_once()


class Once(Files):
    ROLLS = "hdfs.rollCount = 300\nhdfs.rollInterval = 1\n"
    CONFIG = pipeline(TAIL, hdfs(more=ROLLS), ROCKSDB)
    COMPRESSED = pipeline(TAIL, hdfs(more=ROLLS + "hdfs.codeC = gzip\n").replace("DataStream", "CompressedStream"),
                          ROCKSDB)
    AVRO = pipeline(TAIL, hdfs(more=ROLLS + "serializer = avro_event\nserializer.syncIntervalBytes = 1000\n"
                               "serializer.compressionCodec = deflate\n"), ROCKSDB)

    def test_random_kills(self):
        self.run_through_kills(self.CONFIG)

    def test_random_kills_with_compressed_files(self):
        self.run_through_kills(self.COMPRESSED)

    def test_random_kills_with_avro_files(self):
        self.run_through_kills(self.AVRO)

    def run_through_kills(self, config):
        seed = drawn_seed()
        print("seed", seed)
        moments = random.Random(seed)
        for _ in range(200 if SOAK else 10):
            with self.agent(config) as agent:
                for _ in range(4):
                    self.write(moments.randrange(1000))
                    threading.Event().wait(moments.uniform(0, 0.08))  # any moment will do
                agent.kill(9)
                agent.wait(20)
        self.run_to_the_end(config)

    def test_every_fail_point(self):
        points = [point for point in fail_points("bucket") if "make" not in point]
        self.assertEqual(len(points), 6)
        self.run_through_points(self.CONFIG, points)

    def test_every_fail_point_with_compressed_files(self):
        points = fail_points("bucket")
        self.assertEqual(len(points), 7)
        self.run_through_points(self.COMPRESSED, points)

    def test_every_fail_point_with_avro_files(self):
        self.run_through_points(self.AVRO, fail_points("bucket"))

    def run_through_points(self, config, points):
        for point in points:
            for count in (1, 3):
                with self.subTest(point=point, count=count):
                    self.write(1000)
                    with self.agent(config, {"SLUICE_KILL_AT": "%s:%d" % (point, count)}) as agent:
                        def dead():
                            self.write(50)
                            return not agent.running()
                        wait_until(dead, "the agent dies", 20, 0.02)
                        self.assertEqual(agent.wait(), -9)
        self.run_to_the_end(config)

    def test_many_buckets(self):
        """More files than are synced one by one, and more than may be open."""
        config = pipeline(TAIL + "byteOffsetHeader = true\n",
                          hdfs("{dir}/out/%{byteoffset}", "hdfs.maxOpenFiles = 40\nhdfs.idleTimeout = 1\n"), ROCKSDB)
        for _ in range(3):
            self.write(200)
            with self.agent(config) as agent:
                wait_until(lambda: len(files_below(self.out)) >= self.written / 2, "half of them", 30)
                agent.kill(9)
                agent.wait(20)
        self.run_to_the_end(config)
        whole = [f for f in files_below(self.out) if not f.endswith(".tmp")]
        self.assertEqual(len(whole), self.written)


class Avro(Files):
    def test_what_is_in_a_file(self):
        """Blocks are full, however small the transactions were; other readers read the files."""
        config = pipeline(TAIL + "byteOffsetHeader = true\n",
                          hdfs(more="serializer = avro_event\nserializer.syncIntervalBytes = 2000\n"
                               "hdfs.fileSuffix = .avro\nhdfs.batchSize = 10\n"))
        self.write(500)
        self.run_to_the_end_by_stopping(config, 500)
        path, = files_below(self.out)
        file = Container(content_as_it_is(path))
        self.assertEqual((file.schema, file.codec), (EVENT_SCHEMA, "null"))
        self.assertTrue(all(2000 <= len(data) < 2100 for _, data in file.blocks[:-1]), file.blocks)
        self.assertEqual(file.events(), [({b"byteoffset": b"%d" % (12 * i)}, line) for i, line in enumerate(self.all_lines())])
        if shutil.which("avrocat"):
            lines = subprocess.run(["avrocat", path], stdout=subprocess.PIPE, check=True).stdout.splitlines()
            self.assertEqual([json.loads(line)["body"].encode() for line in lines], self.all_lines())
        else:
            print("avrocat is not installed: not asked")
        if importlib.util.find_spec("avro"):
            from avro.datafile import DataFileReader
            from avro.io import DatumReader
            with open(path, "rb") as stream:
                self.assertEqual([event["body"] for event in DataFileReader(stream, DatumReader())], self.all_lines())
        else:
            print("python3-avro is not installed: not asked")

    def test_avro_files_through_spooldir_and_back(self):
        """Of two schemas: each record comes out as it was, in files of its own schema."""
        os.mkdir(os.path.join(self.directory, "in"))
        known = os.path.join(ROOT, "fuzz", "corpus", "avro_container", "tree-null")
        for i in range(3):
            shutil.copy(known, os.path.join(self.directory, "in", "tree-%d.avro" % i))
            with open(os.path.join(self.directory, "in", "text-%d.avro" % i), "wb") as file:
                file.write(b"Obj\x01\x02\x16avro.schema\x10\"string\"\x00" + bytes(16) + b"\x04\x0a\x02a\x04bc" + bytes(16))
        sink = hdfs(more="serializer = org.apache.flume.sink.hdfs.AvroEventSerializer$Builder\n")
        source = "type = spooldir\nspoolDir = {dir}/in\ndeserializer = AVRO\ndeserializer.schemaType = LITERAL\n"
        tree = Container(content_as_it_is(known))
        events = 3 * (sum(datums for datums, _ in tree.blocks) + 2)
        self.run_to_the_end_by_stopping(pipeline(source, sink, ROCKSDB), events)
        files = [Container(content_as_it_is(path)) for path in files_below(self.out)]
        self.assertEqual(len(files), 2)
        texts, = [file for file in files if file.schema == "string"]
        trees, = [file for file in files if file.schema != "string"]
        self.assertEqual(texts.data(), 3 * b"\x02a\x04bc")
        self.assertEqual(trees.data(), 3 * tree.data())
        self.assertEqual(trees.schema, tree.schema)

    def run_to_the_end_by_stopping(self, config, events):
        with self.agent(config) as agent:
            wait_until(lambda: agent.metrics()["SINK.k1"]["EventDrainSuccessCount"] == str(events), "all events", 20)
            self.assertEqual(agent.stop(), 0)


class InMemory(Files):
    def test_a_sequence_file_of_the_articles(self):
        """spooldir -> memory -> hdfs, SequenceFiles that end after 128 bytes of bodies."""
        os.mkdir(os.path.join(self.directory, "in"))
        lines = [b"event number %d" % i for i in range(40)]
        with open(os.path.join(self.directory, "in", "a.log"), "wb") as file:
            file.write(b"".join(line + b"\n" for line in lines))
        config = pipeline("type = spooldir\nspoolDir = {dir}/in\n",
                          "type = hdfs\nhdfs.path = file://{dir}/out\nhdfs.rollSize = 128\nhdfs.rollCount = 0\n")
        with self.agent(config) as agent:
            wait_until(lambda: len(files_below(self.out)) >= 5, "some files", 10)
            self.assertEqual(agent.stop(), 0)
        files = [content(f) for f in files_below(self.out)]
        self.assertTrue(all(f.startswith(b"SEQ\x06\x21org.apache.hadoop.io.LongWritable\x22"
                                         b"org.apache.hadoop.io.BytesWritable") for f in files))
        # The length of a BytesWritable stands in front of its bytes.
        for line in lines:
            value = len(line).to_bytes(4, "big") + line
            self.assertEqual(sum(f.count(value) for f in files), 1, line)
        self.assertTrue(all(f.count(b"event number") <= 10 for f in files))

    def test_the_pipeline_of_the_articles(self):
        """netcat -> memory -> hdfs, rolled by time."""
        sink = hdfs("{dir}/out/%Y-%m-%d", "hdfs.useLocalTimeStamp = true\nhdfs.rollInterval = 1\n"
                    "hdfs.filePrefix = log\nhdfs.fileSuffix = .txt\n")
        with self.agent(pipeline(NETCAT, sink)) as agent:
            with connect(agent.port()) as client:
                client.sendall(b"hello\nworld\n")
                self.assertEqual(client.recv(100)[:2], b"OK")
                wait_until(lambda: [f for f in files_below(self.out) if f.endswith(".txt")], "a file", 10)
            self.assertEqual(agent.stop(), 0)
        files = files_below(self.out)
        self.assertTrue(all(re.search(r"/out/\d{4}-\d\d-\d\d/log\.\d{13}\.txt$", f) for f in files), files)
        self.assertEqual(b"".join(content(f) for f in files), b"hello\nworld\n")

    def test_what_a_kill_left_is_finished(self):
        config = pipeline(TAIL, hdfs())
        self.write(100)
        with self.agent(config) as agent:
            wait_until(lambda: len(lines_of(files_below(self.out))) == 100, "all lines", 10)
            # What has not been committed comes again, which is another matter.
            agent.wait_for_log("writing .*tmp")
            agent.kill(9)
            agent.wait(20)
        self.assertTrue(files_below(self.out)[0].endswith(".tmp"))
        with self.agent(config) as agent:
            agent.wait_for_log("was left by the agent before this one")
            self.assertEqual(agent.stop(), 0)
        files = files_below(self.out)
        self.assertFalse([f for f in files if f.endswith(".tmp")])
        self.assertEqual(set(lines_of(files)), set(self.all_lines()))


class Check(Files):
    def test_avro_keys(self):
        more = "serializer = avro_event\nserializer.compressionCodec = lzma\n"
        with self.agent(pipeline(NETCAT, hdfs(more=more))) as agent:
            agent.wait_for_log("there is no codec 'lzma' for Avro files")
            agent.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
