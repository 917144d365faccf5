"""Flume's hdfs sink and ours, with the same settings and the same events: the same files.

The settings are those of configurations that people have published, and of some of our own. Both sinks write below file:///;
a path's host is left out. Time is that of the events, whatever the configuration says, and no file ends for its age.
"""
import collections
import gzip
import io
import json
import os
import re
import struct
import tempfile
import unittest
import urllib.request
import zlib

from peers.extent import some
from peers.flume import FlumeAgent, event_lines_source, flume
from peers.maven import Unreachable
from support.agent import SHARED, Agent
from support.avro_container import Container
from support.avro_peer import OK, AvroClient
from support.avro_wire import Event
from support.net import free_port
from support.waiting import wait_until

VERSION = "1.11-hdfs"
CONFIGURATIONS = os.path.join(SHARED, "flume-configs")  # not in the repository
ZONE = "America/New_York"
EVENTS = 120
DATUMS = "org.apache.flume.sink.hdfs.AvroEventSerializer$Builder"

# File, agent and sink of each configuration.
PUBLISHED = {
    "as Flume has it": ("0xqq__FlumeSpooldirToHdfs__flume.conf", "agent", "hdfs-sink"),
    "header as path and prefix": ("MakeUpForeverForMe__flume__flume-hdfs_sink-01.conf", "agent", "hdfsSink"),
    "days": ("MakeUpForeverForMe__flume__flume.conf", "a", "hdfsSink"),
    "10000 events, but 1024 bytes": ("NikhilShrivastava__Apcahe-flume__seq_gen.conf", "SeqGenAgent", "HDFS"),
    "a slash at the end": ("Stratio__ingestion__testsAT_src_test_resources_features_test5-Redis_HDFS_conf_flume-conf.conf",
                           "agent", "hdfs-sink"),
    "three headers": ("fanyunfeng__flume-agents__server_192.168.060.062.conf", "a1", "k1"),
    "a SequenceFile of 1000 bytes": ("hackett91__FYP__flume_flume.conf", "agent", "hdfssink"),
    "hours": ("hunter95671__Flume_job__dir-flume-hdfs.conf", "a2", "k2"),
    "names of months": ("jrnz__flume__conf_avrosource.conf", "a1", "k1"),
    "SequenceFiles with snappy": ("mganta__xml-avro-multi__conf_flume.conf", "hdfs-xml-agent", "hdfs-write"),
    "avro_event with snappy": ("ahars__hdp-flume-sandbox__hadoop_conf_flume_4.conf", "agent_4", "dest_1_sk"),
    "SequenceFiles by month and day": ("ahars__hdp-flume-sandbox__hadoop_conf_flume_2.conf", "agent_2", "dest_1_sk"),
    "another suffix in use": ("sainib__hadoop-data-pipeline__flume_flume.conf", "sandbox", "sink_to_hdfs"),
    "the root": ("tempredirect__flume-bench__conf_flume-conf.conf", "agent", "hdfs"),
    "the hour as prefix": ("yu000hong__book-open-source__flume_flume-conf.conf", "flumeCluster", "hdfsSink"),
    "gzip": ("yuezhiyong__vagrant-setup__sh_flume_conf_kafka_file_hdfs.conf", "a1", "k1"),
    "ten minutes": ("npopa__npopa-samples__src_main_resources_flume.conf", "agent1", "hdfs-k1"),
    "one file": ("ramannanda9__RT-UBER-NYC-TAXI__flume_flume.conf", "flume-hive-ingest", "sink1"),
}
ESCAPES = "%a.%A.%b.%B.%d.%e.%j/%D/%k.%I.%l.%M.%S.%p.%y.%n.%m.%z.%s"
OURS = {
    "every escape": {"hdfs.path": "/%{host}/" + ESCAPES, "hdfs.filePrefix": "%t-%H", "hdfs.timeZone": "Asia/Kolkata",
                     "hdfs.fileType": "DataStream", "hdfs.maxOpenFiles": "500"},
    "rounded, every escape": {"hdfs.path": "/" + ESCAPES, "hdfs.filePrefix": "%t", "hdfs.round": "true",
                              "hdfs.roundValue": "7", "hdfs.roundUnit": "hour", "hdfs.timeZone": "GMT+5:30",
                              "hdfs.fileType": "DataStream", "hdfs.rollCount": "4"},
    "seconds, rounded": {"hdfs.path": "/%H%M%S", "hdfs.round": "true", "hdfs.roundValue": "40",
                         "hdfs.roundUnit": "second", "hdfs.fileType": "DataStream"},
    "a slash in the prefix": {"hdfs.path": "/x", "hdfs.filePrefix": "%{host}/%{service}-", "hdfs.inUsePrefix": "_",
                              "hdfs.fileType": "DataStream", "hdfs.rollCount": "40", "hdfs.rollSize": "0"},
    "SequenceFiles with zlib": {"hdfs.path": "/x/%{host}", "hdfs.codeC": "default", "hdfs.writeFormat": "Text",
                                "hdfs.rollCount": "30", "hdfs.rollSize": "0", "hdfs.batchSize": "7"},
    "headers and text": {"hdfs.path": "/x", "hdfs.fileType": "DataStream", "serializer": "header_and_text"},
    "no line feeds": {"hdfs.path": "/x", "hdfs.fileType": "DataStream", "serializer.appendNewline": "false"},
    "Avro": {"hdfs.path": "/x", "hdfs.fileType": "DataStream", "serializer": "avro_event", "hdfs.rollSize": "0",
             "serializer.compressionCodec": "deflate", "hdfs.rollCount": "70"},
    "Avro in gzip": {"hdfs.path": "/x", "hdfs.fileType": "CompressedStream", "serializer": "avro_event",
                     "hdfs.codeC": "gzip", "hdfs.rollCount": "0", "hdfs.rollSize": "0", "hdfs.batchSize": "1000"},
    "bodies as Avro": {"hdfs.path": "/%{host}", "hdfs.fileType": "DataStream", "serializer": DATUMS},
}
SMOKE = ("as Flume has it", "names of months", "Avro")
# What Flume has where nothing is written; ours has something else, and says so.
ROLLS = {"hdfs.rollSize": "1024", "hdfs.rollCount": "10"}


def setUpModule():
    try:
        print(flume(VERSION), flush=True)
    except Unreachable as reason:
        if os.environ.get("CI") == "true":
            raise
        raise unittest.SkipTest(str(reason))


def events():
    """Of two days. Each body is an Avro record of the schema "bytes" as well."""
    def event(i):
        text = b"event %d " % i + b"x" * (i % 20)
        body = bytes([2 * (len(text) + 20)]) + text + b"." * 20
        headers = {"timestamp": str(1_699_150_000_123 + i * 1_513_457), "host": "h%d" % (i % 3),
                   "service": "s%d" % (i // 50), "basename": "b%d.log" % (i % 2), "type": "web", "app": "shop",
                   "hostname": "h%d" % (i % 3), "flume.avro.schema.literal": '"bytes"'}
        return Event({**headers, "log_type": "startup"} if i % 7 else headers, body)
    return [event(i) for i in range(EVENTS)]


# --- Configurations -------------------------------------------------------------------------------


def published(file, agent, sink):
    """The keys of a sink of a configuration."""
    keys = {}
    with open(os.path.join(CONFIGURATIONS, file), errors="replace") as lines:
        for line in lines:
            found = re.match(r"\s*%s\.sinks\.%s\.((?:hdfs|serializer)[^\s=]*)\s*=\s*(.*?)\s*$" % (re.escape(agent), re.escape(sink)),
                             line)
            if found:
                keys[found[1]] = found[2]
    assert "hdfs.path" in keys, "no such sink: %s %s" % (file, sink)
    return keys


def made_local(keys, folder):
    keys = {key: value for key, value in keys.items() if "kerberos" not in key}
    if keys.get("hdfs.useLocalTimeStamp") == "true":
        keys["hdfs.useLocalTimeStamp"] = "false"
    for key in ("hdfs.rollInterval", "hdfs.idleTimeout"):
        if keys.get(key, "30" if "roll" in key else "0") != "0":
            keys[key] = "3600"
    path = re.sub(r"^\w+://[^/]*", "", keys["hdfs.path"])
    keys["hdfs.path"] = "file://{dir}/out/%s/%s" % (folder, path.lstrip("/"))
    return keys


def configuration(source, sinks):
    """Every sink gets every event."""
    numbers = range(len(sinks))
    lines = ["a1.sources = r1", "a1.channels = " + " ".join("c%d" % i for i in numbers),
             "a1.sinks = " + " ".join("k%d" % i for i in numbers),
             "a1.sources.r1.channels = " + " ".join("c%d" % i for i in numbers)]
    lines += ["a1.sources.r1." + line for line in source.splitlines()]
    for i, keys in enumerate(sinks):
        lines += ["a1.channels.c%d.%s" % (i, line) for line in ("type = memory", "capacity = 10000", "transactionCapacity = 10000")]
        lines += ["a1.sinks.k%d.%s = %s" % (i, *pair) for pair in {"type": "hdfs", "channel": "c%d" % i, **keys}.items()]
    return "\n".join(lines) + "\n"


# --- Files ----------------------------------------------------------------------------------------


def files_of(folder):
    """{name with # for its number: what is in the files of this name, in the order of their numbers}."""
    found = []
    for directory, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith(".crc"):
                continue  # Hadoop's checksums
            place = list(re.finditer(r"\.(\d{13})(?=\.|$)", name))[-1]
            path = os.path.relpath(os.path.join(directory, name[:place.start()] + ".#" + name[place.end():]), folder)
            with open(os.path.join(directory, name), "rb") as file:
                found.append((path, int(place[1]), what_is_in(file.read())))
    files = collections.defaultdict(list)
    for path, _, content in sorted(found, key=lambda each: each[:2]):
        files[path].append(content)
    return dict(files)


def what_is_in(content):
    """What must be alike; not where blocks and streams end, nor what is random."""
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    if content.startswith(b"SEQ"):
        return sequence(content)
    if content.startswith(b"Obj\x01"):
        return avro(content)
    if re.match(rb"\{[^\n]*timestamp=[^\n]*\} ", content):
        return [in_order(line) for line in content.split(b"\n")]
    return content


def in_order(line):
    """A line of header_and_text, its headers sorted: a HashMap's order is nobody's promise."""
    headers, brace, body = line.partition(b"} ")
    return b", ".join(sorted(headers.lstrip(b"{").split(b", "))) + brace + body


def avro(content):
    """The header without its marker, and the records; how many there are where snappy hides them."""
    file = Container(content)
    if file.codec == "snappy":
        records = sum(datums for datums, _ in file.blocks)
    elif isinstance(file.schema, dict):
        records = [(sorted(headers.items()), body) for headers, body in file.events()]
    else:
        records = file.data()
    return file.metadata, file.schema, file.codec, records


def sequence(content):
    """The header without its marker, and the records; how many there are where a codec of Hadoop's own hides them."""
    stream = io.BytesIO(content)
    header = [stream.read(4)]
    for _ in range(2):
        header.append(stream.read(stream.read(1)[0]))
    compressed, blocks = stream.read(1), stream.read(1)
    if compressed == b"\x01":
        header.append(stream.read(stream.read(1)[0]))
    count = stream.read(4)
    sync = stream.read(16)
    records = [b""] * 4 if compressed == b"\x01" else []  # lengths of keys, keys, lengths of values, values
    in_blocks = 0
    while head := stream.read(4):
        length, = struct.unpack(">i", head)
        if length == -1:
            assert stream.read(16) == sync
            if compressed == b"\x01":
                in_blocks += vint(stream)
                for i in range(4):
                    group = stream.read(vint(stream))
                    if header[-1].endswith(b".DefaultCodec"):
                        records[i] += zlib.decompress(group)
        else:
            records.append(stream.read(4 + length))
    return [*header, compressed, blocks, count], in_blocks, records


def vint(stream):
    first = struct.unpack("b", stream.read(1))[0]
    return first if first >= -112 else int.from_bytes(stream.read(-112 - first), "big")


# --- Tests ----------------------------------------------------------------------------------------


class SameFiles(unittest.TestCase):
    maxDiff = 4000

    def test_of_the_same_events(self):
        names = [name for name in some([*PUBLISHED, *OURS], SMOKE) if name in OURS or os.path.isdir(CONFIGURATIONS)]
        sinks = [made_local(OURS[name] if name in OURS else published(*PUBLISHED[name]), i) for i, name in enumerate(names)]
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as theirs, tempfile.TemporaryDirectory(prefix="sluice-test-") as ours:
            self.run_flume(theirs, sinks)
            self.run_sluice(ours, sinks)
            files = 0
            for i, name in enumerate(names):
                with self.subTest(name):
                    expected = files_of(os.path.join(theirs, "out", str(i)))
                    got = files_of(os.path.join(ours, "out", str(i)))
                    self.assertEqual(sorted(got), sorted(expected), "names of files")
                    self.assertEqual({path: len(contents) for path, contents in got.items()},
                                     {path: len(contents) for path, contents in expected.items()}, "how many there are")
                    for path in expected:
                        self.assertEqual(got[path], expected[path], path)
                    self.assertTrue(expected)
                    files += sum(map(len, expected.values()))
            print("%d configurations, %d files" % (len(names), files))

    def run_flume(self, directory, sinks):
        port = free_port()
        options = ("-Dflume.monitoring.type=http", "-Dflume.monitoring.port=%d" % port, "-Duser.timezone=" + ZONE)
        config = configuration(event_lines_source("{dir}/sent"), sinks)
        with FlumeAgent(config, VERSION, options=options, files={"sent": events()}, directory=directory,
                        environment={"TZ": ZONE}) as agent:
            def metrics():
                with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % port) as answer:
                    return json.load(answer)
            self.wait_until_all_is_out(agent, metrics, len(sinks), 120)
            agent.stop(deadline_s=60)

    def run_sluice(self, directory, sinks):
        config = configuration("type = avro\nbind = 127.0.0.1\nport = 0\n", [{**ROLLS, **keys} for keys in sinks])
        with Agent(config, directory=directory, environment={"TZ": ZONE}, monitoring=True,
                   arguments=["-Dsluice.state.dir=" + os.path.join(directory, "state")]) as agent:
            with AvroClient(agent.port()) as client:
                for i in range(0, EVENTS, 50):
                    self.assertEqual(client.append_batch(events()[i:i + 50]), OK)
            self.wait_until_all_is_out(agent, agent.metrics, len(sinks), 30)
            self.assertEqual(agent.stop(), 0)

    def wait_until_all_is_out(self, agent, metrics, sinks, deadline_s):
        def drained():
            try:
                all_of_them = metrics()
            except OSError:
                return []
            return [int(all_of_them.get("SINK.k%d" % i, {}).get("EventDrainSuccessCount", 0)) for i in range(sinks)]
        wait_until(lambda: drained() == [EVENTS] * sinks,
                   lambda: "all events; out are %s\n%s" % (drained(), agent.log()[-3000:]), deadline_s, poll_s=0.1)
