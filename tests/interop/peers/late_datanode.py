"""A datanode that hangs and wakes up late, between an agent and a cluster."""
import contextlib
import http.server
import socket
import threading

from .hadoop import datanode_of, exchange


class LateDatanode:
    """Stands for a namenode and its datanodes, for a with statement.

    What is sent with the first CREATE is taken and not answered. Right before or behind the first RENAME, as `when` says, half of
    it gets to the datanode, and then the connection ends. `woken` is set behind that.
    """

    def __init__(self, cluster, when):
        self.namenode_port = cluster.http_ports[0]
        self.when = when
        self.held = None
        self.woken = threading.Event()
        self.given_up = threading.Event()
        self.datanodes = {}  # targets, and the ports that they belong to

    def __enter__(self):
        late = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle(self):
                with contextlib.suppress(ConnectionError):  # The agent has given it up.
                    super().handle()

            def handle_call(self):
                body = body_of(self)
                if self.path in late.datanodes and late.held is None:
                    late.held = self.path, body
                    late.given_up.wait(60)
                    self.close_connection = True
                    return
                answer = late.pass_on(self.command, self.path, body)
                self.send_response(answer.status)
                for key in ("location", "content-type"):
                    if key in answer.headers:
                        self.send_header(key, answer.headers[key])
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_PUT = do_DELETE = handle_call

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.given_up.set()
        self.server.shutdown()
        self.server.server_close()

    def pass_on(self, method, target, body):
        renames = "op=RENAME" in target and self.held is not None and not self.woken.is_set()
        if renames and self.when == "before":
            self.wake_up()
        answer = exchange(self.datanodes.get(target, self.namenode_port), method, target, body)
        if renames and self.when == "behind":
            self.wake_up()
        if "location" in answer.headers and "webhdfs" in answer.headers["location"]:
            port, there = datanode_of(answer)
            self.datanodes[there] = port
            answer.headers["location"] = "http://127.0.0.1:%d%s" % (self.port, there)
        return answer

    def wake_up(self):
        target, body = self.held
        with socket.create_connection(("127.0.0.1", self.datanodes[target])) as datanode:
            head = "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (target, len(body))
            datanode.sendall(head.encode() + body[:len(body) // 2])
            datanode.shutdown(socket.SHUT_WR)
            while datanode.recv(65536):
                pass
        self.woken.set()


def body_of(handler):
    """Whole, whether its length is told or it comes in chunks."""
    if handler.headers.get("Expect"):
        handler.send_response_only(100)
        handler.end_headers()
    if handler.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    body = b""
    while length := int(handler.rfile.readline(), 16):
        body += handler.rfile.read(length)
        handler.rfile.readline()
    handler.rfile.readline()
    return body
