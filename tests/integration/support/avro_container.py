"""Avro container files, read by the book: for tests, without a library."""
import io
import json
import zlib

SYNC_BYTES = 16
EVENT_SCHEMA = {"type": "record", "name": "Event",
                "fields": [{"name": "headers", "type": {"type": "map", "values": "string"}},
                           {"name": "body", "type": "bytes"}]}


class Container:
    """schema (as read from JSON), codec, sync and blocks: (how many datums, their bytes) of each."""

    def __init__(self, content):
        stream = io.BytesIO(content)
        assert stream.read(4) == b"Obj\x01", "no Avro file"
        metadata = read_map(stream)
        self.metadata = list(metadata)
        self.schema = json.loads(metadata[b"avro.schema"])
        self.codec = metadata.get(b"avro.codec", b"null").decode()
        self.sync = stream.read(SYNC_BYTES)
        self.blocks = []
        while stream.tell() < len(content):
            datums, data = read_long(stream), read_bytes(stream)
            assert stream.read(SYNC_BYTES) == self.sync, "no sync marker behind a block"
            self.blocks.append((datums, zlib.decompress(data, -15) if self.codec == "deflate" else data))

    def data(self):
        return b"".join(data for _, data in self.blocks)

    def events(self):
        """(headers, body) of each record of avro_event."""
        events = []
        for datums, data in self.blocks:
            stream = io.BytesIO(data)
            events += [(read_map(stream), read_bytes(stream)) for _ in range(datums)]
            assert stream.tell() == len(data), "a block has bytes behind its records"
        return events


def read_long(stream):
    number = shift = 0
    while True:
        byte = stream.read(1)[0]
        number |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1)


def read_bytes(stream):
    length = read_long(stream)
    content = stream.read(length)
    assert len(content) == length, "cut off"
    return content


def read_map(stream):
    entries = {}
    while count := read_long(stream):
        if count < 0:
            read_long(stream)
        for _ in range(abs(count)):
            name = read_bytes(stream)
            entries[name] = read_bytes(stream)
    return entries
