#!/usr/bin/env python3
# test: timeout=240
"""What articles on Flume and Spark Streaming show, as our agent does it: their word counts, hot words, access logs."""
import collections
import contextlib
import json
import os
import re
import subprocess
import tempfile
import time
import unicodedata
import unittest

from support.agent import NETCAT, SHARED, Agent, pipeline, roll_content
from support.microbatch import microbatch, parse_blocks, read_batches
from support.net import Speaker, connect, send_and_read
from support.waiting import wait_until

DATA = os.path.join(SHARED, "data")  # not in the repository
WORDS = """
steps = words count
steps.words.type = split
steps.words.on = space
steps.count.type = aggregate
steps.count.by = word
steps.count.agg.n = count()
"""
PRINT = "outputs = out\noutputs.out.type = print\noutputs.out.num = 0\n"
EMPTY = re.compile(r"-{43}\nTime: (\d+) ms\n-{43}\n\n")

# The port of the article is 9999; all else is as it is printed there.
WORD_COUNT = ("""\
a1.sources = r1
a1.channels = c1
a1.sinks = mb
a1.sources.r1.type = netcat
a1.sources.r1.bind = localhost
a1.sources.r1.port = 0
a1.sources.r1.channels = c1
a1.channels.c1.type = memory
a1.channels.c1.capacity = 1000
a1.channels.c1.transactionCapacity = 100
a1.sinks.mb.type = microbatch
a1.sinks.mb.channel = c1
a1.sinks.mb.batchInterval = 2s
a1.sinks.mb.steps = words count
a1.sinks.mb.steps.words.type = split
a1.sinks.mb.steps.words.on = space
a1.sinks.mb.steps.words.as = word
a1.sinks.mb.steps.count.type = aggregate
a1.sinks.mb.steps.count.by = word
a1.sinks.mb.steps.count.agg.n = count()
a1.sinks.mb.outputs = out
a1.sinks.mb.outputs.out.type = print
a1.sinks.mb.outputs.out.style = scala
a1.sinks.mb.outputs.out.num = 10
""", """\
a1:
  sources:  { r1: { type: netcat, bind: localhost, port: 0, channels: [c1] } }
  channels: { c1: { type: memory, capacity: 1000, transactionCapacity: 100 } }
  sinks:
    mb:
      type: microbatch
      channel: c1
      batchInterval: 2s
      steps:
        - { name: words, type: split, on: space, as: word }
        - { name: count, type: aggregate, by: [word], agg: { n: count() } }
      outputs:
        - { name: out, type: print, style: scala, num: 10 }
""")

# Paths are other ones; `initial` is what the example of Spark begins with.
RUNNING_COUNT = ("""\
a1.sources = r1
a1.channels = c1
a1.sinks = mb
a1.sources.r1.type = taildir
a1.sources.r1.filegroups = f1
a1.sources.r1.filegroups.f1 = {dir}/data.log
a1.sources.r1.channels = c1
a1.channels.c1.type = rocksdb
a1.channels.c1.dir = {dir}/c1
a1.sinks.mb.type = microbatch
a1.sinks.mb.channel = c1
a1.sinks.mb.batchInterval = 1s
a1.sinks.mb.checkpoint.dir = {dir}/mb
a1.sinks.mb.steps = words count total
a1.sinks.mb.steps.words.type = split
a1.sinks.mb.steps.words.on = space
a1.sinks.mb.steps.words.as = word
a1.sinks.mb.steps.count.type = aggregate
a1.sinks.mb.steps.count.by = word
a1.sinks.mb.steps.count.agg.n = count()
a1.sinks.mb.steps.total.type = state
a1.sinks.mb.steps.total.mode = running
a1.sinks.mb.steps.total.merge.n = sum
a1.sinks.mb.steps.total.initial = {dir}/initial.csv
a1.sinks.mb.steps.total.timeout = 0
a1.sinks.mb.outputs = out
a1.sinks.mb.outputs.out.type = print
""", """\
a1:
  sources:
    r1: { type: taildir, filegroups: [f1], filegroups.f1: "{dir}/data.log", channels: [c1] }
  channels: { c1: { type: rocksdb, dir: "{dir}/c1" } }
  sinks:
    mb:
      type: microbatch
      channel: c1
      batchInterval: 1s
      checkpoint: { dir: "{dir}/mb" }
      steps:
        - { name: words, type: split, on: space, as: word }
        - { name: count, type: aggregate, by: [word], agg: { n: count() } }
        - { name: total, type: state, mode: running, merge: { n: sum }, initial: "{dir}/initial.csv", timeout: 0 }
      outputs:
        - { name: out, type: print }
""")

# Without a broker, so from a netcat source instead of Kafka, and without the output `view`, which is not built yet.
HOT_WORDS = ("""\
a1.sources = r1
a1.channels = c1
a1.sinks = mb
a1.sources.r1.type = netcat
a1.sources.r1.bind = localhost
a1.sources.r1.port = 0
a1.sources.r1.channels = c1
a1.channels.c1.type = memory
a1.channels.c1.capacity = 100000
a1.sinks.mb.type = microbatch
a1.sinks.mb.channel = c1
a1.sinks.mb.batchInterval = 10s
a1.sinks.mb.steps = p w count hot
a1.sinks.mb.steps.p.type = parse
a1.sinks.mb.steps.p.format = tsv
a1.sinks.mb.steps.p.fields = time user word
a1.sinks.mb.steps.w.type = window
a1.sinks.mb.steps.w.length = 30s
a1.sinks.mb.steps.w.slide = 10s
a1.sinks.mb.steps.count.type = aggregate
a1.sinks.mb.steps.count.by = word
a1.sinks.mb.steps.count.agg.n = count()
a1.sinks.mb.steps.hot.type = top
a1.sinks.mb.steps.hot.n = 10
a1.sinks.mb.steps.hot.order = -n word
a1.sinks.mb.outputs = out
a1.sinks.mb.outputs.out.type = print
""", """\
a1:
  sources:  { r1: { type: netcat, bind: localhost, port: 0, channels: [c1] } }
  channels: { c1: { type: memory, capacity: 100000 } }
  sinks:
    mb:
      type: microbatch
      channel: c1
      batchInterval: 10s
      steps:
        - { name: p, type: parse, format: tsv, fields: [time, user, word] }
        - { name: w, type: window, length: 30s, slide: 10s }
        - { name: count, type: aggregate, by: [word], agg: { n: count() } }
        - { name: hot, type: top, n: 10, order: [-n, word] }
      outputs:
        - { name: out, type: print }
""")

# Without the steps `lookup` of clients and regions, and without the output `view`, which are not built yet: by course
# only. The file and the folders are other ones.
ACCESS_LOG = ("""\
a1.sources = r1
a1.channels = c1 results
a1.sinks = mb store
a1.sources.r1.type = exec
a1.sources.r1.command = tail -n +1 -F {dir}/access.log
a1.sources.r1.channels = c1
a1.channels.c1.type = rocksdb
a1.channels.c1.dir = {dir}/c1
a1.channels.results.type = memory
a1.sinks.mb.type = microbatch
a1.sinks.mb.channel = c1
a1.sinks.mb.batchInterval = 10s
a1.sinks.mb.checkpoint.dir = {dir}/mb
a1.sinks.mb.steps = p course w bycourse bystatus
a1.sinks.mb.steps.p.type = parse
a1.sinks.mb.steps.p.format = combined
a1.sinks.mb.steps.p.extra = latency:double
a1.sinks.mb.steps.course.type = map
a1.sinks.mb.steps.course.set.course = pathint(path, "/course/")
a1.sinks.mb.steps.w.type = window
a1.sinks.mb.steps.w.time = event
a1.sinks.mb.steps.w.timestamp = time
a1.sinks.mb.steps.w.length = 1m
a1.sinks.mb.steps.w.slide = 1m
a1.sinks.mb.steps.w.delay = 10s
a1.sinks.mb.steps.w.late = update
a1.sinks.mb.steps.bycourse.type = aggregate
a1.sinks.mb.steps.bycourse.input = w
a1.sinks.mb.steps.bycourse.by = course
a1.sinks.mb.steps.bycourse.agg.n = count()
a1.sinks.mb.steps.bycourse.agg.visitors = distinct(ip)
a1.sinks.mb.steps.bystatus.type = aggregate
a1.sinks.mb.steps.bystatus.input = w
a1.sinks.mb.steps.bystatus.by = status
a1.sinks.mb.steps.bystatus.agg.n = count()
a1.sinks.mb.steps.bystatus.agg.p50 = quantile(latency, 0.5)
a1.sinks.mb.steps.bystatus.agg.p99 = quantile(latency, 0.99)
a1.sinks.mb.outputs = chan
a1.sinks.mb.outputs.chan.type = channel
a1.sinks.mb.outputs.chan.channel = results
a1.sinks.mb.outputs.chan.format = json
a1.sinks.store.type = file_roll
a1.sinks.store.channel = results
a1.sinks.store.sink.directory = {dir}/results
""", """\
a1:
  sources: { r1: { type: exec, command: "tail -n +1 -F {dir}/access.log", channels: [c1] } }
  channels: { c1: { type: rocksdb, dir: "{dir}/c1" }, results: { type: memory } }
  sinks:
    mb:
      type: microbatch
      channel: c1
      batchInterval: 10s
      checkpoint: { dir: "{dir}/mb" }
      steps:
        - { name: p, type: parse, format: combined, extra: { latency: double } }
        - { name: course, type: map, set: { course: 'pathint(path, "/course/")' } }
        - { name: w, type: window, time: event, timestamp: time, length: 1m, slide: 1m, delay: 10s, late: update }
        - { name: bycourse, type: aggregate, input: w, by: [course], agg: { n: count(), visitors: distinct(ip) } }
        - { name: bystatus, type: aggregate, input: w, by: [status], agg: { n: count(), p50: "quantile(latency, 0.5)", p99: "quantile(latency, 0.99)" } }
      outputs:
        - { name: chan, type: channel, channel: results, format: json }
    store: { type: file_roll, channel: results, sink.directory: "{dir}/results" }
""")


def stdout(agent):
    with open(agent.path("stdout"), encoding="utf-8") as file:
        return file.read()


def write(agent_or_folder, name, text):
    folder = getattr(agent_or_folder, "directory", agent_or_folder)
    with open(os.path.join(folder, name), "a", encoding="utf-8") as file:
        file.write(text)


def rows_of(agent):
    """Of each batch that was printed."""
    return [rows for _, rows in parse_blocks(stdout(agent))]


def counted(agent):
    """{word: count} of all batches."""
    total = collections.Counter()
    for word, count in (row[1:-1].rsplit(",", 1) for rows in rows_of(agent) for row in rows):
        total[word] += int(count)
    return total


class Configurations(unittest.TestCase):
    """Each as properties and as YAML, side by side."""

    def both(self, texts, prepare=lambda folder: None):
        """The two agents, each in a folder that was prepared."""
        stack = self.enterContext(contextlib.ExitStack())
        agents = []
        for text, name in zip(texts, ("test.conf", "test.yaml")):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-test-"))
            prepare(folder)
            agents.append(stack.enter_context(Agent(text, file_name=name, directory=folder,
                                                    arguments=["-Dsluice.state.dir=%s/state" % folder])))
        return agents

    def test_word_count_every_two_seconds(self):
        agents = self.both(WORD_COUNT)
        for agent in agents:
            send_and_read(agent.port(), b"hello world\n")
        for agent in agents:
            # It may have come before the end of a batch that nobody sees begin.
            wait_until(lambda: "(hello,1)" in stdout(agent) and stdout(agent).endswith("\n\n"), lambda: stdout(agent), 20)
            (at, rows), = [block for block in parse_blocks(stdout(agent)) if block[1]]
            self.assertEqual(rows, ["(hello,1)", "(world,1)"])
            self.assertEqual(at % 2000, 0)
            wait_until(lambda: len(EMPTY.findall(stdout(agent))) >= 1, "a block of an empty batch", 20)

    def test_running_count_goes_on_behind_a_restart(self):
        def prepare(folder):
            write(folder, "initial.csv", "hello,1\nworld,1\n")
            write(folder, "data.log", "hello again\n")
        agents = self.both(RUNNING_COUNT, prepare)
        wanted = ["(hello,2)", "(world,1)", "(again,1)"]
        for agent in agents:
            # All keys in every batch, also in one that is empty.
            wait_until(lambda: rows_of(agent).count(wanted) >= 2, lambda: stdout(agent), 20)
            self.assertEqual(agent.stop(), 0)
            write(agent, "data.log", "again and again\n")
            before = len(rows_of(agent))
            agent.start()
            more = ["(again,3)", "(and,1)", "(hello,2)", "(world,1)"]
            wait_until(lambda: more in map(sorted, rows_of(agent)[before:]), lambda: stdout(agent), 20)

    SEARCHES = "".join("08:00:%02d\tuser%d\tword %02d\n" % (i % 60, i, word) for word in range(12) for i in range(word + 1)).encode()

    def test_hot_words_as_printed(self):
        """All of the first window, which the stop ends."""
        for agent in self.both(HOT_WORDS):
            send_and_read(agent.port(), self.SEARCHES + b"not a record\n")
            self.assertEqual(agent.stop(), 0)
            self.assertEqual(rows_of(agent)[-1], ["(word %02d,%d)" % (word, word + 1) for word in range(11, 1, -1)])

    def test_hot_words_leave_their_window(self):
        """With a tenth of the times; a word is hot for three batches."""
        text = HOT_WORDS[0].replace("10s", "1s").replace("30s", "3s")
        with Agent(text) as agent:
            send_and_read(agent.port(), b"1\tu\tsluice\n1\tu\tflume\n2\tu\tsluice\n")
            wait_until(lambda: any(rows_of(agent)) and rows_of(agent)[-1] == [],
                       lambda: stdout(agent), 20)
            blocks = [(at, rows) for at, rows in parse_blocks(stdout(agent)) if rows]
            self.assertEqual([rows for _, rows in blocks], [["(sluice,2)", "(flume,1)"]] * len(blocks))
            self.assertEqual({at % 1000 for at, _ in blocks}, {0})
            self.assertEqual(blocks[-1][0] - blocks[0][0], 2000)

    # Minutes behind an hour, ip, path, status, latency.
    REQUESTS = ((0, "10.0.0.1", "/course/7/a.html?x=1", 200, 0.1), (0.5, "10.0.0.2", "/course/7/", 200, 0.3),
                (0.1, "10.0.0.1", "/course/12/b", 404, 2.5), (0.9, "10.0.0.1", "/course/7/c", 200, 0.2),
                (1.5, "10.0.0.3", "/index.html", 200, 0.5), (0.8, "10.0.0.9", "/course/12/", 200, 0.4),
                (2.5, "10.0.0.3", "/course/1/", 200, 1))

    def test_access_log_by_course_and_status(self):
        def prepare(folder):
            os.mkdir(os.path.join(folder, "results"))
            for minutes, ip, path, status, latency in self.REQUESTS:
                write(folder, "access.log", '%s - - [22/Nov/2025:10:%02d:%02d +0800] "GET %s HTTP/1.1" %d 512 "-" "curl/8" %g\n' % (
                    ip, minutes, minutes % 1 * 60, path, status, latency))
            write(folder, "access.log", "no record\n")
        hour = 1_763_776_800_000  # 10:00 in China
        first, second = ({"window_start": hour + m * 60_000, "window_end": hour + (m + 1) * 60_000} for m in (0, 1))
        for agent in self.both(ACCESS_LOG, prepare):
            wait_until(lambda: roll_content(agent.path("results")).count(b"\n") >= 6, "the results", 30)
            rows = [json.loads(row) for row in roll_content(agent.path("results")).splitlines()]
            for row in rows:  # quantiles are within 1 %
                row.update((name, round(row[name], 1)) for name in ("p50", "p99") if name in row)
            self.assertEqual(self.in_order(rows), self.in_order([
                {**first, "course": 7, "n": 3, "visitors": 2}, {**first, "course": 12, "n": 2, "visitors": 2},
                {**second, "course": None, "n": 1, "visitors": 1},
                {**first, "status": 200, "n": 4, "p50": 0.2, "p99": 0.3}, {**first, "status": 404, "n": 1, "p50": 2.5, "p99": 2.5},
                {**second, "status": 200, "n": 1, "p50": 0.5, "p99": 0.5}]))

    def in_order(self, rows):
        return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


class Programs(unittest.TestCase):
    """The articles' programs, by what their readers were shown."""

    def test_lines_of_a_server(self):
        """socketTextStream("localhost", 9999), where `nc -lk` is typed into."""
        with Speaker() as server:
            source = "type = netcatclient\nhost = localhost\nport = %d\n" % server.port
            with Agent(pipeline(source, microbatch(WORDS, PRINT, "500ms"))) as agent:
                for line, wanted in ((b"hello world\n", {"(hello,1)", "(world,1)"}), (b"hello hello\n", {"(hello,2)"})):
                    server.say(line)
                    wait_until(lambda: wanted in [set(rows) for _, rows in parse_blocks(stdout(agent))], lambda: stdout(agent), 20)

    def test_python_prints_tuples(self):
        """reduceByKey(lambda a, b: a + b).pprint(), of an article that shows no more of it than (word, 1)."""
        with Agent(pipeline(NETCAT, microbatch(WORDS.replace("space", "whitespace"), PRINT + "outputs.out.style = python\n", "1h"))) as agent:
            send_and_read(agent.port(), b" word  word\tanother \n")
            self.assertEqual(agent.stop(), 0)
            self.assertRegex(stdout(agent), r"-{43}\nTime: \d{4}-\d\d-\d\d \d\d:00:00\n-{43}\n\('word', 2\)\n\('another', 1\)\n\n")

    def test_lower_case_words_of_ascii(self):
        """flatMap(_.toLowerCase.split("\\\\W+")).filter(!_.isEmpty)"""
        steps = WORDS.replace("on = space", "on = ascii-word\nsteps.words.lower = true")
        with Agent(pipeline(NETCAT, microbatch(steps, PRINT, "1h"))) as agent:
            send_and_read(agent.port(), "Hello, WORLD! hello_world 中文 (hello)\n".encode())
            self.assertEqual(agent.stop(), 0)
            self.assertEqual(parse_blocks(stdout(agent))[-1][1], ["(hello,2)", "(world,1)", "(hello_world,1)"])

    def test_empty_batches_are_printed(self):
        """The article's three blocks, 20 seconds each, of a directory in which nothing new is."""
        with Agent(pipeline("type = spooldir\nspoolDir = {dir}/logfile\n", microbatch(WORDS, PRINT, "1s")), folders=["logfile"]) as agent:
            wait_until(lambda: len(EMPTY.findall(stdout(agent))) >= 3, lambda: stdout(agent), 20)
            times = [int(at) for at in EMPTY.findall(stdout(agent))]
            self.assertEqual(EMPTY.sub("", stdout(agent)), "")
            self.assertEqual(times, list(range(times[0], times[-1] + 1, 1000)))
            self.assertEqual(times[0] % 1000, 0)

    def test_files_of_before_the_start_are_ignored(self):
        """textFileStream(): log1 and log2 lay there and only empty blocks are printed; what is moved there later is counted."""
        source = "type = spooldir\nspoolDir = {dir}/logfile\nignoreExisting = true\n"
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
            os.mkdir(os.path.join(folder, "logfile"))
            write(folder, "logfile/log1.txt", "I love Hadoop\nI love Spark\n")
            write(folder, "logfile/log2.txt", "Spark is fast\n")
            write(folder, "log3.txt", "I love Hadoop\nI love Spark\nSpark is fast\n")
            with Agent(pipeline(source, microbatch(WORDS, PRINT, "500ms")), directory=folder) as agent:
                wait_until(lambda: len(EMPTY.findall(stdout(agent))) >= 3, lambda: stdout(agent), 20)
                self.assertEqual(EMPTY.sub("", stdout(agent)), "")
                os.rename(agent.path("log3.txt"), agent.path("logfile/log3.txt"))
                wanted = {"I": 2, "love": 2, "Hadoop": 1, "Spark": 2, "is": 1, "fast": 1}
                wait_until(lambda: counted(agent) == wanted, lambda: stdout(agent), 20)


@unittest.skipUnless(os.path.isdir(DATA), "the real texts are not beside this tree")
class Texts(unittest.TestCase):
    def counts(self, name, split):
        """{word: count} of a file, in one batch."""
        steps = WORDS.replace("on = space", "on = " + split)
        outputs = "outputs = f\noutputs.f.type = file\noutputs.f.prefix = {dir}/count/part\noutputs.f.format = json\n"
        source = "type = exec\ncommand = cat %s\n" % os.path.join(DATA, name)
        with Agent(pipeline(source, microbatch(steps, outputs, "1h"), "capacity = 100000"), arguments=["--once"]) as agent:
            self.assertEqual(agent.wait(30), 0)
            (_, rows), = read_batches(agent.path("count")).items()
            return {row["word"]: row["n"] for row in map(json.loads, rows)}

    def test_chinese_words(self):
        with open(os.path.join(DATA, "cppjieba-reviews-zh.txt"), encoding="utf-8") as file:
            text = file.read()
        # Letters, marks and digits of all scripts; here spelled out by their categories.
        letters = "".join(c if c == "_" or unicodedata.category(c)[0] in "LM" or unicodedata.category(c) == "Nd" else " " for c in text)
        wanted = collections.Counter(letters.split())
        self.assertGreater(len(wanted), 200)
        self.assertEqual(self.counts("cppjieba-reviews-zh.txt", "unicode-word"), wanted)
        # What is between Java's \W+ has no such letters at all.
        ascii_only = collections.Counter(re.findall("[A-Za-z0-9_]+", text))
        self.assertEqual(self.counts("cppjieba-reviews-zh.txt", "ascii-word"), ascii_only)
        self.assertTrue(all(word.isascii() for word in ascii_only) and len(ascii_only) < 100)

    def test_moby_dick_as_the_shell_counts_it(self):
        pipe = "LC_ALL=C tr -cs A-Za-z0-9_ '\\n' < %s | LC_ALL=C sort | uniq -c" % os.path.join(DATA, "moby_dick.txt")
        lines = subprocess.run(["bash", "-c", pipe], stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
        wanted = {word: int(count) for count, word in (line.lstrip().split(" ", 1) for line in lines) if word}
        self.assertGreater(len(wanted), 15_000)
        self.assertEqual(self.counts("moby_dick.txt", "ascii-word"), wanted)


class EventTime(unittest.TestCase):
    """Rows out of order, late, of the future and without a time, through the agent."""

    STEPS = """
        steps = p w a
        steps.p.type = parse
        steps.p.format = csv
        steps.p.fields = t:int k
        steps.w.type = window
        steps.w.length = 10s
        steps.w.time = event
        steps.w.timestamp = t
        steps.w.delay = 5s
        steps.a.type = aggregate
        steps.a.by = k
        steps.a.agg.n = count()
        """

    def setUp(self):
        self.begin = int(time.time()) // 10 * 10_000 - 60_000

    def send(self, agent, connection, *rows):
        """As one batch, and another one behind it."""
        blocks = len(parse_blocks(stdout(agent)))
        connection.sendall("".join("%s,%s\n" % ("" if s is None else self.begin + s * 1000, k) for s, k in rows).encode())
        wait_until(lambda: len(parse_blocks(stdout(agent))) >= blocks + 3, lambda: stdout(agent), 20)

    def window(self, begin, end, rest):
        return "(%d,%d,%s)" % (self.begin + begin * 1000, self.begin + end * 1000, rest)

    def run_rows(self, more, *groups):
        """The rows that were printed, and what the agent said."""
        config = pipeline(NETCAT + "ack-every-event = false\n", microbatch(self.STEPS + more, PRINT, "200ms"))
        with Agent(config) as agent, connect(agent.port()) as connection:
            for group in groups:
                self.send(agent, connection, *group)
            self.assertEqual(agent.stop(), 0)
            return sum(rows_of(agent), []), agent.log()

    def test_out_of_order_is_in_time_within_the_delay(self):
        rows, log = self.run_rows("", [(9, "a"), (1, "a"), (14, "b")], [(0, "a"), (9, "b")], [(15, "end")])
        self.assertEqual(sorted(rows), [self.window(0, 10, "a,3"), self.window(0, 10, "b,1")])
        self.assertNotIn("late rows", log)

    def test_late_future_and_missing_are_left_out_and_counted(self):
        rows, log = self.run_rows("", [(1, "a"), (25, "b")], [(2, "late"), (7300, "future"), (None, "timeless"), (29, "b")], [(35, "end")])
        self.assertEqual(rows, [self.window(0, 10, "a,1"), self.window(20, 30, "b,2")])
        for what in ("late rows", "rows of the future", "rows without a time"):
            self.assertRegex(log, r"sink k1: step a: 1 more %s, 1 since it was started" % what)

    def test_late_rows_update_their_window(self):
        rows, log = self.run_rows("steps.w.late = update\n", [(1, "a"), (16, "b")], [(2, "a")], [(35, "end")], [(3, "late")])
        self.assertEqual(rows, [self.window(0, 10, "a,1"), self.window(0, 10, "a,2"), self.window(10, 20, "b,1")])
        self.assertRegex(log, r"sink k1: step a: 1 more late rows")

    def test_the_time_of_the_header(self):
        """Without a word about it; an interceptor gives it. Without that no row has a time."""
        steps = "steps = w a\nsteps.w.type = window\nsteps.w.length = 1s\nsteps.w.time = event\nsteps.a.type = aggregate\nsteps.a.agg.n = count()\n"
        stamped = NETCAT + "interceptors = i\ninterceptors.i.type = timestamp\n"
        with Agent(pipeline(stamped, microbatch(steps, PRINT, "200ms"))) as agent:
            before = time.time() * 1000
            send_and_read(agent.port(), b"one\n")
            came = time.time() * 1000

            def passed_on():
                send_and_read(agent.port(), b"the clock goes on\n")
                return sum(rows_of(agent), [])
            begin, end, _ = map(int, wait_until(passed_on, lambda: stdout(agent), 20, 0.1)[0][1:-1].split(","))
            self.assertEqual((begin % 1000, end - begin), (0, 1000))
            self.assertTrue(begin <= came and before < end, (begin, before, came))
        with Agent(pipeline(NETCAT, microbatch(steps, PRINT, "200ms"))) as agent:
            send_and_read(agent.port(), b"one\ntwo\n")
            agent.wait_for_log(r"step a: 2 more rows without a time")


if __name__ == "__main__":
    unittest.main(verbosity=2)
