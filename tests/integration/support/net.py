"""The other end of a connection: senders that speak netcat, and a receiver that can misbehave."""
import socket
import threading
import time

from .waiting import wait_until


def connect(port, timeout_s=10):
    return socket.create_connection(("127.0.0.1", port), timeout=timeout_s)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


_held = []


def refusing_port():
    """A port that refuses connections; nobody else can have it as long as this process lives."""
    _held.append(socket.socket())
    _held[-1].bind(("127.0.0.1", 0))  # and no listen()
    return _held[-1].getsockname()[1]


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def read_all(connection):
    """Everything until the other side closes; a reset ends it too."""
    parts = []
    while True:
        try:
            part = connection.recv(1 << 16)
        except ConnectionResetError:
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts)


def read_exactly(connection, count):
    parts = b""
    while len(parts) < count:
        part = connection.recv(count - len(parts))
        if not part:
            raise AssertionError("closed after %r" % parts)
        parts += part
    return parts


def send_and_read(port, content, timeout_s=30, half_close=True):
    """Sends all while reading the answers; returns the answers. The other side closes first, or we half-close."""
    connection = connect(port, timeout_s)
    answers = []
    reader = threading.Thread(target=lambda: answers.append(read_all(connection)), daemon=True)
    reader.start()
    try:
        connection.sendall(content)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the agent closed; what it said is read all the same
    reader.join(timeout_s)
    connection.close()
    if not answers:
        raise AssertionError("no end of the answers within %g s" % timeout_s)
    return answers[0]


class Receiver:
    """Takes connections one after another and keeps the bytes of each.

    `bytes_a_second` slows reading down; pause() stops it. Each line is answered with `answer`. cut() drops the connection and the
    listener at once, with a reset; start() listens on the same port again.
    """

    def __init__(self, port=0, bytes_a_second=0, small_buffer=False, answer=b""):
        self.port = port
        self.bytes_a_second = bytes_a_second
        self.small_buffer = small_buffer
        self.answer = answer    # sent for every line
        self.parts = []         # one bytearray a connection
        self.going = threading.Event()
        self.going.set()
        self.stopped = threading.Event()
        self.current = None
        self.start()

    def start(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.small_buffer:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(16)
        self.listener.settimeout(0.05)
        self.port = self.listener.getsockname()[1]
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(self.listener, self.stopped), daemon=True)
        self.thread.start()

    def run(self, listener, stopped):
        while not stopped.is_set():
            try:
                connection, _ = listener.accept()
            except socket.timeout:
                continue
            except OSError:
                return
            self.parts.append(bytearray())
            self.current = connection
            connection.settimeout(0.05)
            self.read(connection, self.parts[-1], stopped)

    def read(self, connection, into, stopped):
        started = time.monotonic()
        while not stopped.is_set():
            if not self.going.wait(0.05):
                continue
            size = 1 << 18
            if self.bytes_a_second:
                allowed = int((time.monotonic() - started) * self.bytes_a_second) - len(into)
                if allowed <= 0:
                    stopped.wait(0.02)
                    continue
                size = min(size, allowed)
            try:
                part = connection.recv(size)
            except socket.timeout:
                continue
            except OSError:
                break
            if not part:
                break
            into += part
            try:
                connection.sendall(self.answer * part.count(b"\n"))
            except OSError:
                break
        connection.close()

    def pause(self):
        self.going.clear()

    def go_on(self):
        self.bytes_a_second = 0
        self.going.set()

    def cut(self):
        """As kill -9 of the receiver: what the kernel holds for it is thrown away, the sender is reset."""
        self.stopped.set()
        self.listener.close()
        self.thread.join()

    def content(self):
        return b"".join(bytes(part) for part in self.parts)

    def wait_for(self, size, deadline_s=30):
        wait_until(lambda: sum(map(len, self.parts)) >= size,
                   lambda: "%d of %d bytes arrived" % (sum(map(len, self.parts)), size), deadline_s)
        return self.content()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.listener.close()
        self.thread.join(5)


class Speaker:
    """A server as `nc -lk`: what is said goes to those who are connected, and to those who come later as well."""

    def __init__(self, port=0):
        self.said = b""
        self.connections = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections.append(connection)
                connection.sendall(self.said)

    def say(self, content):
        with self.lock:
            self.said += content
            for connection in self.connections:
                connection.sendall(content)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)  # close() alone would leave accept() waiting
        self.listener.close()
        for connection in self.connections:
            connection.close()


def numbered(count, width=0, first=0):
    """Lines that say which they are."""
    padding = "x" * width
    return "".join("line %d %s\n" % (i, padding) for i in range(first, first + count)).encode()


def lost_and_doubled(content, count):
    """(numbers that never came, how many came more often than once) of numbered()'s lines."""
    seen = [0] * count
    for line in content.split(b"\n")[:-1]:
        seen[int(line.split(b" ", 2)[1])] += 1
    return [i for i, n in enumerate(seen) if n == 0], sum(n - 1 for n in seen if n > 1)
