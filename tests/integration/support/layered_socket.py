"""A socket under TLS, deflate, both or neither, in either of the two orders in which Flume versions put them.

Flume 1.10 and 1.11 deflate what TLS made (DEFLATE_OUTSIDE); Flume 1.9 encrypts what deflate made (TLS_OUTSIDE). One thread
may send while another receives.
"""
import collections
import socket
import ssl
import struct
import threading
import zlib

DEFLATE_OUTSIDE, TLS_OUTSIDE = "deflate outside", "TLS outside"

# tls: an ssl.SSLContext or None. The host name is verified if the context says so.
Layers = collections.namedtuple("Layers", "tls deflate level order", defaults=[None, False, 6, DEFLATE_OUTSIDE])
PLAIN = Layers()


def layered(connection, layers, server_side):
    """A stream over a connected socket. With TLS the handshake happens with the first send() or receive()."""
    stream = Plain(connection)
    around = [(layers.tls, lambda below: Tls(below, layers.tls, server_side)),
              (layers.deflate, lambda below: Deflated(below, layers.level))]
    if layers.order == DEFLATE_OUTSIDE:
        around.reverse()
    for wanted, put_around in around:
        if wanted:
            stream = put_around(stream)
    return stream


class Plain:
    def __init__(self, connection):
        self.socket = connection

    def send(self, part):
        self.socket.sendall(part)

    def receive(self):
        """What came, at least a byte; b"" at the end."""
        return self.socket.recv(1 << 16)

    def finish(self):
        """Ends our direction in order; the other side may go on."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        # A thread that is in recv() returns only by this.
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def cut(self):
        """As when a process is killed: the other side is reset."""
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        try:
            self.socket.shutdown(socket.SHUT_RD)
        except OSError:
            pass
        self.socket.close()


class Over:
    """A layer over a stream."""

    def __init__(self, below):
        self.below = below

    def close(self):
        self.below.close()

    def cut(self):
        self.below.cut()


class Deflated(Over):
    """One zlib stream a direction for the life of the connection, flushed with each send()."""

    def __init__(self, below, level):
        super().__init__(below)
        self.deflater = zlib.compressobj(level)
        self.inflater = zlib.decompressobj()

    def send(self, part):
        self.below.send(self.deflater.compress(part) + self.deflater.flush(zlib.Z_SYNC_FLUSH))

    def receive(self):
        while not self.inflater.eof:
            part = self.below.receive()
            if not part:
                break
            plain = self.inflater.decompress(part)
            if plain:
                return plain
        return b""

    def finish(self):
        self.below.send(self.deflater.flush(zlib.Z_FINISH))
        self.below.finish()


class Tls(Over):
    def __init__(self, below, context, server_side):
        super().__init__(below)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing, server_side=server_side)
        self.shaken = False
        self.state = threading.Lock()   # of the TLS object; never held while a socket waits
        self.sending = threading.Lock()  # keeps records in order; taken before `state`

    def step(self, action):
        """(done, what action() returned); what it made goes out."""
        with self.sending:
            with self.state:
                try:
                    done, value = True, action()
                except ssl.SSLWantReadError:
                    done, value = False, None
                out = self.outgoing.read()
            if out:
                self.below.send(out)
        return done, value

    def take_in(self):
        part = self.below.receive()
        with self.state:
            if part:
                self.incoming.write(part)
            else:
                self.incoming.write_eof()

    def shake_hands(self):
        while not self.shaken:
            self.shaken = self.step(self.object.do_handshake)[0]
            if not self.shaken:
                self.take_in()

    def send(self, part):
        self.shake_hands()
        self.step(lambda: self.object.write(part))

    def receive(self):
        self.shake_hands()
        while True:
            try:
                with self.state:
                    return self.object.read(1 << 16)
            except ssl.SSLWantReadError:
                self.take_in()
            except ssl.SSLZeroReturnError:
                return b""

    def finish(self):
        def say_goodbye():
            try:
                self.object.unwrap()  # sends close_notify, then wants the other's
            except ssl.SSLWantReadError:
                pass
        self.shake_hands()
        self.step(say_goodbye)
        self.below.finish()
