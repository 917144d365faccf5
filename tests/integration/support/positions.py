"""What a position file says, and which lines of what was written lie before it."""
import json
import os

BASIS, PRIME, MASK = 0xcbf29ce484222325, 0x100000001b3, (1 << 64) - 1
HEAD_BYTES = 1024


def fnv(content):
    value = BASIS
    for byte in content:
        value = ((value ^ byte) * PRIME) & MASK
    return value


class Position:
    """An entry of the file, read by docs/formats/file-positions.md."""

    def __init__(self, entry):
        words = entry["sluice"].split(" ", 9)
        self.inode, self.offset, self.path = entry["inode"], entry["pos"], entry["file"]
        self.head_bytes, self.head_hash = int(words[5]), int(words[6], 16)
        self.tail_bytes, self.tail_hash = int(words[8]), int(words[9].split(" ")[0], 16)


def read_positions(path):
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return [Position(entry) for entry in json.load(file)]


def numbers_in(content):
    """The first word of each whole line."""
    return [int(line.split(b" ")[0]) for line in content.split(b"\n")[:-1]]


class Life:
    """The bytes of a file from its beginning to its truncation; they only grow."""

    def __init__(self):
        self.content = bytearray()
        self.heads = {}

    def has(self, position):
        """The position is one of this life: its marks fit."""
        if len(self.content) < max(position.offset, position.head_bytes):
            return False
        head = bytes(self.content[:position.head_bytes])
        if self.heads.setdefault(position.head_bytes, fnv(head)) != position.head_hash:
            return False
        tail = bytes(self.content[position.offset - position.tail_bytes:position.offset])
        return fnv(tail) == position.tail_hash

    def numbers(self):
        return numbers_in(bytes(self.content))

    def before(self, position):
        return numbers_in(bytes(self.content[:position.offset]))


class Unsettled:
    """Lines that were delivered and stood behind no position when the agent was killed, kill by kill.

    No other line may come again, and none of these more often than it was one of them.
    """

    def __init__(self):
        self.kills = []

    def killed(self, delivered, settled):
        self.kills.append(set(delivered) - set(settled))

    def check(self, test, found):
        counts = {}
        for number in found:
            counts[number] = counts.get(number, 0) + 1
        wrong = [(number, count) for number, count in counts.items()
                 if count - 1 > sum(number in kill for kill in self.kills)]
        print("%d repeated, of %d that were unsettled at a kill" % (
            len(found) - len(counts), sum(len(kill) for kill in self.kills)))
        test.assertEqual(wrong[:10], [], "lines that were settled came again")
