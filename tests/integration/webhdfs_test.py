#!/usr/bin/env python3
# test: timeout=300
"""The hdfs sink through WebHDFS: each line is in one file there once, whatever breaks on the way.

SLUICE_SOAK=1 kills 200 times at random instead of a few times.
"""
import gzip
import os
import random
import shutil
import tempfile
import threading
import unittest

from support.agent import NETCAT, Agent, drawn_seed, pipeline, run_sluice
from support.net import connect, refusing_port
from support.waiting import wait_until
from support.webhdfs import WebHdfs

SOAK = os.environ.get("SLUICE_SOAK") == "1"
TAIL = ("type = TAILDIR\nfilegroups = f\nfilegroups.f = {dir}/app.log\n"
        "positionFile = {dir}/positions.json\n")
ROCKSDB = "type = rocksdb\ncapacity = 1000000"


class Elsewhere(unittest.TestCase):
    NAMENODES = 1

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="sluice-test-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.hdfs = WebHdfs(self.NAMENODES)
        self.addCleanup(self.hdfs.__exit__)
        self.storage = self.hdfs.storage
        self.written = 0

    def sink(self, more="", path="hdfs://nn:8020/flume/logs"):
        addresses = ", ".join(server.url for server in self.hdfs.namenodes.values())
        return ("type = hdfs\nhdfs.path = %s\nhdfs.webhdfs = %s\nhdfs.fileType = DataStream\nhdfs.retryInterval = 1\n"
                "hdfs.rollInterval = 1\n%s" % (path, addresses, more))

    def agent(self, config, **more):
        return Agent(config, directory=self.directory,
                     arguments=["-Dsluice.state.dir=" + os.path.join(self.directory, "state")], **more)

    def write(self, lines):
        with open(os.path.join(self.directory, "app.log"), "ab") as file:
            file.write(b"".join(b"line-%06d\n" % (self.written + i) for i in range(lines)))
        self.written += lines

    def complete(self):
        return [name for name in self.storage.names() if not name.endswith(".tmp")]

    def lines(self):
        return self.storage.lines(self.complete())

    def wait_for_all(self, deadline_s=60):
        wait_until(lambda: len(set(self.lines())) >= self.written,
                   lambda: "%d of %d lines" % (len(set(self.lines())), self.written), deadline_s)

    def check_once(self):
        self.assertEqual([name for name in self.storage.names() if name.endswith(".tmp")], [])
        self.assertEqual(sorted(self.lines()), [b"line-%06d" % i for i in range(self.written)])
        spools = os.path.join(self.directory, "state")
        self.assertEqual([name for _, _, names in os.walk(spools) for name in names if name.endswith(".spool")], [])

    def run_once(self, config, during=lambda agent: None, lines=2000):
        self.write(lines)
        with self.agent(config) as agent:
            during(agent)
            self.wait_for_all()
            self.assertEqual(agent.stop(), 0)
        self.check_once()


class OneNamenode(Elsewhere):
    def test_lines_arrive_in_files_with_their_final_names(self):
        self.run_once(pipeline(TAIL, self.sink("hdfs.rollCount = 300\nhdfs.user = joe\n"), ROCKSDB))
        self.assertTrue(all(name.startswith("/flume/logs/FlumeData.") for name in self.complete()))
        self.assertGreaterEqual(len(self.complete()), 7)
        self.assertEqual({call[3] for call in self.storage.calls}, {"joe"})

    def test_a_compressed_file(self):
        self.write(3000)
        more = "hdfs.codeC = gzip\n"
        config = pipeline(TAIL, self.sink(more).replace("DataStream", "CompressedStream"), ROCKSDB)
        with self.agent(config) as agent:
            def lines():
                return b"".join(gzip.decompress(self.storage.files[name]) for name in self.complete()).split(b"\n")[:-1]
            wait_until(lambda: len(lines()) >= self.written, "all lines", 30)
            self.assertEqual(agent.stop(), 0)
        self.assertEqual(sorted(lines()), [b"line-%06d" % i for i in range(self.written)])
        self.assertTrue(all(name.endswith(".gz") for name in self.complete()))

    def test_a_memory_channel(self):
        config = pipeline(NETCAT, self.sink("hdfs.rollInterval = 0\n").replace("hdfs.rollInterval = 1\n", "", 1))
        with self.agent(config) as agent:
            with connect(agent.port()) as client:
                client.sendall(b"hello\nworld\n")
                self.assertEqual(client.recv(100)[:2], b"OK")
            agent.wait_for_log("gathering hdfs://nn:8020/flume/logs/FlumeData")
            self.assertEqual(self.storage.names(), [])
            self.assertEqual(agent.stop(), 0)
        self.assertEqual(b"".join(self.storage.files[name] for name in self.complete()), b"hello\nworld\n")

    def test_safe_mode_delays_and_loses_nothing(self):
        self.storage.safe_mode = True

        def leave(agent):
            agent.wait_for_log("cannot be finished: .*SafeModeException")
            self.storage.safe_mode = False
        self.run_once(pipeline(TAIL, self.sink(), ROCKSDB), leave)

    def test_a_refusal_is_said_and_tried_again(self):
        self.storage.refusal["CREATE"] = ("AccessControlException", "Permission denied: user=joe, access=WRITE")

        def allow(agent):
            agent.wait_for_log("AccessControlException: Permission denied: user=joe, access=WRITE; what is in it is safe")
            self.assertNotIn("and a stack", agent.log())
            del self.storage.refusal["CREATE"]
        self.run_once(pipeline(TAIL, self.sink(), ROCKSDB), allow)

    def test_a_body_that_breaks_off_is_sent_again(self):
        self.storage.break_bodies_after = 1000

        def mend(agent):
            agent.wait_for_log("cannot be finished")
            # As Hadoop leaves them: complete files, with a part of what they should hold.
            self.assertTrue(self.storage.names())
            self.assertEqual(self.complete(), [])
            self.storage.break_bodies_after = None
        self.run_once(pipeline(TAIL, self.sink(), ROCKSDB), mend)

    def test_answers_that_get_lost_double_nothing(self):
        self.storage.answers_to_lose = {"CREATE": 4, "RENAME": 4, "GETFILESTATUS": 4}
        self.run_once(pipeline(TAIL, self.sink("hdfs.rollCount = 200\n"), ROCKSDB))
        self.assertEqual(set(self.storage.answers_to_lose.values()), {0})

    def test_a_name_that_is_taken_keeps_its_file(self):
        made = []

        def take(agent):
            name = agent.wait_for_log(r"gathering hdfs://nn:8020(\S+)")[1]
            with self.storage.lock:
                self.storage.make_directories("/flume/logs")
                self.storage.files[name] = b""
            made.append(name)
        self.run_once(pipeline(TAIL, self.sink(), ROCKSDB), take)
        self.assertEqual(self.storage.files[made[0]], b"")

    def test_a_directory_of_the_name_is_passed_over(self):
        """A rename would move the file into it, and say that all is well."""
        made = []

        def take(agent):
            made.append(agent.wait_for_log(r"gathering hdfs://nn:8020(\S+)")[1])
            with self.storage.lock:
                self.storage.make_directories(made[0])
        self.run_once(pipeline(TAIL, self.sink(), ROCKSDB), take)
        self.assertEqual(self.storage.names(made[0] + "/"), [])

    def test_a_token_is_read_with_every_call(self):
        path = os.path.join(self.directory, "token")

        def token(text):
            with open(path + ".new", "w") as file:
                file.write(text)
            os.rename(path + ".new", path)

        def replace(agent):
            agent.wait_for_log("there is no delegation token in " + path)
            token("first\n")
            wait_until(self.lines, "some lines", 20)
            token("second&op=MKDIRS")
            self.write(100)
        token("\n")
        self.run_once(pipeline(TAIL, self.sink("hdfs.tokenFile = %s\n" % path), ROCKSDB), replace)
        self.assertEqual({call[3] for call in self.storage.calls}, {"first", "second&op=MKDIRS"})
        self.assertEqual(self.storage.operations("MKDIRS"), [])

    def test_a_datanode_whose_name_does_not_resolve(self):
        self.hdfs.namenodes["nn1"].datanode_name = "datanode-17.invalid"
        self.run_once(pipeline(TAIL, self.sink("hdfs.hosts = datanode-17.invalid=127.0.0.1\n"), ROCKSDB))

    def test_a_cluster_that_is_away_at_the_start_and_at_the_end(self):
        self.write(500)
        self.storage.datanode_works = False
        config = pipeline(TAIL, self.sink(), ROCKSDB)
        with self.agent(config) as agent:
            agent.wait_for_log("cannot be finished")
            self.assertEqual(agent.stop(), 0)
            self.assertIn("complete files are not finished", agent.log())
        self.storage.datanode_works = True
        self.run_once(config, lines=10)

    def test_a_datanode_that_hangs_holds_up_no_stop(self):
        self.write(500)
        self.storage.datanode_hangs = True
        config = pipeline(TAIL, self.sink(), ROCKSDB)
        with self.agent(config) as agent:
            wait_until(lambda: self.storage.operations("CREATE"), "it is sent", 20)
            self.assertEqual(agent.stop(deadline_s=25), 0)
            self.assertIn("complete files are not finished", agent.log())
        self.storage.datanode_hangs = False
        self.run_once(config, lines=10)

    def test_what_waits_is_bounded(self):
        self.storage.safe_mode = True

        def wait(agent):
            def refused():
                self.write(100)
                return "in complete files wait to be written" in agent.log()
            wait_until(refused, "events are refused", 30, 0.05)
            self.storage.safe_mode = False
        more = "hdfs.rollCount = 500\nhdfs.backlogSize = 20000\n"
        self.run_once(pipeline(TAIL, self.sink(more), ROCKSDB), wait)

    def test_random_kills(self):
        seed = drawn_seed()
        print("seed", seed)
        moments = random.Random(seed)
        config = pipeline(TAIL, self.sink("hdfs.rollCount = %d\n" % (1000 if SOAK else 100)), ROCKSDB)
        for _ in range(200 if SOAK else 10):
            with self.agent(config) as agent:
                for _ in range(4):
                    self.write(moments.randrange(1000))
                    threading.Event().wait(moments.uniform(0, 0.1))  # any moment will do
                    if moments.randrange(3) == 0:
                        self.storage.answers_to_lose = {"RENAME": 1, "CREATE": 1}
                agent.kill(9)
                agent.wait(20)
        self.storage.answers_to_lose = {}
        self.run_once(config, lines=10)


class TwoNamenodes(Elsewhere):
    NAMENODES = 2

    def test_a_stand_by_is_passed_over_and_a_fail_over_followed(self):
        self.hdfs.namenodes["nn1"].standby = True

        def fail_over(agent):
            del agent
            wait_until(self.lines, "some lines", 20)
            self.hdfs.namenodes["nn2"].standby = True
            self.hdfs.namenodes["nn1"].standby = False
            self.write(1000)
        self.run_once(pipeline(TAIL, self.sink("hdfs.rollCount = 100\n"), ROCKSDB), fail_over)

    def test_a_namenode_that_is_gone_is_passed_over(self):
        self.hdfs.namenodes["nn1"].stop()
        self.run_once(pipeline(TAIL, self.sink(), ROCKSDB))

    def test_a_name_service_of_the_conf_folder(self):
        properties = {"dfs.nameservices": "ns", "dfs.ha.namenodes.ns": "a,b", "fs.defaultFS": "hdfs://ns",
                      "dfs.namenode.http-address.ns.a": "127.0.0.1:%d" % refusing_port(),
                      "dfs.namenode.http-address.ns.b": self.hdfs.url.replace("http://", "")}
        with open(os.path.join(self.directory, "hdfs-site.xml"), "w") as file:
            file.write("<?xml version=\"1.0\"?>\n<configuration>\n%s</configuration>\n" % "".join(
                "<property><name>%s</name><value>%s</value></property>\n" % each for each in properties.items()))
        for path in ("hdfs://ns/flume", "hdfs:///flume"):
            sink = "\n".join(line for line in self.sink(path=path).split("\n") if "webhdfs" not in line)
            self.run_once(pipeline(TAIL, sink, ROCKSDB), lines=100)
        self.assertTrue(all(name.startswith("/flume/") for name in self.complete()))


class Check(Elsewhere):
    def check(self, sink):
        config = os.path.join(self.directory, "x.conf")
        with open(config, "w") as file:
            file.write(pipeline(NETCAT, sink))
        return run_sluice("check", "--name", "a1", "--conf-file", config)

    def test_what_check_says(self):
        status, out, _ = self.check("type = hdfs\nhdfs.path = hdfs://master:8020/flume/%Y\nhdfs.useLocalTimeStamp = true")
        self.assertEqual(status, 0, out)
        self.assertIn("http://master:9870, http://master:50070 (Hadoop's default ports)", out)
        self.assertIn("seen in Hadoop once it is complete", out)


if __name__ == "__main__":
    unittest.main(verbosity=2)
