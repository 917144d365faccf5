"""Our microbatch sink and Spark get the same batches, and come to the same results.

The agent cuts its input into batches; it writes down what was in each. Spark gets these, with the clock set by hand: so
its batches have the same times, and what it prints can be compared to the byte.
"""
import collections
import collections
import functools
import json
import os
import re
import tempfile
import unittest

from peers.extent import FULL, full
from peers.spark import INTO, SparkShell
from support.agent import NETCAT, SHARED, Agent, pipeline
from support.microbatch import microbatch, parse_blocks, read_batches
from support.net import Speaker, connect
from support.waiting import wait_until

DATA = os.path.join(SHARED, "data")  # not in the repository
HOUR_MS = 3_600_000
MS = 500  # a batch of the agents that many batches come from

# What is sent at once comes in one batch; None: an empty one.
GROUPS = (
    ["hello world", "hello spark"],
    ["a b  c", "", "  lead", "trail  ", " "],
    None,
    ["hello hello hello", "中文 分词 中文"],
    ["a", "b b"],
    ["a b c d e f g h i j k l m", "k l m"],
    None,
    None,
    None,
    None,
    ["hello again", "spark"],
    ["only once: \U0001f600 'quoted' \"twice\" \\ (a,1)"],
    None,
    ["hello"],
    None,
    None,
    None,
    None,
    None,
    None,
)

STEPS = """
steps = lines words one count w32 window w41 lines-in-window w23 gaps size wl longest total idle changes
steps.lines.type = filter
steps.lines.where = len(body) >= 0
steps.words.type = split
steps.words.trailingEmpty = false
steps.one.type = map
steps.one.set.n = 1
steps.count.type = aggregate
steps.count.input = words
steps.count.by = word
steps.count.agg.n = count()
steps.w32.type = window
steps.w32.input = words
steps.w32.length = {3}
steps.w32.slide = {2}
steps.window.type = aggregate
steps.window.by = word
steps.window.agg.n = count()
steps.w41.type = window
steps.w41.input = lines
steps.w41.length = {4}
steps.w41.slide = {1}
steps.lines-in-window.type = aggregate
steps.lines-in-window.agg.n = count()
steps.w23.type = window
steps.w23.input = words
steps.w23.length = {2}
steps.w23.slide = {3}
steps.gaps.type = aggregate
steps.gaps.by = word
steps.gaps.agg.n = count()
steps.size.type = map
steps.size.input = words
steps.size.set.first = substr(word, 1, 1)
steps.size.set.n = len(word)
steps.wl.type = window
steps.wl.length = {3}
steps.wl.slide = {1}
steps.longest.type = aggregate
steps.longest.by = first
steps.longest.agg.n = max(n)
steps.total.type = state
steps.total.input = count
steps.total.merge.n = sum
steps.total.initial = {dir}/initial.csv
steps.idle.type = state
steps.idle.input = count
steps.idle.merge.n = sum
steps.idle.timeout = {3}
steps.changes.type = state
steps.changes.input = count
steps.changes.mode = changes
steps.changes.merge.n = sum
# Spark's keys go when they did not come for more than their time, ours when it is over.
steps.changes.timeout = {4+1}
"""


def setUpModule():
    """One Spark for all; it takes some seconds to start."""
    global spark
    spark = unittest.enterModuleContext(SparkShell())


def in_batches(steps):
    for batches in range(1, 5):
        steps = steps.replace("{%d}" % batches, "%dms" % (batches * MS))
    return steps.replace("{4+1}", "%dms" % (4 * MS + 1))


def files_of(*steps):
    """Outputs: a folder for each of these steps, with a file for each batch."""
    lines = ["outputs = " + " ".join("f-" + step for step in steps)]
    for step in steps:
        lines += ["outputs.f-%s.%s" % (step, line) for line in (
            "type = file", "input = " + step, "prefix = {dir}/%s/part" % step, "format = text", "emptyBatches = true")]
    return "\n".join(lines) + "\n"


def counted(lists):
    """{word: count} of rows (word,count) of several batches."""
    total = collections.Counter()
    for row in (row for rows in lists for row in rows):
        word, count = row[1:-1].rsplit(",", 1)
        total[word] += int(count)
    return total


class Stalled(Exception):
    """The machine was too slow: a batch is long, where Spark has two."""


def sorted_rows(batches):
    return {time: sorted(rows) for time, rows in batches.items()}


class Batches(unittest.TestCase):
    """One agent with many branches, and a program of Spark for each."""

    @classmethod
    def setUpClass(cls):
        for attempt in range(3):
            cls.directory = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="sluice-test-"))
            try:
                cls.stdout = cls.run_agent()
                break
            except Stalled:
                if attempt == 2:
                    raise
        cls.lines = read_batches(os.path.join(cls.directory, "lines"))

    @classmethod
    def run_agent(cls):
        steps = ("lines", "words", "count", "window", "lines-in-window", "gaps", "longest", "total", "idle", "changes")
        outputs = files_of(*steps).replace("outputs = ", "outputs = printed ") + (
            "outputs.printed.type = print\noutputs.printed.input = one\n")
        with open(os.path.join(cls.directory, "initial.csv"), "w") as file:
            file.write("hello,1\nworld,1\n")
        config = pipeline(NETCAT + "ack-every-event = false\n", microbatch(in_batches(STEPS), outputs, "%dms" % MS))
        with Agent(config, directory=cls.directory) as agent, connect(agent.port()) as connection:
            for group in GROUPS:
                cls.send(connection, group or ())
            if agent.stop() != 0:
                raise AssertionError("the agent's end")
        with open(os.path.join(cls.directory, "stdout"), encoding="utf-8") as file:
            return file.read()

    @classmethod
    def send(cls, connection, group):
        """All of it in a batch of its own: one packet is one read, one put and one take."""
        folder = os.path.join(cls.directory, "lines")
        before = list(read_batches(folder).items())
        connection.sendall("".join(line + "\n" for line in group).encode())
        wait_until(lambda: len(read_batches(folder)) > len(before), "the batch", 20)
        batches = list(read_batches(folder).items())
        if any(after - time != MS for (time, _), (after, _) in zip(batches, batches[1:])):
            raise Stalled(str([time for time, _ in batches]))
        if [lines for _, lines in batches[len(before):]] != [list(group)]:
            raise Stalled("%s in %s" % (group, batches[len(before):]))

    def ours(self, step):
        return read_batches(os.path.join(self.directory, step))

    @classmethod
    @functools.lru_cache(maxsize=None)
    def printed_by_spark(cls, program, *numbers, slide=MS):
        """Without the batches before the first one of ours, which slides are counted from."""
        text = spark.batches(os.path.join(cls.directory, "lines"), MS, slide, program, *numbers)
        times = [time for time, _ in parse_blocks(text) if time >= min(cls.lines)]
        return text[text.index("-" * 43 + "\nTime: %d ms\n" % times[0]):]

    def check(self, step, program, *numbers, slide=MS):
        """The same rows in the same batches, in any order; at times when Spark says nothing, nothing."""
        sparks = sorted_rows(dict(parse_blocks(self.printed_by_spark(program, *numbers, slide=slide))))
        ours = sorted_rows(self.ours(step))
        self.assertEqual(list(ours), list(sparks))
        self.assertGreater(sum(map(len, sparks.values())), 10, "there is something to compare")
        self.assertEqual(ours, sparks)

    def test_the_groups_are_batches(self):
        came = list(self.lines.values())
        self.assertEqual(came[-len(GROUPS):], [group or [] for group in GROUPS])

    def test_printed_block_by_block(self):
        """Without a shuffle there is an order in Spark too: first come, first printed, and ... behind ten."""
        text = self.printed_by_spark("pairs")
        self.assertIn("...\n", text)
        self.assertEqual(self.stdout, text)

    def test_word_counts(self):
        self.check("count", "count")

    def test_windows(self):
        self.check("window", "window", 3 * MS, 2 * MS, slide=2 * MS)

    def test_running_state_that_begins_with_some_words(self):
        self.check("total", "running")

    def test_changes_of_the_state_with_a_timeout(self):
        self.check("changes", "changes", 4 * MS, MS)

    def test_that_a_difference_is_noticed(self):
        for step, program in (("total", "count"), ("window", "count"), ("changes", "count")):
            with self.assertRaises(AssertionError):
                self.check(step, program)

    @full
    def test_windows_that_subtract(self):
        self.check("window", "inverse", 3 * MS, 2 * MS, slide=2 * MS)

    @full
    def test_windows_with_gaps(self):
        self.check("gaps", "window", 2 * MS, 3 * MS, slide=3 * MS)

    @full
    def test_maxima_in_windows(self):
        self.check("longest", "longest", 3 * MS, MS)

    @full
    def test_lines_in_windows(self):
        self.check("lines-in-window", "lines-in-window", 4 * MS, MS)

    @full
    def test_words_that_do_not_come_go(self):
        self.check("idle", "idle", 3)


# text, int, double, bool; an empty field is null.
VALUES = """\
hello,1,1.0,true
,,,
中文 \U0001f600,-9223372036854775808,-0.0,false
(a),9223372036854775807,100000000.0,
,0,9999999.0,true
x,,0.001,
y,7,0.0001,false
z,8,123456.789,true
w,9,-1.7976931348623157E308,true
v,10,0.30000000000000004,true
"""
TEXT = """\
To be, or not to be: that is the question.
 It's 2 spaces  here,  and a tab\there; x_1-y2

Ünïcode über alles; 中文 too...
..., !?
tail   \n"""


class OneBatch(unittest.TestCase):
    """All of a text is one batch, of an agent that ends with its input."""

    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory(prefix="sluice-test-"))

    def printed(self, path, steps, told=""):
        """What the last of the steps prints."""
        steps = "steps = lines %s\nsteps.lines.type = filter\nsteps.lines.where = len(body) >= 0\n%s" % (
            " ".join(dict.fromkeys(line.split(".")[1] for line in steps.splitlines())), steps)
        outputs = files_of("lines").replace("outputs = ", "outputs = printed ") + "outputs.printed.type = print\n" + told
        config = pipeline("type = exec\ncommand = cat %s\n" % path, microbatch(steps, outputs, "1h"), "capacity = 100000")
        with Agent(config, directory=self.directory, arguments=["--once"]) as agent:
            self.assertEqual(agent.wait(30), 0)
        with open(os.path.join(self.directory, "stdout"), encoding="utf-8") as file:
            return file.read()

    def printed_by_spark(self, program):
        text = spark.batches(os.path.join(self.directory, "lines"), HOUR_MS, HOUR_MS, program)
        return text[text.rindex("-" * 43 + "\nTime: "):]

    def file(self, text):
        path = os.path.join(self.directory, "in.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_values_of_all_types(self):
        steps = ("steps.v.type = parse\nsteps.v.format = csv\nsteps.v.fields = text n:int x:double yes:bool\n"
                 "steps.t.type = map\nsteps.t.set.text = if(text = '', null, text)\n")
        text = self.printed(self.file(VALUES), steps, "outputs.printed.num = 0\n")
        self.assertEqual(text, self.printed_by_spark("values"))

    @full
    def test_ten_lines(self):
        """Also where there are no more: no ... then."""
        for count in (9, 10, 11):
            with self.subTest(count), tempfile.TemporaryDirectory(prefix="sluice-test-") as self.directory:
                text = self.printed(self.file("a line\n" * count), "")
                self.assertEqual(text, self.printed_by_spark("lines"))

    def test_ascii_words(self):
        """Split at \\W+ as the articles do, which drops all that is not ASCII."""
        steps = ("steps.words.type = split\nsteps.words.on = ascii-word\nsteps.words.lower = true\n"
                 "steps.count.type = aggregate\nsteps.count.by = word\nsteps.count.agg.n = count()\n")
        told = "outputs.printed.num = 0\n"
        real = ("moby_dick.txt", "cppjieba-reviews-zh.txt") if FULL and os.path.isdir(DATA) else ()
        paths = [self.file(TEXT)] + [os.path.join(DATA, name) for name in real]
        for path in paths:
            with self.subTest(path), tempfile.TemporaryDirectory(prefix="sluice-test-") as self.directory:
                ours, = parse_blocks(self.printed(path, steps, told))
                sparks, = parse_blocks(self.printed_by_spark("ascii"))
                self.assertEqual(ours[0], sparks[0])
                self.assertEqual(sorted(ours[1]), sorted(sparks[1]))


# Of Apache's combined format: ip, ident, user, time, method, path, query, protocol, status, bytes, referer, agent.
COMBINED = (r'^(\S+) (\S+) (\S+) \[([^\]]+)\] "(\S+) ([^ ?"]*)([^ "]*) ?([^"]*)" (\d{3}) (\d+|-) '
            r'"([^"\\]*(?:\\.[^"\\]*)*)" "([^"\\]*(?:\\.[^"\\]*)*)"$')
LOG = r"""WITH parts AS (
  SELECT value, split(regexp_replace(value, r'%s', '$1\t$4\t$6\t$9\t$10\t$12'), r'\t') AS part
  FROM lines WHERE value RLIKE r'%s'
), log AS (
  SELECT value, part[0] AS ip, unix_millis(to_timestamp(part[1], 'dd/MMM/yyyy:HH:mm:ss Z')) AS time, part[2] AS path,
      int(part[3]) AS status, cast(nullif(part[4], '-') AS bigint) AS bytes, part[5] AS agent
  FROM parts)
""" % (COMBINED, COMBINED)
LOG_STEPS = """
steps = p all status path hot hours hour clients client
steps.p.type = parse
steps.p.format = combined
steps.p.keep = body
steps.all.type = aggregate
steps.all.agg.n = count()
steps.all.agg.ips = distinct(ip)
steps.all.agg.lines = distinct(body)
steps.all.agg.p50 = quantile(bytes, 0.5)
steps.all.agg.p90 = quantile(bytes, 0.9)
steps.all.agg.p99 = quantile(bytes, 0.99)
steps.status.type = aggregate
steps.status.input = p
steps.status.by = status
steps.status.agg.n = count()
steps.status.agg.bytes = sum(bytes)
steps.status.agg.mean = avg(bytes)
steps.status.agg.least = min(bytes)
steps.status.agg.most = max(bytes)
steps.status.agg.spread = stddev(bytes)
steps.status.agg.var = var(bytes)
steps.path.type = aggregate
steps.path.input = p
steps.path.by = path
steps.path.agg.n = count()
steps.path.agg.bytes = sum(bytes)
steps.hot.type = top
steps.hot.n = 10
steps.hot.order = -n path
steps.hours.type = map
steps.hours.input = p
steps.hours.set.begin = time - time % 3600000
steps.hour.type = aggregate
steps.hour.by = begin
steps.hour.agg.n = count()
steps.clients.type = filter
steps.clients.input = p
steps.clients.where = lower(agent) like '%mozilla%' and status in (200, 304) and not path like '/images/%'
steps.client.type = aggregate
steps.client.by = agent
steps.client.agg.n = count()
"""
LOG_QUERIES = {
    "status": "SELECT status, count(*) AS n, sum(bytes) AS bytes, avg(bytes) AS mean, min(bytes) AS least,"
              " max(bytes) AS most, stddev(bytes) AS spread, var_samp(bytes) AS var FROM log GROUP BY status",
    "path": "SELECT path, count(*) AS n, sum(bytes) AS bytes FROM log GROUP BY path",
    "hot": "SELECT path, count(*) AS n, sum(bytes) AS bytes FROM log GROUP BY path ORDER BY n DESC, path LIMIT 10",
    "hour": "SELECT time - time % 3600000 AS begin, count(*) AS n FROM log GROUP BY begin",
    "client": "SELECT agent, count(*) AS n FROM log WHERE lower(agent) LIKE '%mozilla%' AND status IN (200, 304)"
              " AND NOT path LIKE '/images/%' GROUP BY agent",
}


@unittest.skipUnless(os.path.isdir(DATA), "the real logs are not beside this tree")
class Statistics(unittest.TestCase):
    """Statistics of a real access log beside Spark's SQL."""

    PATH = os.path.join(DATA, "elastic-apache_access.log")

    @classmethod
    def setUpClass(cls):
        cls.directory = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="sluice-test-"))
        outputs = files_of("all", *LOG_QUERIES).replace("format = text", "format = json")
        config = pipeline("type = exec\ncommand = cat %s\n" % cls.PATH, microbatch(LOG_STEPS, outputs, "1h"), "capacity = 100000")
        with Agent(config, directory=cls.directory, arguments=["--once"]) as agent:
            if agent.wait(30) != 0:
                raise AssertionError("the agent's end")

    def ours(self, step):
        (_, rows), = read_batches(os.path.join(self.directory, step)).items()
        # JSON of Spark leaves nulls out.
        return [{name: value for name, value in json.loads(row).items() if value is not None} for row in rows]

    def check(self, step):
        sparks = spark.sql(self.PATH, LOG + LOG_QUERIES[step])
        ours = self.ours(step)
        if step != "hot":
            ours.sort(key=repr)
            sparks.sort(key=repr)
        self.assertGreater(len(sparks), 5)
        self.assertEqual(len(ours), len(sparks))
        for mine, its in zip(ours, sparks):
            self.assertEqual(list(mine), list(its))
            for name, value in its.items():
                if isinstance(value, float):
                    self.assertAlmostEqual(mine[name], value, delta=abs(value) * 1e-9, msg=str(its))
                else:
                    self.assertEqual(mine[name], value, its)

    def test_by_status(self):
        self.check("status")

    @full
    def test_the_ten_most_wanted(self):
        self.check("hot")

    @full
    def test_by_path(self):
        self.check("path")

    @full
    def test_by_hour(self):
        self.check("hour")

    @full
    def test_by_client_of_some_lines(self):
        self.check("client")

    def test_sketches(self):
        """Within what the documentation says of them."""
        of_values = ", ".join("sort_array(collect_list(bytes))[int(%g * (count(bytes) - 1))] AS p%d" % (part / 100, part)
                              for part in (50, 90, 99))
        sparks, = spark.sql(self.PATH, LOG + "SELECT count(*) AS n, count(DISTINCT ip) AS ips, count(DISTINCT value) AS"
                            " lines, %s FROM log" % of_values)
        ours, = self.ours("all")
        self.assertEqual(ours["n"], sparks["n"])
        self.assertEqual(ours["ips"], sparks["ips"], "exact for some thousand values")
        self.assertAlmostEqual(ours["lines"], sparks["lines"], delta=0.025 * sparks["lines"])
        self.assertNotEqual(ours["lines"], 0)
        for name in ("p50", "p90", "p99"):
            self.assertAlmostEqual(ours[name], sparks[name], delta=0.0101 * sparks[name], msg=name)


# Rows TIME,KEY, a batch each: in order, out of it, at the edges of windows, late for some windows or for all.
BASE = 1_700_000_000_000 // 60_000 * 60_000
DISORDER = tuple([(BASE + ms, key) for ms, key in group] for group in (
    [(0, "a"), (500, "a"), (999, "b"), (1000, "a")],
    [(2999, "a"), (1500, "b"), (300, "a")],
    [(4000, "c"), (1999, "late for some"), (2000, "a")],
    [(4001, "c"), (1999, "late"), (2001, "a"), (3999, "c")],
    [(12_000, "d"), (4500, "in time"), (11_000, "d")],
    [(9_999, "late"), (10_000, "d"), (10_001, "e"), (12_000, "e")],
    [(60_000, "f"), (59_000, "f"), (13_000, "late by then?")],
    [(13_000, "late"), (58_000, "f"), (57_999, "g")],
    [(100_000, "the end")],
))


class EventTime(unittest.TestCase):
    """Windows of the time that rows carry, beside Structured Streaming in append mode."""

    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory(prefix="sluice-test-"))

    def ours(self, length, slide, delay):
        """[(number of the group, window's start, its end, key, count)]; and what the agent said."""
        steps = """
            steps = lines p w count
            steps.lines.type = filter
            steps.lines.where = true
            steps.p.type = parse
            steps.p.format = csv
            steps.p.fields = time:int key
            steps.w.type = window
            steps.w.time = event
            steps.w.timestamp = time
            steps.w.length = %dms
            steps.w.slide = %dms
            steps.w.delay = %dms
            steps.count.type = aggregate
            steps.count.by = key
            steps.count.agg.n = count()
            """ % (length, slide, delay)
        config = pipeline(NETCAT + "ack-every-event = false\n", microbatch(steps, files_of("lines", "count"), "100ms"))
        with Agent(config, directory=self.directory) as agent, connect(agent.port()) as connection:
            begins = []
            for group in DISORDER:
                came = [lines for lines in self.batches("lines").values() if lines]
                connection.sendall("".join("%d,%s\n" % row for row in group).encode())
                wait_until(lambda: [lines for lines in self.batches("lines").values() if lines] != came, "the rows", 20)
                (time, lines), = [each for each in self.batches("lines").items() if each[1]][len(came):]
                self.assertEqual(len(lines), len(group), "a group is a batch")
                begins.append(time)
                # Spark has an empty batch then, too.
                wait_until(lambda: max(self.batches("lines")) > time, "an empty batch", 20)
            self.assertEqual(agent.stop(), 0)
        found = []
        for time, rows in self.batches("count").items():
            number = sum(begin <= time for begin in begins) - 1
            found += [(number, int(start), int(end), key, int(n)) for start, end, key, n in (row[1:-1].split(",") for row in rows)]
        return found

    def batches(self, step):
        return read_batches(os.path.join(self.directory, step))

    def sparks(self, length, slide, delay):
        folder = os.path.join(self.directory, "groups")
        os.mkdir(folder)
        for number, group in enumerate(DISORDER):
            with open(os.path.join(folder, "%03d" % number), "w") as file:
                file.write("".join("%d,%s\n" % row for row in group))
        rows = spark.asked("windows", folder, length, slide, delay, INTO).splitlines()
        return [(int(number), int(start), int(end), key, int(n)) for number, start, end, key, n in (
            row.replace(" ", ",", 3)[::-1].replace(" ", ",", 1)[::-1].split(",") for row in rows)]

    def check(self, length, slide, delay):
        sparks, ours = self.sparks(length, slide, delay), self.ours(length, slide, delay)
        self.assertGreater(len(sparks), 10)
        self.assertEqual(sorted(ours), sorted(sparks))

    def test_tumbling_windows(self):
        self.check(1000, 1000, 2000)

    @full
    def test_sliding_windows(self):
        self.check(3000, 1000, 500)

    @full
    def test_nothing_may_be_late(self):
        self.check(2000, 2000, 0)


class Table(unittest.TestCase):
    """style = table beside the console of Structured Streaming."""

    TEXTS = ["hello world", "中文 分词 mixed 中文", "a-word-that-is-longer-than-twenty-characters short", "twenty-characters-xx \\ \t|x",
             "\U0001f600 é ｆｕｌｌ", "one two three four five six"]

    def test_tables(self):
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
            folder = os.path.join(directory, "groups")
            os.mkdir(folder)
            for number, text in enumerate(self.TEXTS):
                with open(os.path.join(folder, "%03d" % number), "w", encoding="utf-8") as file:
                    file.write(text + "\n")
            statement = "SELECT explode(split(value, ' ')) AS word, value, length(value) / 2 AS half FROM lines"
            sparks = spark.asked("console", folder, statement, "append", 5, INTO)
            steps = ("steps = w words\nsteps.w.type = map\nsteps.w.set.value = body\nsteps.w.set.half = double(len(body)) / 2\n"
                     "steps.words.type = split\nsteps.words.from = body\n"
                     "steps.words.as = word\n")
            outputs = "outputs = t\noutputs.t.type = print\noutputs.t.style = table\noutputs.t.num = 5\noutputs.t.emptyBatches = false\n"
            config = pipeline(NETCAT + "ack-every-event = false\n", microbatch(steps, outputs, "100ms"))
            with Agent(config, directory=directory) as agent, connect(agent.port()) as connection:
                for number, text in enumerate(self.TEXTS):
                    connection.sendall((text + "\n").encode())
                    wait_until(lambda: self.stdout(agent).count("Batch: ") == number + 1, lambda: self.stdout(agent), 20)
                self.assertEqual(agent.stop(), 0)
            # Spark makes no batch when nothing came, so it counts others.
            numbered = re.compile(r"Batch: \d+")
            self.assertEqual(numbered.sub("Batch", self.stdout(agent)), numbered.sub("Batch", sparks))

    def stdout(self, agent):
        with open(agent.path("stdout"), encoding="utf-8") as file:
            return file.read()


class Sources(unittest.TestCase):
    """Where the articles' programs have their lines from: a server, and files that are moved into a directory."""

    STEPS = """
        steps = words count
        steps.words.type = split
        steps.words.trailingEmpty = false
        steps.count.type = aggregate
        steps.count.by = word
        steps.count.agg.n = count()
        """

    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory(prefix="sluice-test-"))

    def ours(self, source, words):
        """The counts of all batches, of an agent that runs until it has counted so many words."""
        config = pipeline(source, microbatch(self.STEPS, files_of("count"), "100ms"))
        with Agent(config, directory=self.directory) as agent:
            folder = os.path.join(self.directory, "count")
            wait_until(lambda: counted(read_batches(folder).values()).total() >= words, lambda: str(read_batches(folder)), 20)
            self.assertEqual(agent.stop(), 0)
            return counted(read_batches(folder).values())

    @full
    def test_lines_from_a_server(self):
        content = "hello world\r\n\nhello 中文\n \rends at a CR\r\ntwo  blanks\n".encode()
        with Speaker() as server:
            server.say(content)
            sparks = counted(rows for _, rows in parse_blocks(spark.asked("socket", server.port, 100, 6, INTO)))
            # Spark's readLine() ends lines at carriage returns too.
            source = "type = netcatclient\nhost = 127.0.0.1\nport = %d\ntrimCR = true\n" % server.port
            self.assertEqual(self.ours(source, sparks.total()), sparks)

    @full
    def test_files_that_are_moved_into_a_directory(self):
        """What lay there before is not read by Spark; with our source it is what has been delivered."""
        folder = os.path.join(self.directory, "in")
        os.mkdir(folder)
        for name, text in (("log1.txt", "I love Hadoop\nI love Spark\n"), ("log2.txt", "Spark is fast\n")):
            with open(os.path.join(folder, name), "w") as file:
                file.write(text)
            os.utime(os.path.join(folder, name), (1_479_431_000, 1_479_431_000))
        with open(os.path.join(self.directory, "log3.txt"), "w") as file:
            file.write("I love Hadoop\n\nI love Spark\nSpark  is fast")
        printed = spark.asked("directory", folder, file.name, 20_000, 4, INTO)
        sparks = counted(rows for _, rows in parse_blocks(printed))
        self.assertEqual(sparks, {"I": 2, "love": 2, "Spark": 2, "Hadoop": 1, "is": 1, "fast": 1, "": 2})
        self.assertRegex(printed, r"\A(-{43}\nTime: \d+ ms\n-{43}\n\n){2}")
        for name in ("log1.txt", "log2.txt"):
            os.rename(os.path.join(folder, name), os.path.join(folder, name + ".COMPLETED"))
        self.assertEqual(self.ours("type = spooldir\nspoolDir = %s\n" % folder, sparks.total()), sparks)
