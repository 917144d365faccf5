"""Flume's Avro RPC as bytes: Netty frames, handshakes, calls and answers; both directions, no sockets.

Written from the protocol alone and verified against the real Flume in tests/interop, so that what it makes may serve as
golden bytes. It shares no code with the agent.
"""
import collections
import hashlib
import struct

# What each Flume since 1.9 sends and hashes, to the letter.
PROTOCOL = (
    '{"protocol":"AvroSourceProtocol","namespace":"org.apache.flume.source.avro",'
    '"doc":"* Licensed to the Apache Software Foundation (ASF) under one\\n'
    ' * or more contributor license agreements.  See the NOTICE file\\n'
    ' * distributed with this work for additional information\\n * regarding copyright ownership.  The ASF lic'
    'enses this file\\n * to you under the Apache License, Version 2.0 (the\\n'
    ' * \\"License\\"); you may not use this file except in compliance\\n'
    ' * with the License.  You may obtain a copy of the License at\\n'
    ' *\\n * http://www.apache.org/licenses/LICENSE-2.0\\n *\\n * Unless required by applicable law or agreed to'
    ' in writing,\\n * software distributed under the License is distributed on an\\n'
    ' * \\"AS IS\\" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY\\n * KIND,'
    ' either express or implied.  See the License for the\\n * specific language governing permissions and lim'
    'itations\\n * under the License.","types":[{"type":"enum","name":"Status","symbols":["OK","FAILED",'
    '"UNKNOWN"]},{"type":"record","name":"AvroFlumeEvent","fields":[{"name":"headers","type":{"type":"map",'
    '"values":"string"}},{"name":"body","type":"bytes"}]}],"messages":{"append":{"request":[{"name":"event",'
    '"type":"AvroFlumeEvent"}],"response":"Status"},"appendBatch":{"request":[{"name":"events",'
    '"type":{"type":"array","items":"AvroFlumeEvent"}}],"response":"Status"}}}')


def hash_of(protocol):
    """What peers compare instead of texts."""
    return hashlib.md5(protocol.encode()).digest()


PROTOCOL_HASH = hash_of(PROTOCOL)

OK, FAILED, UNKNOWN = "OK", "FAILED", "UNKNOWN"
STATUSES = [OK, FAILED, UNKNOWN]
BOTH, CLIENT, NONE = "BOTH", "CLIENT", "NONE"
MATCHES = [BOTH, CLIENT, NONE]

Event = collections.namedtuple("Event", "headers body")  # {text: text}, bytes
HandshakeRequest = collections.namedtuple("HandshakeRequest", "client_hash client_text server_hash meta")
HandshakeAnswer = collections.namedtuple("HandshakeAnswer", "match server_text server_hash meta")
Frame = collections.namedtuple("Frame", "serial buffers")  # an int, a list of bytes


class WireError(Exception):
    """Bytes that are no Avro RPC."""


class RemoteError(Exception):
    """The error flag of an answer, with its text."""


# --- Frames ---------------------------------------------------------------------------------------


def frame(serial, *buffers):
    return struct.pack(">ii", serial, len(buffers)) + b"".join(struct.pack(">i", len(b)) + b for b in buffers)


def in_buffers(payload, size=8192):
    """As Java cuts a long payload."""
    return [payload[i:i + size] for i in range(0, len(payload), size)]


class FrameReader:
    """Cuts a stream into frames: feed() what came, then take() until there is None."""

    def __init__(self):
        self.bytes = bytearray()
        self.ends = []  # of the buffers of the frame at the front, as far as they are here

    def feed(self, part):
        self.bytes += part

    def take(self):
        if len(self.bytes) < 8:
            return None
        serial, count = struct.unpack_from(">ii", self.bytes)
        if count < 0:
            raise WireError("a frame of %d buffers" % count)
        while len(self.ends) < count:
            at = (self.ends[-1] if self.ends else 8) + 4
            if len(self.bytes) < at:
                return None
            size = struct.unpack_from(">i", self.bytes, at - 4)[0]
            if size < 0:
                raise WireError("a buffer of %d bytes" % size)
            if len(self.bytes) < at + size:
                return None
            self.ends.append(at + size)
        starts = [8] + self.ends
        buffers = [bytes(self.bytes[start + 4:end]) for start, end in zip(starts, self.ends)]
        del self.bytes[:starts[-1]]
        self.ends = []
        return Frame(serial, buffers)


# --- Avro's binary encoding -----------------------------------------------------------------------


def long(value):
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def octets(value):
    return long(len(value)) + value


def text(value):
    return octets(value.encode())


def array(items):
    """One block, as Java writes it; items are encoded."""
    return long(len(items)) + b"".join(items) + b"\0" if items else b"\0"


def text_map(values):
    return array([text(k) + text(v) for k, v in values.items()])


def octets_map(values):
    return array([text(k) + octets(v) for k, v in dict(values).items()])


def optional(value, encode):
    """A union of null and something."""
    return b"\0" if value is None else b"\2" + encode(value)


def event(value):
    return text_map(value.headers) + octets(value.body)


class Reader:
    def __init__(self, content):
        self.content = content
        self.at = 0

    def fixed(self, size):
        if size < 0 or self.at + size > len(self.content):
            raise WireError("%d bytes wanted at %d of %d" % (size, self.at, len(self.content)))
        self.at += size
        return bytes(self.content[self.at - size:self.at])

    def long(self):
        value = shift = 0
        while True:
            byte = self.fixed(1)[0]
            value |= (byte & 0x7f) << shift
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
            shift += 7
            if shift > 63:
                raise WireError("a number of more than ten bytes")

    def octets(self):
        return self.fixed(self.long())

    def text(self):
        return self.octets().decode()

    def one_of(self, names):
        index = self.long()
        if not 0 <= index < len(names):
            raise WireError("%d is none of %s" % (index, names))
        return names[index]

    def flag(self):
        byte = self.fixed(1)[0]
        if byte > 1:
            raise WireError("a flag of %d" % byte)
        return byte == 1

    def array(self, item):
        items = []
        while (count := self.long()) != 0:
            if count < 0:
                count = -count
                self.long()  # the block's size in bytes, for those who skip it
            items += [item() for _ in range(count)]
        return items

    def text_map(self):
        return dict(self.array(lambda: (self.text(), self.text())))

    def octets_map(self):
        return dict(self.array(lambda: (self.text(), self.octets())))

    def optional(self, item):
        return item() if self.one_of([False, True]) else None

    def event(self):
        return Event(self.text_map(), self.octets())

    def rest(self):
        return self.fixed(len(self.content) - self.at)

    def end(self):
        if self.at != len(self.content):
            raise WireError("%d bytes behind the end" % (len(self.content) - self.at))


# --- Handshakes -----------------------------------------------------------------------------------


def handshake_request(client_hash=PROTOCOL_HASH, client_text=None, server_hash=PROTOCOL_HASH, meta=()):
    """Java's has an empty map of metadata; None makes it none at all."""
    return client_hash + optional(client_text, text) + server_hash + optional(meta, octets_map)


def read_handshake_request(reader):
    return HandshakeRequest(reader.fixed(16), reader.optional(reader.text), reader.fixed(16),
                            reader.optional(reader.octets_map))


def handshake_answer(match=BOTH, server_text=None, server_hash=None, meta=None):
    return (long(MATCHES.index(match)) + optional(server_text, text) + optional(server_hash, bytes) +
            optional(meta, octets_map))


def read_handshake_answer(reader):
    return HandshakeAnswer(reader.one_of(MATCHES), reader.optional(reader.text),
                           reader.optional(lambda: reader.fixed(16)), reader.optional(reader.octets_map))


# --- Calls and answers ----------------------------------------------------------------------------


def call(message, parameters=b"", metadata=None, handshake=b""):
    """The buffers of a call as Java cuts them: what names it, then the parameters."""
    return [handshake + octets_map(metadata or {}) + text(message), *in_buffers(parameters)]


def append(value):
    return event(value)


def append_batch(values):
    return array([event(value) for value in values])


def read_parameters(message, parameters):
    """The events of a call."""
    reader = Reader(parameters)
    if message == "append":
        events = [reader.event()]
    elif message == "appendBatch":
        events = reader.array(reader.event)
    elif message == "":
        events = []
    else:
        raise WireError("No such remote message: " + message)
    reader.end()
    return events


def answer(status, metadata=None, handshake=b""):
    """The three buffers of an answer as Java sends them. `status` may be a RemoteError."""
    if isinstance(status, RemoteError):
        payload = b"\1\0" + text(str(status))
    else:
        payload = b"\0" + long(STATUSES.index(status))
    return [handshake, octets_map(metadata or {}), payload]


def read_answer(reader):
    """(metadata, a status or a RemoteError)."""
    metadata = reader.octets_map()
    if reader.flag():
        reader.one_of(["string"])
        status = RemoteError(reader.text())
    else:
        status = reader.one_of(STATUSES)
    reader.end()
    return metadata, status
