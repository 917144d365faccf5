#!/usr/bin/env python3
# test: timeout=240
"""Micro-batches in the agent: word counts as Spark prints them, and results that are exact through kills.

SLUICE_SOAK=1 kills 200 times at random instead of a few times.
"""
import collections
import json
import os
import random
import re
import tempfile
import unittest

from support.agent import NETCAT, ROOT, Agent, drawn_seed, fail_points, pipeline, roll_content, run_sluice
from support.microbatch import microbatch, parse_blocks, read_batches
from support.net import send_and_read
from support.waiting import wait_until

SOAK = os.environ.get("SLUICE_SOAK") == "1"
SHARED = os.path.join(os.path.dirname(ROOT), "shared")
TAIL = ("type = TAILDIR\nfilegroups = f\nfilegroups.f = {dir}/app.log\n"
        "positionFile = {dir}/positions.json\n")
ROCKSDB = "type = rocksdb\ncapacity = 1000000"
COUNT = """
steps = words count
steps.words.type = split
steps.words.on = space
steps.count.type = aggregate
steps.count.by = word
steps.count.agg.n = count()
"""
PRINT = "outputs = out\noutputs.out.type = print\noutputs.out.num = 0\n"


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def blocks(agent):
    """Of what the agent printed: [(time, {word: count})]"""
    found = []
    for time, rows in parse_blocks(read(agent.path("stdout"))):
        pairs = [row[1:-1].rsplit(",", 1) for row in rows]
        found.append((time, {word: int(n) for word, n in pairs}))
    return found


def summed(maps):
    total = collections.Counter()
    for each in maps:
        total.update(each)
    return total


class Printed(unittest.TestCase):
    def test_the_first_example(self):
        with Agent(pipeline(NETCAT, microbatch(COUNT, PRINT))) as agent:
            send_and_read(agent.port(), "hello world\nhello 中文  end\n".encode())
            wanted = {"hello": 2, "world": 1, "中文": 1, "": 1, "end": 1}
            wait_until(lambda: summed(counts for _, counts in blocks(agent)) == wanted, lambda: str(blocks(agent)))
            wait_until(lambda: len(blocks(agent)) >= 5, "batches without events are printed too")
            times = [time for time, _ in blocks(agent)]
            self.assertTrue(all(time % 200 == 0 for time in times))
            self.assertEqual(times, sorted(set(times)))

    def test_batches_in_which_no_window_ends_are_none(self):
        """As with Spark: an empty block or file a slide, not one a batch."""
        window = COUNT.replace("steps = words count", "steps = words w count") + (
            "steps.w.type = window\nsteps.w.length = 1200ms\nsteps.w.slide = 600ms\n")
        outputs = PRINT.replace("outputs = out", "outputs = out f") + (
            "outputs.f.type = file\noutputs.f.prefix = {dir}/f/at\noutputs.f.emptyBatches = true\n")
        with Agent(pipeline(NETCAT, microbatch(window, outputs))) as agent:
            send_and_read(agent.port(), b"hello world\n")
            wait_until(lambda: [counts for _, counts in blocks(agent)][-2:] == [{}, {}], lambda: str(blocks(agent)))
            self.assertIn({"hello": 1, "world": 1}, [counts for _, counts in blocks(agent)])
            # A batch that ends late has a later name, so what is exact is: at most one a slide.
            slides = [time // 600 for time, _ in blocks(agent)]
            self.assertGreater(len(slides), 2)
            self.assertEqual(slides, sorted(set(slides)))
            files = [time // 600 for time in read_batches(agent.path("f"))]
            self.assertEqual(files, sorted(set(files)))

    def test_a_stop_prints_what_came(self):
        """Also in the middle of a long batch: a short one is better than none."""
        with Agent(pipeline(NETCAT, microbatch(COUNT, PRINT, "1h"))) as agent:
            send_and_read(agent.port(), b"some words, some of them twice\n")
            self.assertEqual(agent.stop(), 0)
            self.assertEqual(blocks(agent)[-1][1], {"some": 2, "words,": 1, "of": 1, "them": 1, "twice": 1})

    def test_more_events_in_a_batch_than_the_channel_holds(self):
        for channel in ("capacity = 1000\ntransactionCapacity = 100", "type = rocksdb\ncapacity = 1000\ntransactionCapacity = 100"):
            with self.subTest(channel), Agent(pipeline(NETCAT, microbatch(COUNT, PRINT, "1h"), channel), arguments=["-Dsluice.state.dir=state"]) as agent:
                send_and_read(agent.port(), b"one two\n" * 50_000, timeout_s=30)
                self.assertEqual(agent.stop(), 0)
                self.assertEqual(blocks(agent)[-1][1], {"one": 50_000, "two": 50_000})

    def test_rows_that_no_step_holds_back(self):
        steps = ("steps = p f\nsteps.p.type = parse\nsteps.p.format = csv\nsteps.p.fields = name n:int\n"
                 "steps.f.type = filter\nsteps.f.where = n > 1\n")
        outputs = ("outputs = a b c\noutputs.a.type = print\noutputs.b.type = file\noutputs.b.prefix = {dir}/rows\n"
                   "outputs.b.format = csv\noutputs.c.type = channel\noutputs.c.channel = results\n")
        config = pipeline(NETCAT, microbatch(steps, outputs, "1h")) + (
            "a1.channels = c1 results\na1.channels.results.type = memory\na1.sinks = k1 k2\n"
            "a1.sinks.k2.type = file_roll\na1.sinks.k2.channel = results\na1.sinks.k2.sink.directory = {dir}/out\n")
        with Agent(config, folders=["out"]) as agent:
            send_and_read(agent.port(), b"one,1\ntwo,2\nthree,3\nbad\n")
            self.assertEqual(agent.stop(), 0)
            self.assertIn("\n(two,2)\n(three,3)\n\n", read(agent.path("stdout")))
            name = next(n for n in os.listdir(agent.directory) if n.startswith("rows-"))
            self.assertEqual(read(agent.path(name)), "name,n\ntwo,2\nthree,3\n")
            self.assertEqual(roll_content(agent.path("out")), b'{"name":"two","n":2}\n{"name":"three","n":3}\n')

    def test_results_that_are_more_than_their_channel_holds(self):
        """Two outputs into one small channel are put together, or the second would wait for the first."""
        outputs = ("outputs = a b\noutputs.a.type = channel\noutputs.a.channel = results\n"
                   "outputs.b.type = channel\noutputs.b.channel = results\n")
        for kind in ("memory", "rocksdb"):
            config = pipeline(NETCAT, microbatch(COUNT, outputs, "1h"), "type = rocksdb\ncapacity = 100000") + (
                "a1.channels = c1 results\na1.channels.results.type = %s\na1.channels.results.capacity = 100\n"
                "a1.channels.results.transactionCapacity = 100\n"
                "a1.sinks = k1 k2\na1.sinks.k2.type = file_roll\na1.sinks.k2.channel = results\n"
                "a1.sinks.k2.sink.directory = {dir}/out\n" % kind)
            with self.subTest(kind), Agent(config, folders=["out"], arguments=["-Dsluice.state.dir=state"]) as agent:
                send_and_read(agent.port(), b"".join(b"w%d\n" % i for i in range(80)))
                self.assertEqual(agent.stop(), 0)
                with Agent(config, directory=agent.directory, arguments=["-Dsluice.state.dir=state"]) as again:
                    wait_until(lambda: len(roll_content(agent.path("out")).splitlines()) >= 160, "all results", 10)
                    self.assertEqual(again.stop(), 0)
                rows = collections.Counter(json.loads(row)["word"] for row in roll_content(agent.path("out")).splitlines())
                self.assertEqual(rows, {"w%d" % i: 2 for i in range(80)})

    def test_yaml_says_the_same(self):
        yaml = """
a1:
  sources:  { r1: { type: netcat, bind: 127.0.0.1, port: 0, channels: [c1] } }
  channels: { c1: { type: memory, capacity: 1000, transactionCapacity: 100 } }
  sinks:
    k1:
      type: microbatch
      channel: c1
      batchInterval: 200ms
      steps:
        - { name: words, type: split, on: space, as: word }
        - { name: count, type: aggregate, by: [word], agg: { n: count() } }
      outputs:
        - { name: out, type: print, style: python, num: 10, timeZone: UTC }
"""
        with Agent(yaml, file_name="test.yaml") as agent:
            send_and_read(agent.port(), b"hello world hello\n")
            wait_until(lambda: "('hello', 2)\n('world', 1)\n\n" in read(agent.path("stdout")), "the block", 10)
            self.assertRegex(read(agent.path("stdout")), r"Time: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d00000)?\n-{43}\n")

    @unittest.skipUnless(os.path.isdir(SHARED), "../shared is not there")
    def test_moby_dick(self):
        path = os.path.join(SHARED, "data/moby_dick.txt")
        with open(path, encoding="utf-8-sig") as file:
            wanted = collections.Counter(re.findall(r"[A-Za-z0-9_]+", file.read()))
        steps = COUNT.replace("on = space", "on = ascii-word")
        source = "type = exec\ncommand = cat %s\n" % path
        with Agent(pipeline(source, microbatch(steps, PRINT), "capacity = 100000")) as agent:
            wait_until(lambda: sum(summed(c for _, c in blocks(agent)).values()) >= sum(wanted.values()), "all words", 20)
            self.assertEqual(summed(counts for _, counts in blocks(agent)), wanted)

    @unittest.skipUnless(os.path.isdir(SHARED), "../shared is not there")
    def test_an_access_log(self):
        path = os.path.join(SHARED, "data/elastic-apache_access.log")
        line = re.compile(r'^(\S+) \S+ \S+ \[[^]]*\] "(?:\S+) ([^ ?"]*)[^"]*" (\d+) (\S+)(?: "[^"]*" "[^"]*")')
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [m for m in map(line.match, file) if m]
        statuses = collections.Counter(m[3] for m in lines)
        paths = collections.Counter(m[2] for m in lines)
        clients = len({m[1] for m in lines})
        sizes = sorted(int(m[4]) for m in lines if m[4] != "-")
        steps = """
steps = p w status total paths hot
steps.p.type = parse
steps.p.format = combined
steps.w.type = window
steps.w.length = 1h
steps.status.type = aggregate
steps.status.by = status
steps.status.agg.n = count()
steps.total.type = aggregate
steps.total.input = w
steps.total.agg.n = count()
steps.total.agg.visitors = distinct(ip)
steps.total.agg.p50 = quantile(bytes, 0.5)
steps.total.agg.p99 = quantile(bytes, 0.99)
steps.paths.type = aggregate
steps.paths.input = w
steps.paths.by = path
steps.paths.agg.n = count()
steps.hot.type = top
steps.hot.n = 10
steps.hot.order = -n path
"""
        # One batch has it all: the stop ends it.
        steps = steps.replace("steps = p w status", "steps = p status").replace("input = w", "input = p")
        steps = steps.replace("steps.w.type = window\nsteps.w.length = 1h\n", "")
        outputs = ("outputs = s t h\noutputs.s.type = file\noutputs.s.input = status\noutputs.s.prefix = {dir}/status\n"
                   "outputs.s.format = json\noutputs.t.type = file\noutputs.t.input = total\noutputs.t.format = json\n"
                   "outputs.t.prefix = {dir}/total\noutputs.h.type = file\noutputs.h.input = hot\n"
                   "outputs.h.prefix = {dir}/hot\noutputs.h.format = json\n")
        source = "type = exec\ncommand = cat %s\n" % path
        with Agent(pipeline(source, microbatch(steps, outputs, "1h"), "capacity = 100000"), arguments=["--once"]) as agent:
            self.assertEqual(agent.wait(30), 0)

            def rows(prefix):
                names = [n for n in os.listdir(agent.directory) if n.startswith(prefix + "-")]
                return [json.loads(row) for n in names for row in read(agent.path(n)).splitlines()]
            self.assertEqual({str(row["status"]): row["n"] for row in rows("status")}, statuses)
            self.assertEqual({row["path"]: row["n"] for row in rows("hot")},
                             dict(sorted(paths.items(), key=lambda p: (-p[1], p[0]))[:10]))
            total = rows("total")[0]
            self.assertEqual(total["n"], len(lines))
            self.assertAlmostEqual(total["visitors"], clients, delta=clients * 0.03)
            for name, q in (("p50", 0.5), ("p99", 0.99)):
                exact = sizes[int(q * (len(sizes) - 1))]
                self.assertAlmostEqual(total[name], exact, delta=exact * 0.011 + 1)


class Kept(unittest.TestCase):
    """A running count of words from a file, with a channel on disk."""

    STEPS = COUNT.replace("steps = words count", "steps = words count total") + (
        "steps.total.type = state\nsteps.total.mode = running\nsteps.total.merge.n = sum\n")
    OUTPUTS = ("outputs = f t c\noutputs.f.type = file\noutputs.f.input = count\noutputs.f.prefix = {dir}/counts/part\n"
               "outputs.f.format = json\noutputs.t.type = file\noutputs.t.input = total\n"
               "outputs.t.prefix = {dir}/totals/part\noutputs.t.format = json\n"
               "outputs.c.type = channel\noutputs.c.channel = results\noutputs.c.input = count\n")

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="sluice-test-"))
        self.random = random.Random(drawn_seed())
        self.written = collections.Counter()
        os.mkdir(os.path.join(self.folder, "events"))

    def config(self, steps=None, interval="100ms"):
        lines = pipeline(TAIL, microbatch(steps or self.STEPS, self.OUTPUTS, interval), ROCKSDB)
        return lines + ("\na1.channels = c1 results\na1.channels.results.type = rocksdb\n"
                        "a1.channels.results.capacity = 1000000\na1.sinks = k1 store\n"
                        "a1.sinks.store.type = file_roll\na1.sinks.store.channel = results\n"
                        "a1.sinks.store.sink.directory = {dir}/events\na1.sinks.store.sink.rollInterval = 0\n")

    def agent(self, environment=None, arguments=(), **options):
        return Agent(self.config(**options), directory=self.folder, environment=environment,
                     arguments=["-Dsluice.state.dir=%s/state" % self.folder, *arguments])

    def write(self, lines):
        with open(os.path.join(self.folder, "app.log"), "a") as file:
            for _ in range(lines):
                words = ["w%d" % self.random.randrange(3000) for _ in range(20)]
                self.written.update(words)
                file.write(" ".join(words) + "\n")

    def rows(self, *names):
        directory = os.path.join(self.folder, *names)
        for name in sorted(os.listdir(directory) if os.path.isdir(directory) else []):
            if not name.endswith(".tmp"):
                yield name, [json.loads(row) for row in read(os.path.join(directory, name)).splitlines()]

    def counted(self, *names):
        return summed(collections.Counter({row["word"]: row["n"] for row in rows}) for _, rows in self.rows(*names))

    def counted_events(self):
        total = collections.Counter()
        for _, rows in self.rows("events"):
            for row in rows:
                total[row["word"]] += row["n"]
        return total

    def totals(self):
        files = list(self.rows("totals"))
        return {row["word"]: row["n"] for row in files[-1][1]} if files else {}

    def run_to_the_end(self):
        with self.agent() as agent:
            wait_until(lambda: sum(self.counted("counts").values()) >= sum(self.written.values()), "all is counted", 30)
            wait_until(lambda: sum(self.totals().values()) >= sum(self.written.values()), "all is in the state", 30)
            wait_until(lambda: sum(self.counted_events().values()) >= sum(self.written.values()), "all is behind the channel", 30)
            self.assertEqual(agent.stop(), 0)
        self.assertEqual(self.counted("counts"), self.written)
        self.assertEqual(self.totals(), self.written)
        self.assertEqual(self.counted_events(), self.written)

    def test_kills_at_any_time(self):
        kills = 200 if SOAK else 20
        for _ in range(kills):
            self.write(200)
            with self.agent() as agent:
                agent.wait_until_running()
                for _ in range(self.random.randrange(6)):
                    self.write(50)
                    try:
                        agent.wait(self.random.random() * 0.15)
                    except Exception:  # it runs, as it should
                        pass
                agent.kill(9)
                agent.wait()
        self.run_to_the_end()

    def test_kills_at_every_step(self):
        points = [p for p in fail_points("channel", "batch") if not p.startswith(("take-", "recovery-"))]
        self.assertEqual(len(points), 9)
        for point in points:
            for count in (1, 4):
                with self.subTest(point=point, count=count):
                    self.write(100)
                    with self.agent({"SLUICE_KILL_AT": "%s:%d" % (point, count)}) as agent:
                        def dead():
                            self.write(5)
                            return not agent.running()
                        wait_until(dead, "the agent dies", 20, 0.02)
                        self.assertEqual(agent.wait(), -9)
        self.run_to_the_end()

    def test_other_steps_do_not_take_the_state_of_these(self):
        self.write(100)
        self.run_to_the_end()
        other = self.STEPS.replace("merge.n = sum", "merge.n = max")
        with self.agent(steps=other) as agent:
            agent.wait_for_log(r"sink k1: cannot run: .*--reset-state k1")
        with self.agent(steps=other, arguments=["--reset-state", "k1"]) as agent:
            agent.wait_for_log(r"sink k1: its state is forgotten")
            self.write(1)
            wait_until(lambda: sum(self.totals().values()) == 20, lambda: str(self.totals()))


class Refused(unittest.TestCase):
    def test_what_is_wrong_is_said_with_its_place(self):
        cases = (
            ("agg.n = count()", "agg.n = coun()", r"did you mean 'count'"),
            ("by = word", "by = wrod", r"there is no column 'wrod'[^=]*=[^=]*= did you mean 'word'"),
            ("on = space", "on = whitspace", r"did you mean 'whitespace'"),
            ("steps.count.by", "steps.count.input = wordz\nsteps.count.by", r"did you mean 'words'"),
            ("steps = words count", "steps = words w count\nsteps.w.type = window\nsteps.w.length = 300ms",
             r"multiple of the batches' interval, 200 ms"),
            ("outputs = out", "outputs = out\noutputs.out.input = cuont", r"did you mean 'count'"),
        )
        for old, new, wanted in cases:
            with self.subTest(new), tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
                path = os.path.join(folder, "x.conf")
                with open(path, "w") as file:
                    file.write(pipeline(NETCAT, microbatch(COUNT, PRINT).replace(old, new, 1)))
                status, out, err = run_sluice("check", "-n", "a1", "-f", path)
                self.assertEqual(status, 1)
                self.assertRegex(out + err, r"x\.conf:\d+:\d+: error")
                self.assertRegex(out + err, wanted)


if __name__ == "__main__":
    unittest.main(verbosity=2)
