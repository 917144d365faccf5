"""A running agent in a folder of its own, and what a test asks it."""
import contextlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import uuid

from .processes import command_line, processes_with, takes_signal
from .waiting import wait_until

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), *[".."] * 3))
BIN = os.environ.get("SLUICE_BIN", os.path.join(ROOT, "build/release/bin/sluice"))
SHARED = os.environ.get("SLUICE_SHARED", os.path.join(ROOT, "../shared"))
MARK = "SLUICE_TEST_MARK"
CONSOLE = "-Dflume.root.logger=INFO,console"
MONITORING = ("-Dflume.monitoring.type=http", "-Dflume.monitoring.port=0")


def run_sluice(*arguments, directory=None, environment=None, deadline_s=20, user=None):
    """A command that ends by itself: (exit status, stdout, stderr)."""
    done = subprocess.run([BIN, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, cwd=directory, timeout=deadline_s,
                          user=user, env={**os.environ, **(environment or {})})
    return tuple([done.returncode] + [s.decode(errors="replace") for s in (done.stdout, done.stderr)])


def drawn_seed():
    """SLUICE_SEED, to see a failure again; else 1, or with SLUICE_SOAK=1 another one each time."""
    wanted = os.environ.get("SLUICE_SEED")
    return int(wanted) if wanted else random.randrange(1 << 30) if os.environ.get("SLUICE_SOAK") == "1" else 1


def fail_points(*families):
    """The names that SLUICE_KILL_AT takes, of these families: those of "channel" are met by every channel on disk, of
    "transaction" by a Kafka sink, of "bucket" by sinks of files, of "batch" by a microbatch sink."""
    channel = ("commit-", "take-", "recovery-")
    wanted = sum((channel if family == "channel" else (family + "-",) for family in families), ())
    with open(os.path.join(ROOT, "core/base/fail_point.cc")) as file:
        return [name for name in re.findall(r'return "([a-z-]+)";', file.read()) if name.startswith(wanted)]


class Agent:
    """Starts the agent on entry; on exit stops it if the test did not, and checks that nothing is left.

    `config` is the text of the configuration; "{dir}" in it is the folder. `command` replaces the
    whole command line (a list, or text for bash), with the folder as current directory; "{bin}" in it
    is the folder of the binary.
    """

    def __init__(self, config="", name="a1", arguments=(), file_name="test.conf", environment=None,
                 command=None, directory=None, monitoring=False, prepare=None, folders=()):
        self.mark = uuid.uuid4().hex
        self.own_directory = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="sluice-test-")
        self.config = os.path.join(self.directory, file_name)
        for folder in folders:
            os.mkdir(self.path(folder))
        with open(self.config, "w") as file:
            file.write(config.replace("{dir}", self.directory))
        self.log_path = os.path.join(self.directory, "stderr-%s.log" % self.mark[:6])
        self.command = command or [
            BIN, "agent", "--name", name, "--conf", self.directory, "--conf-file", self.config,
            CONSOLE, *(MONITORING if monitoring else ()), *arguments]
        self.environment = {**os.environ, MARK: self.mark, **(environment or {})}
        self.prepare = prepare
        self.process = None

    # Life

    def __enter__(self):
        self.start()
        return self

    def start(self):
        binaries = os.path.dirname(BIN)
        command = self.command
        if isinstance(command, str):
            command = ["bash", "-c", command.replace("{bin}", binaries)]
        with open(self.log_path, "ab") as log, open(self.path("stdout"), "ab") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                                            cwd=self.directory, env=self.environment,
                                            start_new_session=True, preexec_fn=self.prepare)

    def __exit__(self, kind, error, trace):
        try:
            if self.process.poll() is None:
                self.kill(signal.SIGKILL if kind else signal.SIGTERM)
                try:
                    self.wait(20)
                except subprocess.TimeoutExpired:
                    self.kill(signal.SIGKILL)
                    self.process.wait()
                    if kind is None:
                        raise
            self.wait_for_no_process()
        finally:
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)
            if kind is not None:
                print("---- the agent said:\n%s----" % self.log()[-6000:])
            if self.own_directory:
                shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process.poll() is None

    def kill(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, deadline_s=15):
        """The exit status, once it has ended."""
        return self.process.wait(timeout=deadline_s)

    def stop(self, number=signal.SIGTERM, deadline_s=15):
        if isinstance(self.command, list):
            # What a test waited for may have been there before this process was: a signal would
            # meet it in the loader, and end it like any program.
            wait_until(lambda: not self.running() or takes_signal(self.pid, number),
                       "the agent looks for signals", deadline_s)
        self.kill(number)
        return self.wait(deadline_s)

    def processes(self):
        """Ids of the agent and all that it started."""
        return processes_with(MARK, self.mark)

    def wait_for_no_process(self, deadline_s=5):
        wait_until(lambda: not self.processes(),
                   lambda: "no process is left: %s" % [command_line(p) for p in self.processes()],
                   deadline_s)

    # Files and the log

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def log(self):
        with open(self.log_path, "rb") as file:
            return file.read().decode(errors="replace")

    def wait_for_log(self, pattern, deadline_s=10, count=1):
        """The count-th match of the pattern in what the agent said on stderr."""
        def found():
            matches = list(re.finditer(pattern, self.log(), re.MULTILINE))
            if len(matches) >= count:
                return matches[count - 1]
            if not self.running():
                matches = list(re.finditer(pattern, self.log(), re.MULTILINE))
                if len(matches) >= count:
                    return matches[count - 1]
                raise AssertionError("the agent ended (%s) without %r:\n%s" %
                                     (self.process.returncode, pattern, self.log()[-4000:]))
            return None
        return wait_until(found, lambda: "%r in the log:\n%s" % (pattern, self.log()[-4000:]),
                          deadline_s)

    def port(self, source="r1", count=1, deadline_s=10):
        return int(self.wait_for_log(r"source %s: listening on port (\d+)" % re.escape(source),
                                     deadline_s, count)[1])

    def wait_until_running(self, deadline_s=10):
        self.wait_for_log(r"agent \S+ is running", deadline_s)

    # Monitoring

    MONITORING_PORT = r"monitoring: http on port (\d+)"

    def http(self, path):
        """(status, body) of a GET on the monitoring port."""
        port = int(self.wait_for_log(self.MONITORING_PORT)[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def metrics(self):
        """Flume's JSON: {"SOURCE.r1": {...}}."""
        return json.loads(self.http("/metrics")[1])

    def samples(self):
        """Prometheus text: {(name, ((label, value), ...)): number}."""
        return parse_samples(self.http("/prometheus")[1])

    def sample(self, name, **labels):
        """The sum of the samples of that name that have these labels."""
        return sum(value for (n, have), value in self.samples().items()
                   if n == name and set(labels.items()) <= set(have))


def parse_samples(text):
    samples = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if match is None:
            raise AssertionError("not a line of Prometheus text: %r" % line)
        labels = tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or "")))
        samples[match[1], labels] = float(match[3])
    return samples


def roll_files(directory):
    """What a file_roll sink wrote: the bytes of each of its files, in their order.

    Behind a channel on disk the ends of files that were being written when an agent died are cut off, and files removed
    that have nothing else in them, when the next one starts.
    """
    def number(name):
        return [int(part) if part.isdigit() else 0 for part in re.split(r"[-.]", name)]
    contents = []
    for name in sorted(os.listdir(directory), key=number):
        with contextlib.suppress(FileNotFoundError), open(os.path.join(directory, name), "rb") as file:
            contents.append(file.read())
    return contents


def roll_content(directory):
    """All bytes that a file_roll sink wrote, in the order of its files."""
    return b"".join(roll_files(directory))


def roll_numbers(directory):
    """The first word of each whole line of a file_roll sink; a kill tears the last line of a file."""
    numbers = []
    for name in os.listdir(directory):
        with open(os.path.join(directory, name), "rb") as file:
            numbers += [int(line.split(b" ")[0]) for line in file.read().split(b"\n")[:-1]]
    return numbers


def roll_bytes(directory):
    return sum(os.path.getsize(os.path.join(directory, name)) for name in os.listdir(directory))


def flow(source, sink, channel="capacity = 1000", agent="a1", suffix="1"):
    """Properties of one pipeline r1 -> c1 -> k1; the values are lines "key = value" without a prefix."""
    r, c, k = ("%s%s" % (letter, suffix) for letter in "rck")

    def lines(prefix, text):
        return "".join("%s.%s\n" % (prefix, line.strip()) for line in text.splitlines() if line.strip())
    return ("%s%s%s" % (lines("%s.sources.%s" % (agent, r), source + "\nchannels = " + c),
                        lines("%s.channels.%s" % (agent, c), "type = memory\n" + channel),
                        lines("%s.sinks.%s" % (agent, k), sink + "\nchannel = " + c)))


def lists(*suffixes, agent="a1"):
    return "".join("%s.%s = %s\n" % (agent, kind, " ".join(letter + s for s in suffixes))
                   for kind, letter in (("sources", "r"), ("channels", "c"), ("sinks", "k")))


def file_roll(folder="out"):
    return "type = file_roll\nsink.directory = {dir}/%s\nsink.rollInterval = 0\n" % folder


NETCAT = "type = netcat\nbind = 127.0.0.1\nport = 0\n"


def pipeline(source=NETCAT, sink="type = null", channel="capacity = 1000\ntransactionCapacity = 100"):
    return lists("1") + flow(source, sink, channel)
