"""A Hadoop file system in a process: namenodes and a datanode as they behave over WebHDFS, with faults.

How they behave was found out with the real ones: tests/interop/README.md, "What was found out of Hadoop".
"""
import http.server
import json
import os
import threading
import urllib.parse

PREFIX = "/webhdfs/v1"


class Cut(Exception):
    """The connection ends here, without an answer."""


class Storage:
    """What namenodes and datanodes share. Tests set the faults; every access takes the lock."""

    def __init__(self):
        self.lock = threading.RLock()
        self.files = {}             # path: bytes
        self.directories = {"/"}
        self.calls = []             # (server, operation, path, user or token)
        self.refusal = {}           # operation: (exception, message)
        self.safe_mode = False
        self.break_bodies_after = None  # bytes; then the datanode ends the connection
        self.answers_to_lose = {}   # operation: how many
        self.datanode_works = True
        self.datanode_hangs = False
        self.end = threading.Event()  # of what hangs

    def names(self, below="/"):
        with self.lock:
            return sorted(name for name in self.files if name.startswith(below))

    def lines(self, names=None):
        with self.lock:
            return [line for name in names or self.names() for line in self.files[name].split(b"\n")[:-1]]

    def make_directories(self, path):
        while path not in self.directories:
            self.directories.add(path)
            path = os.path.dirname(path)

    def operations(self, operation):
        with self.lock:
            return [call for call in self.calls if call[1] == operation]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, document=None, location=None):
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, exception, message):
        self.answer(status, {"RemoteException": {"exception": exception, "javaClassName": "org.apache.hadoop." + exception,
                                                 "message": message + "\nand a stack"}})

    def body(self):
        """Pieces of the body, however it is framed."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while True:
                length = int(self.rfile.readline().split(b";")[0] or b"0", 16)
                data = self.rfile.read(length)
                self.rfile.readline()
                if not length:
                    return
                yield data
        else:
            left = int(self.headers.get("Content-Length", 0))
            while left:
                data = self.rfile.read(min(left, 65536))
                if not data:
                    return
                left -= len(data)
                yield data

    def handle_call(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        path = urllib.parse.unquote(url.path)[len(PREFIX):] or "/"
        operation = query["op"]
        storage = self.server.storage
        with storage.lock:
            storage.calls.append((self.server.name, operation, path, query.get("user.name") or query.get("delegation")))
        try:
            if "datanode" in query:
                self.create(path)
            else:
                for _ in self.body():
                    pass
                self.ask_namenode(operation, path, query)
        except (Cut, ConnectionError):
            self.close_connection = True

    do_GET = do_PUT = do_DELETE = handle_call

    def lose(self, operation):
        storage = self.server.storage
        with storage.lock:
            left = storage.answers_to_lose.get(operation, 0)
            storage.answers_to_lose[operation] = max(0, left - 1)
        if left:
            raise Cut

    def may(self, operation):
        storage = self.server.storage
        if self.server.standby:
            self.refuse(403, "StandbyException", "Operation category WRITE is not supported in state standby")
        elif storage.safe_mode and operation != "GETFILESTATUS":
            self.refuse(403, "SafeModeException", "Cannot do it. Name node is in safe mode.")
        elif operation in storage.refusal:
            self.refuse(403, *storage.refusal[operation])
        else:
            return True
        return False

    def ask_namenode(self, operation, path, query):
        storage = self.server.storage
        if operation == "CREATE":  # nothing is looked at before the datanode
            authority = "127.0.0.1:%d" % self.server.datanode.server_address[1]
            if self.server.datanode_name:
                authority = "%s:%d" % (self.server.datanode_name, self.server.datanode.server_address[1])
            return self.answer(307, location="http://%s%s&datanode=%s" % (authority, self.path, self.server.name))
        if not self.may(operation):
            return None
        with storage.lock:
            there = path in storage.files or path in storage.directories
            if operation == "GETFILESTATUS":
                if not there:
                    return self.refuse(404, "FileNotFoundException", "File does not exist: " + path)
                status = {"length": len(storage.files.get(path, b"")), "pathSuffix": "",
                          "type": "FILE" if path in storage.files else "DIRECTORY"}
                done = {"FileStatus": status}
            elif operation == "RENAME":
                to = query["destination"]
                if to in storage.directories:  # as Hadoop does it
                    to += "/" + os.path.basename(path)
                parent = os.path.dirname(to) in storage.directories
                done = {"boolean": path in storage.files and to not in storage.files and parent}
                if done["boolean"]:
                    storage.files[to] = storage.files.pop(path)
            elif operation == "MKDIRS":
                storage.make_directories(path)
                done = {"boolean": True}
            elif operation == "DELETE":
                done = {"boolean": storage.files.pop(path, None) is not None}
            else:
                return self.refuse(400, "IllegalArgumentException", "Invalid value for webhdfs parameter \"op\"")
        self.lose(operation)
        return self.answer(200, done)

    def create(self, path):
        storage = self.server.storage
        namenode = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["datanode"][0]
        self.server.standby = self.server.namenodes[namenode].standby
        self.close_connection = True
        if storage.datanode_hangs:
            storage.end.wait(60)
        if not storage.datanode_works:
            raise Cut
        if not self.may("CREATE"):
            return
        self.send_response_only(100)
        self.end_headers()
        data = b""
        with storage.lock:
            storage.make_directories(os.path.dirname(path))
            storage.files[path] = b""
        for piece in self.body():
            data += piece
            limit = storage.break_bodies_after
            if limit is not None and len(data) > limit:
                with storage.lock:
                    storage.files[path] = data[:limit]
                raise Cut
        with storage.lock:
            storage.files[path] = data  # what came, also when it broke off
        self.lose("CREATE")
        self.answer(201)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    standby = False
    datanode_name = None

    def __init__(self, name, storage, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.name = name
        self.storage = storage
        self.namenodes = {}
        self.datanode = None
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, *_):
        pass  # an agent that was killed

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.server_address[1]

    def stop(self):
        self.shutdown()
        self.server_close()


class WebHdfs:
    """Namenodes (`nn1`, ...) and a datanode; `storage` says what they did and should do."""

    def __init__(self, namenodes=1):
        self.storage = Storage()
        self.datanode = Server("datanode", self.storage)
        self.namenodes = {}
        for i in range(namenodes):
            server = Server("nn%d" % (i + 1), self.storage)
            server.datanode = self.datanode
            self.namenodes[server.name] = server
        self.datanode.namenodes = self.namenodes

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.storage.end.set()
        for server in [*self.namenodes.values(), self.datanode]:
            server.stop()

    @property
    def url(self):
        return self.namenodes["nn1"].url
