"""Flume's Avro RPC with every byte in the test's hand: names and values may be anything, also what no client would send."""
import socket
import struct

from . import avro_wire as wire
from .net import connect, read_exactly

FLUME_HASH = wire.PROTOCOL_HASH
GREETING = {b"sluice": b"1"}
BOTH = bytes(4)
OK = bytes(3)
FAILED = b"\0\0\2"
number, data = wire.long, wire.octets


def table(entries):
    """A map; a list of pairs, where a name may come twice."""
    return wire.array([data(name) + data(value) for name, value in (entries.items() if isinstance(entries, dict) else entries)])


def event(body, headers=()):
    return table(headers) + data(body)


def batch(bodies, headers=()):
    """Parameters of appendBatch."""
    return wire.array([event(body, headers) for body in bodies])


def call(parameters, message=b"appendBatch", metadata=()):
    """A call behind its handshake."""
    return table(metadata) + data(message) + parameters


def hello(client=FLUME_HASH, protocol=None, server=FLUME_HASH, meta=None):
    return (client + (b"\0" if protocol is None else b"\2" + data(protocol)) + server +
            (b"\0" if meta is None else b"\2" + table(meta)))


def frame(payload, serial=1, buffer_bytes=8192):
    return wire.frame(serial, *(wire.in_buffers(payload, buffer_bytes) or [b""]))


class RawAvroClient:
    """One connection to an avro source."""

    def __init__(self, port, meta=None, greet=True, timeout_s=10):
        self.socket = connect(port, timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.serial = 0
        if greet:
            answer = self.ask(hello(meta=meta) + call(b"", b""))
            if answer[:3] != BOTH[:3]:
                raise AssertionError("no handshake: %r" % answer[:60])

    def send(self, payload, **how):
        self.serial += 1
        self.socket.sendall(frame(payload, self.serial, **how))

    def answer(self):
        """(serial, payload)."""
        serial, buffers = struct.unpack(">II", read_exactly(self.socket, 8))
        payload = b"".join(read_exactly(self.socket, struct.unpack(">I", read_exactly(self.socket, 4))[0])
                           for _ in range(buffers))
        return serial, payload

    def ask(self, payload, **how):
        self.send(payload, **how)
        serial, answer = self.answer()
        if serial != self.serial:
            raise AssertionError("an answer to %d instead of %d" % (serial, self.serial))
        return answer

    def append(self, bodies, headers=(), **how):
        """The answer to a batch."""
        return self.ask(call(batch(bodies, headers)), **how)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
