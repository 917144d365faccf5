"""What tests of the microbatch sink share: its configuration, and reading what it writes."""
import os
import re

BLOCK = re.compile(r"-{43}\nTime: (\d+) ms\n-{43}\n((?:.+\n)*)\n")


def microbatch(steps, outputs, interval="200ms"):
    """The sink, as lines "key = value" without a prefix."""
    return "type = microbatch\nbatchInterval = %s\n%s%s" % (interval, steps, outputs)


def parse_blocks(text):
    """Of what was printed in the style of Scala: [(time, [row])]; no row may be empty, or the block ends there."""
    return [(int(time), rows.splitlines()) for time, rows in BLOCK.findall(text)]


def read_batches(folder):
    """What an output of files wrote: {time: [row]}, in order of time."""
    found = {}
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        if not name.endswith(".tmp"):
            with open(os.path.join(folder, name), encoding="utf-8", newline="\n") as file:
                found[int(name.rsplit("-", 1)[1])] = file.read().split("\n")[:-1]
    return dict(sorted(found.items()))
