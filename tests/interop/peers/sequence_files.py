"""A reader of block-compressed SequenceFiles for the codec that the Hadoop of Maven lacks; written from the format's description."""
import subprocess

from .hadoop import Record


class Bytes:
    """What is left of some bytes."""

    def __init__(self, content):
        self.content = content
        self.at = 0

    def take(self, count):
        self.at += count
        if self.at > len(self.content):
            raise EOFError("a torn file")
        return self.content[self.at - count:self.at]

    def vint(self):
        first = int.from_bytes(self.take(1), "big", signed=True)
        if first >= -112:
            return first
        value = int.from_bytes(self.take(-(first + 112) if first >= -120 else -(first + 120)), "big")
        return value if first >= -120 else ~value

    def text(self):
        return self.take(self.vint())

    def more(self):
        return self.at < len(self.content)


def read_blocks(path):
    """The Records of a file of zstd."""
    with open(path, "rb") as file:
        rest = Bytes(file.read())
    if rest.take(4) != b"SEQ\x06" or rest.text() != b"org.apache.hadoop.io.LongWritable":
        raise ValueError("not a SequenceFile of ours")
    value_class = rest.text()
    if rest.take(2) != b"\1\1" or rest.text() != b"org.apache.hadoop.io.compress.ZStandardCodec" or rest.take(4) != bytes(4):
        raise ValueError("not one that is compressed by blocks, with zstd, and without metadata")
    sync = rest.take(16)
    records = []
    while rest.more():
        if rest.take(20) != b"\xff\xff\xff\xff" + sync:
            raise ValueError("no marker in front of a block")
        count = rest.vint()
        key_lengths, keys, value_lengths, values = (Bytes(unpack(rest.text())) for _ in range(4))
        for _ in range(count):
            key = int.from_bytes(keys.take(key_lengths.vint()), "big")
            records.append(Record(key, body(values.take(value_lengths.vint()), value_class)))
    return records


def body(value, value_class):
    rest = Bytes(value)
    length = rest.vint() if value_class.endswith(b".Text") else int.from_bytes(rest.take(4), "big")
    content = rest.take(length)
    if rest.more():
        raise ValueError("a value with more than its length")
    return content


def unpack(content):
    return subprocess.run(["zstd", "-dcq"], input=content, stdout=subprocess.PIPE, check=True).stdout
