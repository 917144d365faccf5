#!/usr/bin/env python3
# test: timeout=300
"""`sluice files compact`: small files become large ones, and each record stays in one file, whatever kills it."""
import gzip
import json
import os
import shutil
import struct
import subprocess
import tempfile
import unittest

from hdfs_sink_test import ROCKSDB, TAIL, hdfs
from support.agent import BIN, Agent, fail_points, pipeline, run_sluice
from support.avro_container import Container
from support.mounts import mount_small, unmount
from support.waiting import wait_until


def compact(directory, *more, environment=None, user=None):
    return run_sluice("files", "compact", directory, "--min-age", "0", *more, environment=environment, user=user,
                      deadline_s=60)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def sequence_values(data):
    """Of a SequenceFile of LongWritable and Text without compression."""
    assert data.startswith(b"SEQ\x06")
    at = 4
    for _ in range(2):
        at += 1 + data[at]
    assert data[at:at + 2] == b"\0\0"
    at += 6
    sync, at = data[at:at + 16], at + 16
    values = []
    while at < len(data):
        length, = struct.unpack_from(">i", data, at)
        if length == -1:
            assert data[at + 4:at + 20] == sync
            at += 20
            continue
        record = data[at + 8:at + 8 + length]
        assert len(record) == length and record[8] == length - 9
        values.append(record[9:])
        at += 8 + length
    return values


class Compact(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="sluice-test-")
        self.directory = self.temporary.name
        self.out = os.path.join(self.directory, "out")
        os.mkdir(self.out)

    def tearDown(self):
        self.temporary.cleanup()

    def names(self, below=""):
        return sorted(os.listdir(os.path.join(self.out, below)))

    def write(self, name, content):
        path = os.path.join(self.out, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def fill(self, count, extension=".log", pack=lambda text: text, first=1):
        """Files of ten lines each; all lines in order."""
        lines = []
        for number in range(first, first + count):
            some = [b"%d line %d\n" % (number, i) for i in range(10)]
            self.write("app.%d%s" % (number, extension), pack(b"".join(some)))
            lines += some
        return b"".join(lines)

    def content(self, unpack=lambda data: data):
        """Of what readers see. Names with marks come in the order of their first numbers."""
        def number(name):
            return int(name.split(".")[1].split("+")[0])
        seen = [name for name in self.names() if not name.startswith(".")]
        return b"".join(unpack(read(os.path.join(self.out, name))) for name in sorted(seen, key=number))


class Runs(Compact):
    def test_what_it_says_and_does(self):
        lines = self.fill(12, ".gz", gzip.compress)
        self.write("notes.txt", b"no line feed")
        self.write("other.txt", b"x\n")
        status, out, err = compact(self.out)
        self.assertEqual((status, err), (0, ""))
        after = os.path.getsize(os.path.join(self.out, "app.1+11.gz"))
        said = out.splitlines()
        self.assertRegex(said[0], r"^app\.1\.gz \.\. app\.12\.gz: 12 files, \S+ (bytes|kB) -> app\.1\+11\.gz, %d bytes$" % after)
        self.assertEqual(said[1:], ["1 merge of 12 files", "files that stay: 2 without others of their kind"])
        self.assertEqual(self.names(), ["app.1+11.gz", "notes.txt", "other.txt"])
        self.assertEqual(gzip.decompress(read(os.path.join(self.out, "app.1+11.gz"))), lines)
        gzip_test = subprocess.run(["gzip", "-t", os.path.join(self.out, "app.1+11.gz")])
        self.assertEqual(gzip_test.returncode, 0)
        # Nothing is left to do.
        self.assertEqual(compact(self.out)[0:2], (0, "0 merges of 0 files\nfiles that stay: 3 without others of their kind\n"))

    def test_a_damaged_file_costs_itself_and_the_status(self):
        self.fill(4, ".gz", gzip.compress)
        self.write("app.2.gz", gzip.compress(b"x\n" * 100)[:-9])
        status, out, err = compact(self.out)
        self.assertEqual((status, err), (1, ""))
        self.assertIn("app.2.gz stays: it is torn", out)
        self.assertIn("1 for the reasons above", out)
        self.assertEqual(self.names(), ["app.1+2.gz", "app.2.gz"])

    def test_json(self):
        self.fill(3)
        self.write("app.2.log", b"no line feed")
        status, out, err = compact(self.out, "--json", "--dry-run")
        told = json.loads(out)
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(told["merges"], [{"first": "app.1.log", "last": "app.3.log", "files": 2, "bytes": 180,
                                           "name": "app.1+1.log"}])
        self.assertEqual(told["left"], [{"name": "app.2.log", "why": "it does not end in a line feed", "trouble": False}])
        self.assertEqual(self.names(), ["app.1.log", "app.2.log", "app.3.log"])
        self.assertEqual(json.loads(compact(self.out, "--json")[1])["merges"][0]["bytes_after"], 180)

    def test_sizes_ages_and_directories_below(self):
        for folder in ("", "a/", "a/b/", ".hidden/", "_temporary/"):
            for number in (1, 2):
                self.write("%sapp.%d" % (folder, number), b"x\n")
        os.symlink("a", os.path.join(self.out, "link"))
        self.assertEqual(run_sluice("files", "compact", self.out, "--recursive")[1].splitlines(),
                         ["0 merges of 0 files", "files that stay: 6 modified a short while ago"])
        status, out, _ = compact(self.out, "--recursive")
        self.assertEqual((status, out.splitlines()[:3]), (0, ["app.1 .. app.2: 2 files, 4 bytes -> app.1+1, 4 bytes",
                                                              "a/app.1 .. app.2: 2 files, 4 bytes -> app.1+1, 4 bytes",
                                                              "a/b/app.1 .. app.2: 2 files, 4 bytes -> app.1+1, 4 bytes"]))
        self.assertEqual((self.names(".hidden"), self.names("_temporary")), (["app.1", "app.2"],) * 2)
        for number in range(3, 9):
            self.write("big.%d" % number, b"x" * 39 + b"\n")
        self.assertEqual(compact(self.out, "--size", "100")[0], 0)
        self.assertEqual([name for name in self.names() if name.startswith("big")], ["big.3+2", "big.6+2"])

    def test_wrong_usage(self):
        for arguments, word in ((["hdfs://nn/x"], "only local and mounted"), (["webhdfs://nn:1/x"], "only local and mounted"),
                                (["s3a://b/x"], "only local and mounted"), ([], "needs a directory"), (["x", "y"], "one directory"),
                                ([self.out, "--size", "much"], "not a size"), ([self.out, "--min-age", "-4"], "number of seconds"),
                                ([os.path.join(self.out, "none")], "No such file"), ([BIN], "no directory")):
            with self.subTest(arguments=arguments):
                status, out, err = run_sluice("files", "compact", *arguments)
                self.assertEqual((status, out), (2, ""))
                self.assertIn(word, err)
        self.assertEqual(run_sluice("files", "compact", "file://" + self.out)[0], 0)

    def test_mode_and_owner_are_those_of_the_first(self):
        self.fill(2)
        first = os.path.join(self.out, "app.1.log")
        os.chmod(first, 0o640)
        if os.geteuid() == 0:
            os.chown(first, 1234, 1235)
        wanted = os.stat(first)
        self.assertEqual(compact(self.out)[0], 0)
        got = os.stat(os.path.join(self.out, "app.1+1.log"))
        self.assertEqual((got.st_mode, got.st_uid, got.st_gid), (wanted.st_mode, wanted.st_uid, wanted.st_gid))

    def test_a_file_that_somebody_writes_to_is_left(self):
        self.fill(3)
        with open(os.path.join(self.out, "app.2.log"), "ab"):
            status, out, _ = compact(self.out)
        self.assertEqual((status, self.names()), (0, ["app.1+1.log", "app.2.log"]))
        self.assertIn("1 in use", out)

    def test_the_second_of_two_runs_says_so(self):
        self.fill(3)
        before = self.names()
        lock = os.path.join(self.out, ".compact-lock")
        with subprocess.Popen(["flock", lock, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            holder.stdin.write(b"x")
            holder.stdin.flush()
            self.assertEqual(holder.stdout.read(1), b"x")
            status, out, err = compact(self.out)
            self.assertEqual(status, 1)
            self.assertIn("another sluice files compact is at work in " + self.out, err)
            self.assertEqual(self.names(), [".compact-lock"] + before)
            self.assertEqual(compact(self.out, "--dry-run")[0], 0)
            holder.stdin.close()
            holder.wait(10)
        self.assertEqual((compact(self.out)[0], self.names()), (0, ["app.1+2.log"]))

    def test_a_directory_that_cannot_be_written(self):
        if os.geteuid() != 0:
            self.skipTest("only root may run as somebody else")
        self.fill(3)
        os.chmod(self.directory, 0o755)
        status, out, err = compact(self.out, user="nobody")
        self.assertEqual((status, len(self.names())), (1, 3))
        self.assertIn("Permission denied", err)

    def test_a_full_disk(self):
        if not mount_small(self.out, "300k"):
            self.skipTest("tmpfs cannot be mounted here")
        try:
            for number in range(1, 4):
                self.write("app.%d.log" % number, (b"%d" % number * 63 + b"\n") * 1000)
            before = {name: read(os.path.join(self.out, name)) for name in self.names()}
            status, out, err = compact(self.out)
            self.assertEqual(status, 1)
            # The whole reason, and without what an agent would do.
            self.assertRegex(err, r"given up, and they stay: .*No space left on device \(28\); free some space\n$")
            self.assertEqual({name: read(os.path.join(self.out, name)) for name in self.names()}, before)
        finally:
            unmount(self.out)


class Kills(Compact):
    def test_every_fail_point(self):
        points = fail_points("compact")
        self.assertEqual(len(points), 8)
        for point in points:
            for count in (1, 2) if point != "compact-between-removals" else (1, 3, 5):
                with self.subTest(point=point, count=count):
                    shutil.rmtree(self.out)
                    os.mkdir(self.out)
                    lines = self.fill(10)
                    # Two merges of five files.
                    arguments = ["--size", str(len(lines) // 2 - 20)]
                    status, _, _ = compact(self.out, *arguments, environment={"SLUICE_KILL_AT": "%s:%d" % (point, count)})
                    self.assertEqual(status, -9)
                    status, out, err = compact(self.out, *arguments)
                    self.assertEqual((status, err), (0, ""), out)
                    self.assertEqual(self.content(), lines)
                    self.assertEqual(self.names(), ["app.1+4.log", "app.6+4.log"])

    def test_kill_after_kill(self):
        """Each run dies a step later than the one before it."""
        lines = self.fill(10)
        points = fail_points("compact")
        for point in points + points[::-1]:
            compact(self.out, environment={"SLUICE_KILL_AT": point})
        self.assertEqual(compact(self.out)[0], 0)
        self.assertEqual(self.content(), lines)
        self.assertEqual(self.names(), ["app.1+9.log"])


class WrittenByAnAgent(Compact):
    """Files as the hdfs sink makes them, with more coming while others are compacted."""
    LINES = 3000

    def run_agent(self, more):
        config = pipeline(TAIL, hdfs(more="hdfs.rollCount = 100\nhdfs.rollInterval = 1\n" + more), ROCKSDB)
        wanted = [b"line %06d" % i for i in range(self.LINES)]
        log = os.path.join(self.directory, "app.log")
        with Agent(config, directory=self.directory,
                   arguments=["-Dsluice.state.dir=" + os.path.join(self.directory, "state")]) as agent:
            half = self.LINES // 2
            with open(log, "ab") as file:
                file.write(b"".join(line + b"\n" for line in wanted[:half]))
            wait_until(lambda: len([n for n in self.names() if not n.endswith(".tmp")]) >= half // 100, "half the files", 30)
            self.assertEqual(compact(self.out)[0], 0)
            with open(log, "ab") as file:
                file.write(b"".join(line + b"\n" for line in wanted[half:]))
            wait_until(lambda: self.files_behind() >= self.LINES // 100, lambda: "all files: %s" % self.names(), 30)
            self.assertEqual(agent.stop(), 0)
        status, out, err = compact(self.out)
        self.assertEqual((status, err), (0, ""), out)
        name, = self.names()
        self.assertRegex(name, r"^FlumeData\.\d{13}\+%d" % (self.LINES // 100 - 1))
        return wanted, read(os.path.join(self.out, name))

    def files_behind(self):
        """How many files the agent has finished, in merged ones too."""
        done = [name for name in self.names() if not name.startswith(".") and not name.endswith(".tmp")]
        return sum(1 + (int(name.split("+")[1].split(".")[0]) if "+" in name else 0) for name in done)

    def test_gzip(self):
        wanted, data = self.run_agent("hdfs.fileType = CompressedStream\nhdfs.codeC = gzip\n")
        self.assertEqual(gzip.decompress(data).split(b"\n")[:-1], wanted)

    def test_sequence_file(self):
        wanted, data = self.run_agent("hdfs.fileType = SequenceFile\nhdfs.writeFormat = Text\n")
        self.assertEqual(sequence_values(data), wanted)

    def test_avro(self):
        wanted, data = self.run_agent("serializer = avro_event\nserializer.compressionCodec = deflate\n"
                                      "hdfs.fileSuffix = .avro\n")
        self.assertEqual([body for _, body in Container(data).events()], wanted)


if __name__ == "__main__":
    unittest.main()
