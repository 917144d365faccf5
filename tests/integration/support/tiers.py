"""Chains of agents that are killed and started again, and files that are written and turned over."""
import json
import os
import re
import signal
import threading

from .agent import Agent, run_sluice
from .waiting import wait_until


class Tier:
    """One agent of a chain: its folder and its state outlive every process of it.

    In `config`, "{dir}" is the folder. The agent is called a1, its source r1, its channel c1.
    """

    def __init__(self, directory, name, config):
        self.name, self.config = name, config
        self.directory = os.path.join(directory, name)
        for folder in ("in", "out"):
            os.makedirs(os.path.join(self.directory, folder), exist_ok=True)
        self.agent = None
        self.starts = 0

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def start(self, environment=None):
        self.starts += 1
        agent = Agent(self.config, directory=self.directory, monitoring=True, environment=environment,
                      arguments=["-Dsluice.state.dir=" + self.path("state"), "-Dsluice.drain.ms=500"])
        agent.start()
        self.agent = agent  # other threads ask it for its port
        return self

    def running(self):
        return self.agent is not None and self.agent.running()

    def kill(self):
        """As if the machine's power were cut for this process alone."""
        self.agent.kill(signal.SIGKILL)
        self.agent.wait()

    def stop(self):
        self.agent.kill(signal.SIGCONT)
        code = self.agent.stop()
        if code != 0:
            raise AssertionError("%s ended with %d:\n%s" % (self.name, code, self.agent.log()[-4000:]))

    def freeze(self):
        self.agent.kill(signal.SIGSTOP)

    def thaw(self):
        self.agent.kill(signal.SIGCONT)

    def port(self):
        """Where it listens; None while it does not."""
        if not self.running():
            return None
        found = re.findall(r"source r1: listening on port (\d+)", self.agent.log())
        return int(found[-1]) if found else None

    def waiting(self):
        """Events in the channel, those that its sink has at hand among them."""
        wanted = ("sluice_channel_stored_events", "sluice_channel_in_flight_events")
        return int(sum(value for (name, labels), value in self.agent.samples().items()
                       if name in wanted and ("component", "c1") in labels))

    def accepted(self):
        """Events that the durable channel ever took; of a stopped agent as of a running one."""
        code, out, error = run_sluice("channel", "ls", "--json", "--store", self.path("state", "store"))
        if code != 0:
            raise AssertionError("channel ls: %d %s" % (code, error))
        rows = json.loads(out)
        rows = rows if isinstance(rows, list) else rows["channels"]
        return next(row["next"] for row in rows if row["channel"] == "c1")

    def end(self):
        """Leaves no process behind."""
        if self.running():
            self.agent.kill(signal.SIGCONT)
            self.kill()


class FileWriter(threading.Thread):
    """Appends numbered lines "NAME FILE LINE ..." to app.log, which it turns over now and then.

    Line feeds do not end every write: the last line of one is completed by the next.
    """

    def __init__(self, directory, name, lines_a_second, lines_a_file, width=80):
        super().__init__(daemon=True)
        self.directory, self.name_of_lines = directory, name
        self.lines_a_second, self.lines_a_file, self.width = lines_a_second, lines_a_file, width
        self.over = threading.Event()
        self.counts = [0]  # lines of each file

    def lines(self):
        return {(self.name_of_lines, file, line) for file, count in enumerate(self.counts)
                for line in range(count)}

    def total(self):
        return sum(self.counts)

    def run(self):
        path = os.path.join(self.directory, "app.log")
        at_once = max(self.lines_a_second // 100, 1)
        while not self.over.is_set():
            file, first = len(self.counts) - 1, self.counts[-1]
            text = "".join("%s %d %d %s\n" % (self.name_of_lines, file, first + i, "x" * self.width)
                           for i in range(at_once)).encode()
            cut = len(text) - self.width // 2
            with open(path, "ab", buffering=0) as log:
                log.write(text[:cut])
                log.write(text[cut:])
            self.counts[-1] += at_once
            if self.counts[-1] >= self.lines_a_file:
                os.rename(path, "%s.%d" % (path, file))
                self.counts.append(0)
            self.over.wait(at_once / self.lines_a_second)

    def finish(self):
        self.over.set()
        self.join()


class Lines:
    """What came out of a chain: lines of FileWriters, behind the text of their headers.

    The header `by` says which way a line came, `timestamp` with which batch, nearly.

    Of one content, or of several files: a kill may tear the last line of each, which is passed over.
    """

    PATTERN = re.compile(rb"(?:\{(.*?)\} )?(\w+) (\d+) (\d+) x+")

    def __init__(self, *contents):
        self.rows = []     # (way, (name, file, line)), in the order of arrival
        self.stamps = []   # of each row
        self.strange = []  # lines that nobody wrote so
        for content in contents:
            for row in content.split(b"\n")[:-1]:
                match = self.PATTERN.fullmatch(row)
                if match is None:
                    self.strange.append(row)
                    continue
                line = (match[2].decode(), int(match[3]), int(match[4]))
                headers = dict(pair.split("=") for pair in (match[1] or b"").decode().split(", ") if pair)
                self.rows.append((headers.get("by"), line))
                self.stamps.append(headers.get("timestamp"))

    def missing(self, wanted):
        return wanted - {line for _, line in self.rows}

    def doubled(self):
        return len(self.rows) - len({line for _, line in self.rows})

    def out_of_order(self, keys=None):
        """Lines that came behind a later one of the same file and the same key; without keys, the same way."""
        last, late = {}, []
        for key, (way, (name, file, line)) in zip(keys or [way for way, _ in self.rows], self.rows):
            place = (key, name, file)
            if line < last.get(place, -1):
                late.append((way, name, file, line))
            last[place] = max(line, last.get(place, -1))
        return late

    def out_of_order_in_batches(self):
        return self.out_of_order([(way, stamp) for (way, _), stamp in zip(self.rows, self.stamps)])


def wait_for_ports(tiers, deadline_s=20):
    wait_until(lambda: all(tier.port() for tier in tiers),
               lambda: "they listen: %s" % [(tier.name, tier.port()) for tier in tiers], deadline_s)
