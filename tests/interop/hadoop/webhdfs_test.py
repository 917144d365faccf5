"""Our hdfs sink to the real HDFS: what Hadoop's readers see, and what trouble on either side leaves."""
import os
import random
import signal
import tempfile
import threading
import unittest

from peers.abilities import hdfs_sink_knows
from peers.extent import FULL, full
from peers.hadoop import GATEWAY, Cluster, HttpFs, Record, shared_cluster, site_text
from peers.late_datanode import LateDatanode
from support.agent import Agent, flow, lists
from support.avro_peer import AvroClient
from support.avro_wire import Event
from support.certificates import Certificate
from support.waiting import wait_until

USER = "sluice"
STORE = "type = rocksdb\ncapacity = 1000000\n"


def sink(cluster, path, more="", namenodes=(0,)):
    return ("type = hdfs\nhdfs.path = hdfs://127.0.0.1:%d%s\nhdfs.webhdfs = %s\nhdfs.user = %s\nhdfs.retryInterval = 1\n"
            "hdfs.fileType = DataStream\n%s" % (
                cluster.rpc_ports[0], path, " ".join("http://127.0.0.1:%d" % cluster.http_ports[i] for i in namenodes), USER, more))


def agent_in(directory, config, **more):
    return Agent(config, directory=directory, arguments=["-Dsluice.state.dir=" + os.path.join(directory, "state")], **more)


class Lines:
    """Numbered lines in a file that an agent tails, through a channel on disk into `path`; for a with statement.

    The agent may be started as often as one likes: its state stays.
    """

    TAIL = "type = TAILDIR\nfilegroups = f\nfilegroups.f = {dir}/lines\npositionFile = {dir}/positions\nbatchSize = 500\n"

    def __init__(self, cluster, path, more="hdfs.rollCount = 500\nhdfs.rollInterval = 1\n", namenodes=(0,)):
        self.cluster = cluster
        self.path = path
        self.config = lists("1") + flow(self.TAIL, sink(cluster, path, more, namenodes), STORE)
        self.written = 0
        self.seen = {}

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="sluice-test-")
        return self

    def __exit__(self, *_):
        self.directory.cleanup()

    def agent(self, **more):
        return agent_in(self.directory.name, self.config, **more)

    def write(self, count):
        with open(os.path.join(self.directory.name, "lines"), "ab") as file:
            file.write(b"".join(b"line %d\n" % i for i in range(self.written, self.written + count)))
        self.written += count

    def complete(self):
        """The files that have their final names, which never change."""
        return [path for path in self.cluster.files(self.path) if is_final(path)]

    def there(self):
        """The lines in complete files."""
        for path in self.complete():
            if path not in self.seen:
                self.seen[path] = [int(line.split(b" ")[1]) for line in self.cluster.read(path)[1].split(b"\n")[:-1]]
        return [number for numbers in self.seen.values() for number in numbers]

    def wait_until_there(self, deadline_s=60):
        wait_until(lambda: len(set(self.there())) >= self.written,
                   lambda: "%d of %d lines" % (len(set(self.there())), self.written), deadline_s, poll_s=0.1)

    def check_once(self, test):
        """All lines once, in files that are complete, and nothing beside them."""
        self.seen.clear()
        test.assertEqual(sorted(self.there()), list(range(self.written)))
        test.assertEqual(sorted(self.cluster.files(self.path)), sorted(self.complete()))
        test.assertEqual([path for path in self.cluster.open_files() if path.startswith(self.path + "/")], [])


def is_final(path):
    name = os.path.basename(path)
    return name.startswith("FlumeData.") and not name.endswith(".tmp")


@unittest.skipUnless(hdfs_sink_knows("hdfs.webhdfs"), "our hdfs sink has no WebHDFS")
class OnHdfs(unittest.TestCase):
    """Each test has a directory of its own, which belongs to USER."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = shared_cluster()

    def setUp(self):
        self.path = "/" + self.id().rpartition(".")[2]
        self.cluster.make(self.path, USER)

    def lines(self, *arguments, **more):
        return self.enterContext(Lines(self.cluster, self.path, *arguments, **more))


class Files(OnHdfs):
    """What is in HDFS when an agent has ended."""

    def send(self, more, events, path="", refused=0):
        """All of them, of which the last `refused` go to the dead letters; the files that are there then, in their order, by what Hadoop's readers say of them."""
        config = lists("1") + flow("type = avro\nbind = 127.0.0.1\nport = 0\n", sink(self.cluster, self.path + path, more),
                                   "capacity = 10000\n")
        directory = self.enterContext(tempfile.TemporaryDirectory(prefix="sluice-test-"))
        with agent_in(directory, config, monitoring=True) as agent:
            with AvroClient(agent.port("r1")) as client:
                for i in range(0, len(events), 100):
                    self.assertEqual(client.append_batch(events[i:i + 100]), "OK")
            wait_until(lambda: int(agent.metrics()["SINK.k1"]["EventDrainSuccessCount"]) == len(events) - refused,
                       "all are taken")
            self.assertEqual(agent.stop(), 0)
        self.assertEqual(self.cluster.open_files(), [])
        return {path: self.cluster.read(path) for path in sorted(self.cluster.files(self.path))}

    def test_rolls(self):
        files = self.send("hdfs.rollCount = 100\n", [Event({}, b"%d" % i) for i in range(450)])
        self.assertEqual([content.count(b"\n") for _, content in files.values()], [100, 100, 100, 100, 50])
        self.assertEqual(b"".join(content for _, content in files.values()), b"".join(b"%d\n" % i for i in range(450)))
        for entry in self.cluster.list(self.path):
            self.assertEqual(entry.owner, USER)
            if entry.kind == "f":
                self.assertRegex(entry.path, r"^%s/FlumeData\.\d{13}$" % self.path)

    def test_types_of_files(self):
        bodies = [b"", b"\xff\xfe no UTF-8", os.urandom(1 << 20), *(b"line %d" % i for i in range(500))]
        events = [Event({"timestamp": str(1_700_000_000_000 + i)}, body) for i, body in enumerate(bodies)]
        records = [Record(1_700_000_000_000 + i, body) for i, body in enumerate(bodies)]
        plain = b"".join(body + b"\n" for body in bodies)
        for name, (more, what, suffix, content) in {
                "gzip": ("hdfs.fileType = CompressedStream\nhdfs.codeC = gzip\n", "stream GzipCodec", ".gz", plain),
                "snappy": ("hdfs.fileType = CompressedStream\nhdfs.codeC = snappy\n", "stream SnappyCodec", ".snappy", plain),
                "sequence": ("hdfs.fileType = SequenceFile\n", "sequence NONE none LongWritable BytesWritable", "", records),
                "blocks": ("hdfs.fileType = SequenceFile\nhdfs.codeC = gzip\nhdfs.writeFormat = Text\n",
                           "sequence BLOCK GzipCodec LongWritable Text", ".gz", records)}.items():
            with self.subTest(name):
                self.cluster.make(self.path, USER)
                (path, read), = self.send(more, events, "/" + name).items()
                self.assertTrue(path.endswith(suffix) and is_final(path), path)
                self.assertEqual(read[0], what)
                self.assertTrue(read[1] == content)
                self.cluster.ask("delete", self.path)

    def test_names(self):
        names = ["a b", "a%b", "a+b", "a?b#c", "a;b&c=d", "%41", "\u4e2d\u6587 \U0001f680", "x=1/y=2", "back\\slash"]
        refused = ["a:b", ".."]
        files = self.send("hdfs.filePrefix = p-%{name}\nhdfs.rollCount = 1\n",
                          [Event({"name": name.replace("/", "_")}, name.encode()) for name in names], "/plain")
        self.assertEqual(sorted(content for _, content in files.values()), sorted(name.encode() + b"\n" for name in names))
        for path, (_, content) in files.items():
            name = content.decode()[:-1].replace("/", "_")
            self.assertTrue(path.startswith("%s/plain/p-%s." % (self.path, name)), path)
        files = self.send("", [Event({"name": name}, name.encode()) for name in names + refused],
                          "/%{name}/of %{name}", len(refused))
        below = {os.path.dirname(path)[len(self.path):]: content for path, (_, content) in files.items() if "/plain/" not in path}
        self.assertEqual(below, {"/%s/of %s" % (name, name): name.encode() + b"\n" for name in names})

    def test_a_name_that_is_taken(self):
        """Somebody's file has the name that ours would get: it stays, and ours gets another one."""
        lines = self.lines("hdfs.rollInterval = 2\n")
        lines.write(10)
        with lines.agent() as agent:
            name = agent.wait_for_log(r"gathering hdfs://127\.0\.0\.1:\d+(\S+)$")[1]
            self.cluster.put(name, b"another's\n")
            agent.wait_for_log(r"FlumeData\.\d+ is complete", 20)
            self.assertEqual(agent.stop(), 0)
        self.assertEqual(self.cluster.get(name), b"another's\n")
        self.cluster.ask("delete", name)
        lines.check_once(self)


class Trouble(OnHdfs):
    """Something is in the way, the agent says what, and goes on by itself when it is gone."""

    def check(self, begin, pattern, end, more="hdfs.rollCount = 100\nhdfs.rollInterval = 1\n"):
        lines = self.lines(more)
        with lines.agent() as agent:
            lines.write(250)
            lines.wait_until_there()
            begin()
            lines.write(1000)
            print("said: %s" % agent.wait_for_log(r"^.*%s.*$" % pattern, 30)[0])
            end()
            lines.wait_until_there()
            lines.write(10)
            lines.wait_until_there()
            self.assertEqual(agent.stop(), 0)
        lines.check_once(self)

    def test_safe_mode(self):
        self.check(lambda: self.cluster.ask("safe-mode", "on"), "SafeModeException", lambda: self.cluster.ask("safe-mode", "off"))

    def test_no_permission(self):
        self.check(lambda: self.cluster.ask("chmod", 555, self.path), "AccessControlException: Permission denied: user=" + USER,
                   lambda: self.cluster.ask("chmod", 755, self.path))

    @full
    def test_a_quota_of_names(self):
        self.check(lambda: self.cluster.ask("quota", 3, -1, self.path), "NSQuotaExceededException",
                   lambda: self.cluster.ask("quota", -1, -1, self.path))

    @full
    def test_a_quota_of_space(self):
        """An empty file stays of each that was refused; none of them may stay in the end."""
        self.check(lambda: self.cluster.ask("quota", -1, 1 << 20, self.path), "DSQuotaExceededException",
                   lambda: self.cluster.ask("quota", -1, -1, self.path))

    @full
    def test_the_agent_ends_meanwhile(self):
        """Within its patience; the next one goes on with what waits."""
        lines = self.lines()
        with lines.agent() as agent:
            lines.write(1000)
            self.cluster.ask("safe-mode", "on")
            agent.wait_for_log("SafeModeException", 30)
            self.assertEqual(agent.stop(deadline_s=40), 0)
        with lines.agent() as agent:
            lines.write(1000)
            self.cluster.ask("safe-mode", "off")
            lines.wait_until_there()
            self.assertEqual(agent.stop(), 0)
        lines.check_once(self)


class Kills(OnHdfs):
    def kill_often(self, times, more=""):
        lines = self.lines("hdfs.rollCount = 500\nhdfs.rollInterval = 1\n" + more)
        moments = random.Random(seed := random.randrange(1 << 30))
        print("seed", seed)
        for _ in range(times):
            with lines.agent() as agent:
                agent.wait_until_running()
                for _ in range(4):
                    lines.write(moments.randrange(1500))
                    threading.Event().wait(moments.uniform(0, 0.6))  # any moment will do
                agent.kill(9)
                agent.wait()
        with lines.agent() as agent:
            lines.wait_until_there()
            self.assertEqual(agent.stop(), 0)
        lines.check_once(self)

    def test_the_agent_is_killed(self):
        self.kill_often(3)

    @full
    def test_the_agent_is_killed_often(self):
        self.kill_often(25)

    @full
    def test_the_agent_is_killed_often_with_compressed_files(self):
        self.kill_often(25, "hdfs.fileType = CompressedStream\nhdfs.codeC = gzip\n")


class TwoNamenodes(OnHdfs):
    @classmethod
    def setUpClass(cls):
        cls.cluster = shared_cluster(namenodes=2)

    def fail_over(self, to):
        self.cluster.ask("stand-by", 1 - to)
        self.cluster.ask("activate", to)

    def test_fail_over_while_files_are_written(self):
        lines = self.lines("hdfs.rollCount = 300\nhdfs.rollInterval = 1\n", namenodes=(0, 1))
        with lines.agent() as agent:
            for turn in range(10 if FULL else 2):
                for _ in range(10):
                    lines.write(400)
                    threading.Event().wait(0.05)  # while some are on their way
                self.fail_over(1 - turn % 2)
            lines.wait_until_there()
            self.assertEqual(agent.stop(), 0)
        lines.check_once(self)
        self.fail_over(0)

    def test_a_name_service(self):
        """As on a client of Hadoop: hdfs-site.xml beside the configuration says where its namenodes are."""
        site = {"dfs.nameservices": "events", "dfs.ha.namenodes.events": "one,two"}
        for number, name in enumerate(("one", "two")):
            site["dfs.namenode.rpc-address.events." + name] = "127.0.0.1:%d" % self.cluster.rpc_ports[number]
            site["dfs.namenode.http-address.events." + name] = "127.0.0.1:%d" % self.cluster.http_ports[number]
        lines = self.lines()
        lines.config = lists("1") + flow(lines.TAIL, (
            "type = hdfs\nhdfs.path = hdfs://events%s\nhdfs.user = %s\nhdfs.fileType = DataStream\nhdfs.rollInterval = 1\n" % (
                self.path, USER)), STORE)
        with open(os.path.join(lines.directory.name, "hdfs-site.xml"), "w") as file:
            file.write(site_text(site))
        self.fail_over(1)
        try:
            with lines.agent() as agent:
                lines.write(100)
                lines.wait_until_there()
                self.assertEqual(agent.stop(), 0)
        finally:
            self.fail_over(0)
        lines.check_once(self)

    @full
    def test_no_one_is_active(self):
        lines = self.lines(namenodes=(0, 1))
        with lines.agent() as agent:
            lines.write(500)
            lines.wait_until_there()
            self.cluster.ask("stand-by", 0)
            lines.write(1000)
            print("said: %s" % agent.wait_for_log(r"^.*StandbyException.*$", 30)[0])
            self.cluster.ask("activate", 0)
            lines.wait_until_there()
            self.assertEqual(agent.stop(), 0)
        lines.check_once(self)


@full
class Deaths(OnHdfs):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(datanodes=2))

    def test_the_namenode_comes_after_the_agent(self):
        lines = self.lines()
        self.cluster.ask("kill-namenode", 0)
        with lines.agent() as agent:
            lines.write(1000)
            print("said: %s" % agent.wait_for_log(r"^.*error.*cannot be finished.*$", 30)[0])
            self.cluster.ask("restart-namenode", 0)
            lines.wait_until_there()
            self.assertEqual(agent.stop(), 0)
        lines.check_once(self)

    def test_everything_hangs_longer_than_the_agent_waits(self):
        lines = self.lines("hdfs.rollCount = 500\nhdfs.rollInterval = 1\nhdfs.callTimeout = 1000\n")
        with lines.agent() as agent:
            for _ in range(10):
                lines.write(3000)
                threading.Event().wait(0.3)  # while some are on their way
                self.cluster.shell.process.send_signal(signal.SIGSTOP)
                lines.write(1000)
                threading.Event().wait(4)  # more than once the agent's patience
                self.cluster.shell.process.send_signal(signal.SIGCONT)
                lines.wait_until_there()
            self.assertEqual(agent.stop(), 0)
        lines.check_once(self)

    def test_datanodes_die_and_come_back(self):
        lines = self.lines()
        with lines.agent() as agent:
            for number in (0, 1, 0):
                for _ in range(10):
                    lines.write(400)
                    threading.Event().wait(0.05)  # while some are on their way
                self.cluster.ask("kill-datanode", number)
                lines.write(2000)
                lines.wait_until_there()
                self.cluster.ask("restart-datanode", number)
            for number in (0, 1):
                self.cluster.ask("kill-datanode", number)
            lines.write(2000)
            print("said: %s" % agent.wait_for_log(r"^.*error.*cannot be finished.*$", 60)[0])
            for number in (0, 1):
                self.cluster.ask("restart-datanode", number)
            lines.wait_until_there()
            self.assertEqual(agent.stop(), 0)
        lines.check_once(self)

    def test_the_namenode_dies_and_comes_back(self):
        lines = self.lines()
        with lines.agent() as agent:
            lines.write(2000)
            lines.wait_until_there()
            for _ in range(3):
                lines.write(2000)
                self.cluster.ask("kill-namenode", 0)
                lines.write(2000)
                threading.Event().wait(2)  # long enough to be missed
                self.cluster.ask("restart-namenode", 0)
                lines.wait_until_there()
            self.assertEqual(agent.stop(), 0)
        lines.check_once(self)


@full
class ThroughHttpFs(OnHdfs):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(**GATEWAY))
        cls.gateway = cls.enterClassContext(HttpFs(cls.cluster))

    def test_lines_and_safe_mode(self):
        lines = self.lines()
        lines.config = lines.config.replace(":%d\n" % self.cluster.http_ports[0], ":%d\n" % self.gateway.port)
        with lines.agent() as agent:
            lines.write(2000)
            lines.wait_until_there()
            self.cluster.ask("safe-mode", "on")
            lines.write(100)
            agent.wait_for_log("SafeModeException", 30)
            self.cluster.ask("safe-mode", "off")
            lines.wait_until_there()
            self.assertEqual(agent.stop(), 0)
        lines.check_once(self)
        self.assertEqual({entry.owner for entry in self.cluster.list(self.path)}, {USER})


@full
class OverTls(OnHdfs):
    @classmethod
    def setUpClass(cls):
        cls.certificate = Certificate(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="sluice-test-")))
        cls.cluster = cls.enterClassContext(Cluster(certificate=cls.certificate))

    def over_tls(self, more):
        lines = self.lines("hdfs.rollInterval = 1\n" + more)
        lines.config = lines.config.replace("http://127.0.0.1:", "https://localhost:").replace("path = hdfs:", "path = swebhdfs:")
        return lines

    def test_lines(self):
        lines = self.over_tls("hdfs.caFile = %s\n" % self.certificate.certificate)
        with lines.agent() as agent:
            lines.write(1000)
            lines.wait_until_there()
            self.assertEqual(agent.stop(), 0)
        lines.check_once(self)

    def test_nobody_we_know(self):
        lines = self.over_tls("")
        with lines.agent() as agent:
            lines.write(100)
            print("said: %s" % agent.wait_for_log(r"^.*cannot be finished.*$", 30)[0])
            self.assertEqual(agent.stop(), 0)
        self.assertEqual(self.cluster.files(self.path), {})


def proved(config, name="localhost"):
    """The servers' key is for localhost, and who writes is not for the user to say."""
    return config.replace("http://127.0.0.1:", "http://%s:" % name).replace("hdfs.user = %s\n" % USER, "hdfs.user = nobody\n")


class WithKerberos(OnHdfs):
    """USER may write on behalf of OTHER."""
    OTHER = "other"

    @classmethod
    def setUpClass(cls):
        # The cookie that stands for a proof is good for a short time, so that proofs are asked for again.
        cls.cluster = cls.enterClassContext(Cluster(
            users=(USER, cls.OTHER), hadoop_http_authentication_token_validity=4,
            **{"hadoop_proxyuser_%s_%s" % (USER, each): "*" for each in ("hosts", "groups")}))

    def keys(self, user=USER, keytab=None):
        return "hdfs.kerberosPrincipal = %s\nhdfs.kerberosKeytab = %s\n" % (user, keytab or self.keytab())

    def keytab(self):
        return os.path.join(self.cluster.keys(), "users.keytab")

    def with_tickets(self, more, name="localhost", **environment):
        """Lines in files of a second each, and an agent that knows the KDC."""
        lines = self.lines("hdfs.rollInterval = 1\n" + more)
        lines.config = proved(lines.config, name)
        return lines, lines.agent(environment={"KRB5_CONFIG": self.cluster.krb5_conf, "KRB5CCNAME": "FILE:/nothing/here", **environment})

    def check_written(self, more, owner, **environment):
        lines, agent = self.with_tickets(more, **environment)
        with agent:
            lines.write(1000)
            lines.wait_until_there()
            self.assertEqual(agent.stop(), 0)
        lines.check_once(self)
        self.assertEqual({entry.owner for entry in self.cluster.list(self.path) if entry.kind == "f"}, {owner})

    def test_a_keytab(self):
        self.check_written(self.keys(), USER)

    @full
    def test_on_behalf_of_somebody(self):
        self.cluster.ask("chown", self.OTHER, self.OTHER, self.path)
        self.check_written(self.keys() + "hdfs.proxyUser = %s\n" % self.OTHER, self.OTHER)

    @full
    def test_the_tickets_that_are_there(self):
        """As with kinit, which is a program of its own: the library takes the key where it is told to."""
        lines, agent = self.with_tickets("", KRB5_CLIENT_KTNAME=self.keytab(), KRB5CCNAME="MEMORY:")
        with open(os.path.join(lines.directory.name, "core-site.xml"), "w") as file:
            file.write(site_text({"hadoop.security.authentication": "kerberos"}))
        with agent:
            lines.write(100)
            lines.wait_until_there()
            self.assertEqual(agent.stop(), 0)
        lines.check_once(self)

    @full
    def test_two_principals_in_one_agent(self):
        self.cluster.ask("chmod", "777", self.path)
        lines, agent = self.with_tickets(self.keys())
        more = proved(sink(self.cluster, self.path + "/others", self.keys(self.OTHER) + "hdfs.rollInterval = 1\n"))
        with open(agent.config, "a") as file:
            file.write("a1.channels = c1 c2\na1.sinks = k1 k2\na1.sources.r1.channels = c1 c2\na1.channels.c2.type = rocksdb\n"
                       "a1.sinks.k2.channel = c2\n" + "".join("a1.sinks.k2.%s\n" % line for line in more.splitlines()))
        with agent:
            for _ in range(8):
                lines.write(50)
                lines.wait_until_there()
            wait_until(lambda: sum(self.cluster.read(path)[1].count(b"\n") for path in lines.complete() if "/others/" in path) == 400,
                       "the other's lines are there", 30)
            self.assertEqual(agent.stop(), 0)
        owners = {(entry.owner, "/others/" in entry.path) for entry in self.cluster.list(self.path) if entry.kind == "f"}
        self.assertEqual(owners, {(USER, False), (self.OTHER, True)})

    @full
    def test_tickets_end_and_are_got_anew(self):
        """Each is good for 10 s."""
        config = os.path.join(self.cluster.keys(), "short.conf")
        with open(self.cluster.krb5_conf) as file, open(config, "w") as short:
            short.write(file.read().replace("[libdefaults]", "[libdefaults]\n    ticket_lifetime = 10s\n"))
        lines, agent = self.with_tickets(self.keys(), KRB5_CONFIG=config)
        with agent:
            for _ in range(25):
                lines.write(20)
                lines.wait_until_there()
            self.assertEqual(agent.stop(), 0)
            self.assertNotRegex(agent.log(), "sink k1: .*cannot be finished")
        lines.check_once(self)

    @full
    def test_the_keytab_comes_later(self):
        lines, agent = self.with_tickets(self.keys(keytab="{dir}/late.keytab"))
        with agent:
            lines.write(100)
            print("said: %s" % agent.wait_for_log(r"^.*cannot be finished.*$", 30)[0])
            with open(self.keytab(), "rb") as file, open(os.path.join(lines.directory.name, "late.keytab"), "wb") as late:
                late.write(file.read())
            lines.wait_until_there()
            self.assertEqual(agent.stop(), 0)
        lines.check_once(self)

    @full
    def test_a_server_that_the_kdc_does_not_know(self):
        lines, agent = self.with_tickets(self.keys() + "hdfs.hosts = nn.example=127.0.0.1\n", name="nn.example")
        with agent:
            lines.write(100)
            print("said: %s" % agent.wait_for_log(r"^.*not found in Kerberos database.*$", 30)[0])
            self.assertEqual(agent.stop(), 0)

    @full
    def test_a_delegation_token(self):
        """It is cancelled, and another one is put into the file."""
        lines = self.lines("hdfs.rollInterval = 1\nhdfs.tokenFile = {dir}/token\n")

        def give(token):
            with open(os.path.join(lines.directory.name, "token.new"), "w") as file:
                file.write(token + "\n")
            os.replace(file.name, os.path.join(lines.directory.name, "token"))
        give(first := self.cluster.token(USER))
        with lines.agent() as agent:
            lines.write(100)
            lines.wait_until_there()
            self.cluster.ask("cancel", first)
            lines.write(100)
            print("said: %s" % agent.wait_for_log(r"^.*InvalidToken.*$", 30)[0])
            give(self.cluster.token(USER))
            lines.wait_until_there()
            self.assertEqual(agent.stop(), 0)
        lines.check_once(self)
        self.assertEqual({entry.owner for entry in self.cluster.list(self.path)}, {USER})

    @full
    def test_nothing_shown(self):
        lines = self.lines()
        with lines.agent() as agent:
            lines.write(100)
            print("said: %s" % agent.wait_for_log(r"^.*cannot be finished.*$", 30)[0])
            self.assertEqual(agent.stop(), 0)
        self.assertEqual(self.cluster.files(self.path), {})


class LateBodies(OnHdfs):
    """A datanode hangs with a body for longer than the agent waits, and wakes up when the agent has sent it again."""

    def check(self, when):
        lines = self.lines("hdfs.rollInterval = 1\nhdfs.callTimeout = 1000\n")
        with LateDatanode(self.cluster, when) as late:
            lines.config = lines.config.replace(":%d\n" % self.cluster.http_ports[0], ":%d\n" % late.port)
            with lines.agent() as agent:
                lines.write(500)
                wait_until(late.woken.is_set, "the datanode wakes up", 30)
                lines.wait_until_there()
                self.assertEqual(agent.stop(), 0)
        self.assertEqual(sorted(lines.there()), list(range(lines.written)))

    def test_before_the_file_gets_its_name(self):
        self.check("before")

    @full
    def test_behind_that(self):
        """The half of it may stay under a name in use, for which Hadoop has no owner any more."""
        self.check("behind")
