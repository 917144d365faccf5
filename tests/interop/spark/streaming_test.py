"""Our microbatch sink and Spark get the same batches, and come to the same results.

The agent cuts its input into batches; it writes down what was in each. Spark gets these, with the clock set by hand: so
its batches have the same times, and what it prints can be compared to the byte.
"""
import collections
import os
import tempfile
import unittest

from peers.extent import full
from peers.spark import SparkShell
from support.agent import NETCAT, Agent, pipeline
from support.microbatch import microbatch, parse_blocks, read_batches
from support.net import connect
from support.waiting import wait_until

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

    def printed_by_spark(self, program, *numbers, slide=MS):
        """Without the batches before the first one of ours, which slides are counted from."""
        text = spark.batches(os.path.join(self.directory, "lines"), MS, slide, program, *numbers)
        times = [time for time, _ in parse_blocks(text) if time >= min(self.lines)]
        return text[text.index("-" * 43 + "\nTime: %d ms\n" % times[0]):]

    def check(self, step, program, *numbers, slide=MS):
        """The same rows in the same batches, in any order; at times when Spark says nothing, none."""
        sparks = sorted_rows(dict(parse_blocks(self.printed_by_spark(program, *numbers, slide=slide))))
        ours = sorted_rows(self.ours(step))
        self.assertEqual([time for time in ours if time % slide == 0], list(sparks))
        self.assertGreater(sum(map(len, sparks.values())), 10, "there is something to compare")
        self.assertEqual(ours, {time: sparks.get(time, []) for time in ours})

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
        with self.assertRaises(AssertionError):
            self.check("count", "running")
        with self.assertRaises(AssertionError):
            self.check("window", "window", 2 * MS, 2 * MS, slide=2 * MS)

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
