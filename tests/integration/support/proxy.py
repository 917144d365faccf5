"""A connection that misbehaves: a TCP proxy on this machine that cuts, delays, stalls and swallows."""
import socket
import struct
import threading

RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: close() sends a reset


class Proxy:
    """Passes connections on to the port that `target()` names at the time; None refuses them.

    Every setting holds for connections that stand, too. Thread-safe.
    """

    def __init__(self, target):
        self.target = target
        self.delay_s = 0.0           # every piece waits so long, in both directions
        self.refusing = False        # new connections are closed at once
        self.deaf = False            # what the target says is thrown away
        self.going = threading.Event()  # while not set, nothing moves
        self.going.set()
        self.closed = threading.Event()
        self.lock = threading.Lock()
        self.pairs = set()           # (client, server) of connections that stand
        self.accepted = 0
        self.heard_bytes = 0         # what targets said, passed on or not
        self.sent_bytes = 0          # what clients said
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    # Trouble

    def cut(self, reset=True):
        """Ends every connection: with a reset, or as if both sides had hung up."""
        with self.lock:
            pairs = list(self.pairs)
        for pair in pairs:
            self.end(pair, reset)

    def stall(self):
        self.going.clear()

    def heal(self):
        self.delay_s, self.refusing, self.deaf = 0.0, False, False
        self.going.set()

    def connections(self):
        with self.lock:
            return len(self.pairs)

    # Traffic

    def accept(self):
        while not self.closed.is_set():
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self.connect, args=(client,), daemon=True).start()

    def connect(self, client):
        port = None if self.refusing else self.target()
        try:
            if port is None:
                raise ConnectionRefusedError
            server = socket.create_connection(("127.0.0.1", port), timeout=10)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = (client, server)
        with self.lock:
            self.pairs.add(pair)
        back = threading.Thread(target=self.pump, args=(server, client, True), daemon=True)
        back.start()
        self.pump(client, server, False)
        back.join()
        with self.lock:
            self.pairs.discard(pair)
        for side in pair:
            side.close()

    def pump(self, source, sink, back):
        try:
            while not self.closed.is_set():
                part = source.recv(1 << 16)
                self.going.wait()
                if part and self.delay_s:
                    self.closed.wait(self.delay_s)
                if not part:
                    sink.shutdown(socket.SHUT_WR)
                    return
                if back:
                    self.heard_bytes += len(part)
                else:
                    self.sent_bytes += len(part)
                if not (back and self.deaf):
                    sink.sendall(part)
        except OSError:  # one side is gone, so the other goes, too
            self.end((source, sink), reset=True)

    @staticmethod
    def end(pair, reset):
        for side in pair:
            try:
                if reset:
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                side.shutdown(socket.SHUT_RDWR)  # wakes whoever reads or writes it
            except OSError:
                pass

    def close(self):
        self.closed.set()
        self.going.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.cut()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
