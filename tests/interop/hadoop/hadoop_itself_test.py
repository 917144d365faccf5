"""What the real HDFS answers over WebHDFS: the facts on which our sink, and the peer that our own tests made up, rest."""
import contextlib
import json
import socket
import tempfile
import time
import unittest

from peers.extent import full
from peers.hadoop import SUPERUSER, Cluster, Reader, datanode_of, remote_exception, shared_cluster
from support.waiting import wait_until

PART, WHOLE = b"x" * 400_000, 1_000_000
FAILS, DOES = {"boolean": False}, {"boolean": True}


def begin(answer, head, body):
    """A connection to the datanode that an Answer names, with that much sent."""
    port, target = datanode_of(answer)
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(b"PUT %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (target.encode(), head) + body)
    return connection


def everything(connection):
    """Up to its end, which the datanode makes behind each answer."""
    with contextlib.closing(connection):
        return b"".join(iter(lambda: connection.recv(65536), b""))


class Hdfs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = shared_cluster()

    def setUp(self):
        self.web = self.cluster.web()
        for entry in self.cluster.list()[1:]:
            if entry.path.count("/") == 1:
                self.cluster.ask("delete", entry.path)

    def ask(self, *arguments, **parameters):
        """(status, JSON or nothing) of the namenode."""
        answer = self.web.ask(*arguments, **parameters)
        return answer.status, json.loads(answer.body) if answer.body else None

    def rename(self, source, to, **more):
        status, content = self.ask("PUT", source, "RENAME", destination=to, **more)
        return content["RemoteException"]["exception"] if status != 200 else content

    def refused(self, *arguments, **parameters):
        """The name of the error with which a datanode refuses a file, where the namenode sees nothing wrong."""
        self.assertEqual(self.web.ask("PUT", arguments[0], "CREATE", **parameters).status, 307)
        answer = self.web.create(*arguments, **parameters)
        self.assertEqual(answer.status, 403)
        self.assertIn("\\n\\tat org.apache.hadoop.", answer.body.decode(), "a stack trace")
        return remote_exception(answer)


class Files(Hdfs):
    def test_both_steps(self):
        answer = self.web.ask("PUT", "/a", "CREATE")
        self.assertEqual((answer.status, answer.body), (307, b""))
        self.assertEqual(self.ask("PUT", "/a", "CREATE", noredirect="true")[1].keys(), {"Location"})
        # Nobody asked for the 100; the connection ends behind the answer.
        content = everything(begin(answer, b"Content-Length: 5\r\n", b"hello")).split(b"\r\n")
        self.assertEqual(content[:3], [b"HTTP/1.1 100 Continue", b"", b"HTTP/1.1 201 Created"])
        self.assertIn(b"connection: close", content)
        self.assertEqual(self.cluster.get("/a"), b"hello")

    def test_bodies_in_chunks(self):
        answer = self.web.ask("PUT", "/a", "CREATE")
        content = everything(begin(answer, b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"))
        self.assertIn(b"201 Created", content)
        self.assertEqual(self.cluster.get("/a"), b"hello!")

    def test_a_body_that_breaks_off_leaves_a_complete_file(self):
        cuts = {"/length": (b"Content-Length: %d\r\n" % WHOLE, PART), "/none": (b"Content-Length: %d\r\n" % WHOLE, b""),
                "/chunked": (b"Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n" % (len(PART), PART))}
        for path, (head, body) in cuts.items():
            with self.subTest(path):
                writer = begin(self.web.ask("PUT", path, "CREATE"), head, body)
                writer.shutdown(socket.SHUT_WR)
                self.assertNotIn(b"201", everything(writer))
                wait_until(lambda: self.cluster.files().get(path) is not None and not self.cluster.open_files(), "the file's end")
                length = self.ask("GET", path, "GETFILESTATUS")[1]["FileStatus"]["length"]
                self.assertEqual(length, len(PART) if body else 0)
                self.assertEqual(self.web.create(path, b"whole", overwrite="true").status, 201)
                self.assertEqual(self.cluster.get(path), b"whole")

    def test_a_file_that_somebody_writes(self):
        writer = begin(self.web.ask("PUT", "/a", "CREATE"), b"Content-Length: %d\r\n" % WHOLE, PART)
        wait_until(self.cluster.open_files, "it is made")
        self.assertEqual(self.ask("GET", "/a", "GETFILESTATUS")[1]["FileStatus"]["length"], 0)
        self.assertEqual(self.refused("/a", b"x"), "AlreadyBeingCreatedException")
        self.assertEqual(self.rename("/a", "/b"), DOES)
        self.assertEqual(self.rename("/b", "/a"), DOES)
        self.assertEqual(self.web.create("/a", b"another's", overwrite="true").status, 201)
        writer.sendall(b"x" * (WHOLE - len(PART)))
        self.assertIn(b"404 Not Found", everything(writer))
        self.assertEqual(self.cluster.get("/a"), b"another's")

    def test_renames(self):
        for path in ("/a", "/b", "/d/a", "/e/x"):
            self.cluster.put(path, path.encode())
        self.assertEqual(self.rename("/a", "/b"), FAILS)
        self.assertEqual(self.rename("/missing", "/c"), FAILS)
        self.assertEqual(self.rename("/a", "/missing/c"), FAILS)
        self.assertEqual(self.rename("/a", "/d"), FAILS, "/d/a is there")
        self.assertEqual(self.rename("/a", "/b/c"), "ParentNotDirectoryException")
        self.assertEqual(self.rename("/a", "/b", renameoptions="NONE"), "FileAlreadyExistsException")
        self.assertEqual(self.rename("/missing", "/c", renameoptions="NONE"), "FileNotFoundException")
        self.assertEqual(self.rename("/a", "/missing/c", renameoptions="NONE"), "FileNotFoundException")
        self.assertEqual(self.rename("/a", "/a"), DOES)
        self.assertEqual(self.rename("/a", "/e"), DOES, "into the directory")
        self.assertEqual(self.rename("/e/a", "/b", renameoptions="OVERWRITE"), None, "no JSON")
        self.assertEqual({path: self.cluster.get(path) for path in self.cluster.files()},
                         {"/b": b"/a", "/d/a": b"/d/a", "/e/x": b"/e/x"})

    def test_directories(self):
        self.cluster.put("/f", b"")
        for path, expected in (("/d", DOES), ("/d", DOES), ("/f", "FileAlreadyExistsException"), ("/f/d", "ParentNotDirectoryException")):
            status, content = self.ask("PUT", path, "MKDIRS")
            self.assertEqual(content if status == 200 else content["RemoteException"]["exception"], expected)

    def test_what_is_not_there(self):
        for path in ("/missing", "/missing/too"):
            status, content = self.ask("GET", path, "GETFILESTATUS")
            self.assertEqual((status, content["RemoteException"]["exception"]), (404, "FileNotFoundException"))
        self.assertEqual(self.ask("DELETE", "/missing", "DELETE"), (200, FAILS))
        self.assertEqual(self.ask("GET", "/", "GETDELEGATIONTOKEN"), (200, {"Token": None}))

    def test_names(self):
        for name in ("a b", "a%b", "a+b", "a?b", "a#b", "a;b", "a&b=c", "a\\b", "%41", "a%2Fb", "\u4e2d\u6587 \U0001f680", "n" * 255):
            with self.subTest(name):
                path = "/names/" + name
                self.assertEqual(self.web.create(path, b"x").status, 201)
                self.assertEqual(self.rename(path, path[:-1]), DOES)
                self.assertEqual(list(self.cluster.files("/names")), [path[:-1]])
                self.cluster.ask("delete", "/names")
        for name in ("a:b", ".."):
            answer = self.web.ask("PUT", "/names/" + name, "CREATE")
            self.assertEqual((answer.status, remote_exception(answer)), (400, "InvalidPathException"))
        self.assertEqual(self.refused("/names/" + "\u00e9" * 128, b""), "RemoteException", "of 256 bytes")


class Refusals(Hdfs):
    def test_a_file_that_is_there(self):
        self.cluster.put("/d/a", b"")
        self.assertEqual(self.refused("/d/a", b""), "FileAlreadyExistsException")
        self.assertEqual(self.refused("/d", b"", overwrite="true"), "FileAlreadyExistsException")
        self.assertEqual(self.refused("/d/a/b", b"", overwrite="true"), "ParentNotDirectoryException")

    def test_safe_mode(self):
        self.cluster.put("/a", b"")
        self.cluster.ask("mkdirs", "/d")
        self.cluster.ask("safe-mode", "on")
        try:
            self.assertEqual(self.refused("/b", b""), "SafeModeException")
            self.assertEqual(self.rename("/a", "/b"), "SafeModeException")
            self.assertEqual(self.ask("PUT", "/d", "MKDIRS")[1]["RemoteException"]["exception"], "SafeModeException")
            self.assertEqual(self.ask("GET", "/a", "GETFILESTATUS")[0], 200)
        finally:
            self.cluster.ask("safe-mode", "off")

    def test_permissions(self):
        self.cluster.make("/d", SUPERUSER, 700)
        self.web.user = "joe"
        self.assertEqual(self.refused("/d/a", b""), "AccessControlException")
        self.assertEqual(self.rename("/d/a", "/d/b"), "AccessControlException")
        self.assertEqual(self.ask("PUT", "/d/d", "MKDIRS")[1]["RemoteException"]["exception"], "AccessControlException")
        self.cluster.ask("chmod", 777, "/d")
        self.assertEqual(self.web.create("/d/a", b"").status, 201)
        self.assertEqual(self.cluster.list("/d/a")[0].owner, "joe")
        self.web.user = "joe doe"
        self.assertEqual(self.ask("PUT", "/d/d", "MKDIRS")[0], 400)

    def test_quotas(self):
        self.cluster.put("/names/a", b"")
        self.cluster.ask("quota", 2, -1, "/names")
        self.assertEqual(self.refused("/names/b", b""), "NSQuotaExceededException")
        self.assertEqual(self.rename("/names/a", "/names/b"), DOES)
        self.cluster.ask("mkdirs", "/space")
        self.cluster.ask("quota", -1, 1 << 20, "/space")
        # A whole block counts, and the file stays, empty and complete.
        self.assertEqual(self.refused("/space/a", b"x"), "DSQuotaExceededException")
        self.assertEqual(self.cluster.files("/space"), {"/space/a": 0})


@full
class TwoNamenodes(Hdfs):
    @classmethod
    def setUpClass(cls):
        cls.cluster = shared_cluster(namenodes=2)

    def fail_over(self, to):
        self.cluster.ask("stand-by", 1 - to)
        self.cluster.ask("activate", to)

    def test_the_one_that_stands_by(self):
        self.web = self.cluster.web(1)
        self.assertEqual(self.refused("/a", b""), "StandbyException")
        self.assertEqual(self.rename("/a", "/b"), "StandbyException")
        for method, op in (("PUT", "MKDIRS"), ("GET", "GETFILESTATUS"), ("GET", "GETDELEGATIONTOKEN"), ("DELETE", "DELETE")):
            answer = self.web.ask(method, "/a", op)
            self.assertEqual((answer.status, remote_exception(answer)), (403, "StandbyException"))

    def test_fail_over_while_a_file_is_written(self):
        writer = begin(self.web.ask("PUT", "/a", "CREATE"), b"Content-Length: %d\r\n" % WHOLE, PART)
        wait_until(self.cluster.open_files, "it is made")
        self.fail_over(1)
        writer.sendall(b"x" * (WHOLE - len(PART)))
        self.assertIn(b"StandbyException", everything(writer))
        self.assertEqual(self.cluster.files(), {"/a": 0})
        self.assertEqual(self.cluster.open_files(), ["/a"])
        self.assertEqual(self.cluster.web(1).create("/a", b"whole", overwrite="true").status, 201)
        self.fail_over(0)


@full
class WithKerberos(unittest.TestCase):
    def test_who_says_who_he_is_and_who_shows_it(self):
        cluster = shared_cluster(users=("sluice",))
        answer = cluster.web().ask("GET", "/", "GETFILESTATUS")
        self.assertEqual((answer.status, answer.headers["www-authenticate"]), (401, "Negotiate"))
        self.assertIn(b"<html>", answer.body)
        cluster.make("/own", "sluice")
        web, token = cluster.web(user=None), cluster.token("sluice")
        answer = web.ask("PUT", "/own/a", "CREATE", delegation=token)
        self.assertIn("delegation=%s&" % token, answer.headers["location"])
        self.assertEqual(web.create("/own/a", b"x", delegation=token).status, 201)
        self.assertEqual(cluster.list("/own/a")[0].owner, "sluice")
        cluster.ask("cancel", token)
        for each in (token, "AAAA"):
            answer = web.ask("PUT", "/own/b", "CREATE", delegation=each)
            self.assertEqual((answer.status, remote_exception(answer)), (403, "SecurityException"))


@full
class Datanodes(unittest.TestCase):
    def test_they_die_one_by_one(self):
        with Cluster(datanodes=2) as cluster:
            web = cluster.web()
            ports = [int(port) for port in cluster.ask("datanodes")]
            answer = web.ask("PUT", "/a", "CREATE")
            other = 1 - ports.index(datanode_of(answer)[0])
            writer = begin(answer, b"Content-Length: %d\r\n" % WHOLE, PART)
            wait_until(cluster.open_files, "it is made")
            cluster.ask("kill-datanode", other)
            writer.sendall(b"x" * (WHOLE - len(PART)))
            self.assertIn(b"201 Created", everything(writer), "one is enough to go on with")
            # For as long as it may only be late the namenode names the dead one; all there are have one address here.
            self.assertEqual({datanode_of(web.ask("PUT", "/b", "CREATE"))[0] for _ in range(40)}, set(ports))
            answer = web.ask("PUT", "/b", "CREATE", excludedatanodes="127.0.0.1:%d" % ports[other])
            self.assertEqual(answer.status, 307, "a port in it makes that it is not heeded")
            cluster.ask("kill-datanode", 1 - other)
            began = time.monotonic()
            wait_until(lambda: web.ask("PUT", "/b", "CREATE").status == 403, "the namenode notices", 60)
            print("noticed after %.0f s" % (time.monotonic() - began))
            self.assertEqual(remote_exception(web.ask("PUT", "/b", "CREATE")), "IOException")
            cluster.ask("restart-datanode", other)
            wait_until(lambda: web.create("/b", b"x", overwrite="true").status == 201, "it is back", 30)


def varint(number):
    """Avro's long, for what is not negative."""
    number *= 2
    content = b""
    while number > 0x7f:
        content += bytes([number & 0x7f | 0x80])
        number >>= 7
    return content + bytes([number])


class Readers(unittest.TestCase):
    def test_an_avro_container(self):
        """Of one block, uncompressed, made by hand."""
        schema = b'{"type":"record","name":"Event","fields":[{"name":"n","type":"int"},{"name":"s","type":"string"}]}'
        block = b"\x02\x06one" + b"\x04\x06two"
        sync = bytes(range(16))
        content = (b"Obj\x01\x04\x16avro.schema%s%s\x14avro.codec\x08null\x00" % (varint(len(schema)), schema) + sync +
                   b"\x04" + varint(len(block)) + block + sync)
        with Reader() as reader, tempfile.NamedTemporaryFile(prefix="sluice-test-") as file:
            file.write(content)
            file.flush()
            self.assertEqual(reader.read(file.name), ("avro null Event", b'{"n": 1, "s": "one"}\n{"n": 2, "s": "two"}\n'))
