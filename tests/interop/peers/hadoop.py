"""Apache Hadoop: HDFS in one process, Hadoop's own readers of files, and WebHDFS as it is on the wire."""
import atexit
import base64
import collections
import contextlib
import functools
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import urllib.parse

from support.agent import ROOT
from support.waiting import wait_until

from .java import QUICK, Program, Shell, die_with_parent, lasting_port

HERE = os.path.join(ROOT, "tests", "interop", "hadoop")
VERSIONS = ("3.4",)
OPENED = ("java.base/java.lang", "java.base/java.nio", "java.security.jgss/sun.security.krb5")
SUPERUSER = "hdfs"

# As Hadoop's readers see a file: what it is in words, and its records or its bytes.
Record = collections.namedtuple("Record", "key value")
Entry = collections.namedtuple("Entry", "kind length owner group permission path")
Answer = collections.namedtuple("Answer", "status headers body")


class Hadoop(Program):
    """One version of Hadoop on this machine."""

    def __init__(self, version):
        super().__init__("Hadoop", HERE, version, ("hadoop-hdfs-", "hadoop-common-", "snappy", "lz4"))

    def java(self, main, options=(), heap_mb=320, beside=()):
        archive = ["-XX:SharedArchiveFile=" + self.archive] if os.path.exists(self.archive) else []
        opened = ["--add-opens=%s=ALL-UNNAMED" % each for each in OPENED]
        return ["java", "-Xmx%dm" % heap_mb, *archive, *QUICK, *options, *opened, "-cp", ":".join([*self.jars, *beside]), main]

    def shell(self, options=(), heap_mb=320):
        return Shell("Hadoop", self.java("sluice.HadoopShell", options, heap_mb), {"HADOOP_USER_NAME": SUPERUSER})


@functools.lru_cache(maxsize=None)
def hadoop(version=VERSIONS[0]):
    """Once for a version and a machine, HDFS runs for the archive of the classes that it loads."""
    it = Hadoop(version)
    if not os.path.exists(it.archive):
        with Cluster(of=it, options=["-XX:ArchiveClassesAtExit=%s.new" % it.archive]) as cluster:
            cluster.put("/any", b"any")
            cluster.get("/any")
            cluster.shell.end()
        with contextlib.suppress(FileNotFoundError):  # Java had its reasons; a start takes longer then.
            os.replace(it.archive + ".new", it.archive)
    return it


def encode(word):
    """As the shell's words are: a URL's."""
    return urllib.parse.quote_plus(str(word))


# --- Files ----------------------------------------------------------------------------------------


class Reader:
    """Hadoop's own readers, for a with statement; paths are of this machine unless a cluster gives its own shell."""

    def __init__(self, shell=None):
        self.shell = shell or hadoop().shell()

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="sluice-test-")
        self.shell.__enter__()
        return self

    def __exit__(self, *error):
        self.shell.__exit__(*error)
        shutil.rmtree(self.directory)

    def read(self, path):
        """(what Hadoop took it for, its Records, or the bytes of what is no SequenceFile)."""
        return read_with(self.shell, "file://" + path, os.path.join(self.directory, "content"))


def read_with(shell, path, into):
    what = shell.ask("read", encode(path), encode(into), deadline_s=120)[0]
    with open(into, "rb") as file:
        content = file.read()
    return what, records_of(content) if what.startswith("sequence ") else content


def records_of(content):
    return [Record(int(key), base64.b64decode(value)) for key, value in (
        line.split(b" ") for line in content.split(b"\n")[:-1])]


# --- HDFS -----------------------------------------------------------------------------------------


class Cluster:
    """HDFS on loopback, for a with statement: one namenode, or two with the first active, and datanodes, in one process.

    With `users` it is one with Kerberos, and their keys are in users.keytab. With `certificate` its web servers
    speak TLS only. The superuser is SUPERUSER. `settings` are Hadoop's, keys with _ for the dots. Datanodes have the numbers of their start.
    """

    def __init__(self, datanodes=1, namenodes=1, of=None, options=(), heap_mb=320, users=(), certificate=None,
                 **settings):
        self.hadoop = of or hadoop()
        self.users = users
        self.certificate = certificate
        if certificate:
            settings = {**HTTPS, **settings}
        self.arguments = [namenodes, datanodes] + [
            "%s=%s" % (key.replace("_", "."), value) for key, value in {**SETTINGS, **settings}.items()]
        self.shell = self.hadoop.shell(options, heap_mb)

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="sluice-test-")
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
            stack.enter_context(self.shell)
            if self.users:
                os.mkdir(self.keys())
                self.krb5_conf, = self.ask("kerberos", self.keys(), *self.users)
            if self.certificate:
                self.put_ssl_server()
            ports = [line.split(" ") for line in self.ask("start", os.path.join(self.directory, "dfs"), *self.arguments)]
            self.rpc_ports, self.http_ports = ([int(each) for each in column] for column in zip(*ports))
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        self.stack.__exit__(*error)

    def ask(self, *words, deadline_s=120):
        return self.shell.ask(*map(encode, words), deadline_s=deadline_s)

    def put_ssl_server(self):
        site = os.path.join(self.directory, "site")
        os.mkdir(site)
        with open(os.path.join(site, "ssl-server.xml"), "w") as file:
            file.write(site_text({"ssl.server.keystore.location": self.certificate.pkcs12, "ssl.server.keystore.type": "pkcs12",
                                  "ssl.server.keystore.password": self.certificate.password,
                                  "ssl.server.keystore.keypassword": self.certificate.password}))
        self.ask("site", site)

    def keys(self):
        """Of a cluster with Kerberos, the folder of users.keytab."""
        return os.path.join(self.directory, "kdc")

    def token(self, user):
        return self.ask("token", self.keys(), user)[0]

    def list(self, path="/"):
        """Entries of all that is below, the path's own first."""
        return [Entry(kind, int(length), *map(urllib.parse.unquote_plus, more)) for kind, length, *more in (
            line.split(" ") for line in self.ask("list", path))]

    def files(self, path="/"):
        """{path: length} of all files below."""
        return {each.path: each.length for each in self.list(path) if each.kind == "f"}

    def open_files(self):
        return [urllib.parse.unquote_plus(line) for line in self.ask("open-files")]

    def make(self, path, owner=SUPERUSER, permission=755):
        self.ask("mkdirs", path)
        self.ask("chown", owner, owner, path)
        self.ask("chmod", permission, path)

    def put(self, path, content):
        local = os.path.join(self.directory, "put")
        with open(local, "wb") as file:
            file.write(content)
        self.ask("put", local, path)

    def get(self, path):
        """The bytes of a file as they are."""
        local = os.path.join(self.directory, "get")
        self.ask("get", path, local)
        with open(local, "rb") as file:
            return file.read()

    def read(self, path):
        return read_with(self.shell, path, os.path.join(self.directory, "content"))

    def web(self, namenode=0, user=SUPERUSER):
        return WebHdfs(self.http_ports[namenode], user)

    def wait_for_files(self, path, done, deadline_s=30):
        """Until done({path: length}) is true."""
        wait_until(lambda: done(self.files(path)), lambda: "files: %s" % self.files(path), deadline_s, poll_s=0.1)


def site_text(settings):
    """As hdfs-site.xml and its like have them."""
    return "<configuration>%s</configuration>\n" % "".join(
        "<property><name>%s</name><value>%s</value></property>" % each for each in settings.items())


@functools.lru_cache(maxsize=None)
def shared_cluster(datanodes=2, namenodes=1, users=()):
    """One for all tests that leave it as it was, up to the end of the program."""
    cluster = Cluster(datanodes, namenodes, users=users)
    atexit.register(cluster.__exit__, None, None, None)
    return cluster.__enter__()


# For speed: what is dead is found so at once, a file may be of small blocks, and Hadoop asks the system's time less.
SETTINGS = {
    "dfs_namenode_fs-limits_min-block-size": 0,
    "dfs_namenode_heartbeat_recheck-interval": 500,
    "dfs_heartbeat_interval": 1,
    "dfs_namenode_safemode_extension": 0,
    "hadoop_security_random_device_file_path": "/dev/urandom",
    "dfs_datanode_handler_count": 3,
    "dfs_namenode_handler_count": 5,
}
HTTPS = {
    "dfs_http_policy": "HTTPS_ONLY",
    "dfs_namenode_https-address": "localhost:0",
    "dfs_datanode_https_address": "localhost:0",
}
# What a cluster allows the gateway: to write on behalf of everybody.
GATEWAY = {"hadoop_proxyuser_%s_hosts" % SUPERUSER: "*", "hadoop_proxyuser_%s_groups" % SUPERUSER: "*"}


class HttpFs:
    """The gateway HttpFS in front of a cluster that has the settings GATEWAY, for a with statement."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.port = lasting_port()

    def __enter__(self):
        home = os.path.join(self.cluster.directory, "httpfs")
        folders = {name: os.path.join(home, name) for name in ("config", "log", "temp")}
        for folder in folders.values():
            os.makedirs(folder)
        files = {"core-site.xml": site_text({"fs.defaultFS": "hdfs://localhost:%d" % self.cluster.rpc_ports[0]}),
                 "httpfs-site.xml": site_text({"httpfs.hadoop.config.dir": folders["config"], "httpfs.http.hostname": "127.0.0.1",
                                               "httpfs.http.port": self.port}),
                 "httpfs-signature.secret": "secret", "httpfs-log4j.properties": "log4j.rootLogger = OFF\n"}
        for name, text in files.items():
            with open(os.path.join(folders["config"], name), "w") as file:
                file.write(text)
        command = self.cluster.hadoop.java(
            "org.apache.hadoop.fs.http.server.HttpFSServerWebServer",
            ["-Dhttpfs.home.dir=" + home, *("-Dhttpfs.%s.dir=%s" % each for each in folders.items())], 200, [folders["config"]])
        with contextlib.ExitStack() as stack:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={**os.environ, "HADOOP_USER_NAME": SUPERUSER}, preexec_fn=die_with_parent)
            stack.push(self.__exit__)
            wait_until(self.answers, "HttpFS answers", 30, poll_s=0.1)
            stack.pop_all()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def answers(self):
        try:
            return WebHdfs(self.port).ask("GET", "/", "GETFILESTATUS").status == 200
        except OSError:
            return False


class WebHdfs:
    """WebHDFS by hand: what is asked goes out as it is, redirections are not followed."""

    def __init__(self, port, user=SUPERUSER):
        self.port = port
        self.user = user

    def ask(self, method, path, op, **parameters):
        """An Answer of the namenode; `path` is escaped here, and user_name=None says none."""
        query = {"op": op, "user.name": self.user, **{key.replace("_", "."): value for key, value in parameters.items()}}
        query = "&".join("%s=%s" % (key, urllib.parse.quote(str(value), safe="")) for key, value in query.items() if value is not None)
        return exchange(self.port, method, "/webhdfs/v1%s?%s" % (urllib.parse.quote(path), query))

    def create(self, path, content, **parameters):
        """Both steps; an Answer of the datanode, or the namenode's if it sends nowhere."""
        answer = self.ask("PUT", path, "CREATE", **parameters)
        if answer.status != 307:
            return answer
        port, target = datanode_of(answer)
        return exchange(port, "PUT", target, content)


def datanode_of(answer):
    """(port, target) to which the namenode sends for the second step."""
    there = urllib.parse.urlsplit(answer.headers["location"])
    return there.port, "%s?%s" % (there.path, there.query)


def exchange(port, method, target, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, target, body)
        answer = connection.getresponse()
        return Answer(answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read())


def remote_exception(answer):
    """The name that an error's JSON gives, or None."""
    try:
        return json.loads(answer.body)["RemoteException"]["exception"]
    except (ValueError, KeyError):
        return None
