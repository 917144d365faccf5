#!/usr/bin/env python3
# test: timeout=300
"""Chains of agents over avro with durable channels: what is delivered once stays delivered once.

SLUICE_SOAK=1 makes the chaos last for minutes and picks new seeds.
"""
import os
import random
import tempfile
import threading
import time
import unittest

from support.agent import fail_points, roll_content, roll_files
from support.net import refusing_port
from support.proxy import Proxy
from support.tiers import FileWriter, Lines, Tier, wait_for_ports
from support.waiting import wait_out, wait_until

SOAK = os.environ.get("SLUICE_SOAK") == "1"

TAILDIR = """a1.sources = r1
a1.channels = c1
a1.sources.r1.type = TAILDIR
a1.sources.r1.filegroups = f
a1.sources.r1.filegroups.f = {dir}/in/app[.]log.*
a1.sources.r1.positionFile = {dir}/positions.json
a1.sources.r1.channels = c1
"""
AVRO_SOURCE = """a1.sources = r1
a1.channels = c1
a1.sources.r1.type = avro
a1.sources.r1.bind = 127.0.0.1
a1.sources.r1.port = 0
a1.sources.r1.channels = c1
"""
MEMORY = "a1.channels.c1.type = memory\na1.channels.c1.capacity = 100000\n"
DURABLE = "a1.channels.c1.type = rocksdb\na1.channels.c1.capacity = 10000000\n"
FILES = """a1.sinks = k1
a1.sinks.k1.type = file_roll
a1.sinks.k1.sink.directory = {dir}/out
a1.sinks.k1.sink.rollInterval = 0
a1.sinks.k1.sink.serializer = header_and_text
a1.sinks.k1.channel = c1
"""
# Nobody takes them, so all stay in the channel.
NOWHERE = """a1.sinks = k1
a1.sinks.k1.type = tcp
a1.sinks.k1.hostname = 127.0.0.1
a1.sinks.k1.port = %d
a1.sinks.k1.channel = c1
""" % refusing_port()


def avro_sink(port, name="k1"):
    return "".join("a1.sinks.%s.%s\n" % (name, line) for line in (
        "type = avro", "hostname = 127.0.0.1", "port = %d" % port, "channel = c1", "batch-size = 200",
        "connect-timeout = 2000", "request-timeout = 1000"))


def avro_sink_to(proxy):
    return "a1.sinks = k1\n" + avro_sink(proxy.port)


def avro_sinks(ports, processor=""):
    """One sink a port, in a group where there are several."""
    names = ["k%d" % (i + 1) for i in range(len(ports))]
    text = "a1.sinks = %s\n" % " ".join(names)
    text += "".join(avro_sink(port, name) for name, port in zip(names, ports))
    if len(ports) > 1:
        text += "a1.sinkgroups = g1\na1.sinkgroups.g1.sinks = %s\n" % " ".join(names)
        text += "".join("a1.sinkgroups.g1.processor.%s\n" % line for line in processor.splitlines())
    return text


def marks(value):
    """Each event that passes gets the header `by`, and the time of its batch."""
    return "a1.sources.r1.interceptors = i1 i2\n" + "".join(
        "a1.sources.r1.interceptors.%s\n" % line for line in (
            "i1.type = static", "i1.key = by", "i1.value = " + value, "i2.type = timestamp"))


class Chain(unittest.TestCase):
    """Helpers; every tier ends with the test."""

    def run(self, result=None):
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as self.directory:
            failures = len(result.failures) + len(result.errors)
            super().run(result)
            if len(result.failures) + len(result.errors) > failures:
                self.show_logs()

    def show_logs(self):
        for name in sorted(os.listdir(self.directory)):
            folder = os.path.join(self.directory, name)
            logs = [os.path.join(folder, each) for each in os.listdir(folder) if each.startswith("stderr-")]
            for log in sorted(logs, key=os.path.getmtime):
                with open(log, errors="replace") as file:
                    print("---- %s said:\n%s" % (name, file.read()[-3000:]))

    def tier(self, name, config):
        tier = Tier(self.directory, name, config)
        self.addCleanup(tier.end)
        return tier

    def proxy(self, target):
        proxy = Proxy(target)
        self.addCleanup(proxy.close)
        return proxy

    def write(self, tier, first, count, name="e"):
        """Appends lines to the one file of an edge; returns them."""
        with open(tier.path("in", "app.log"), "ab") as file:
            file.write(b"".join(b"%s 0 %d xxxx\n" % (name.encode(), i) for i in range(first, first + count)))
        return {(name, 0, i) for i in range(first, first + count)}

    def wait_until_waiting(self, tier, count, deadline_s=20):
        wait_until(lambda: tier.waiting() == count,
                   lambda: "%s holds %d of %d" % (tier.name, tier.waiting(), count), deadline_s, 0.05)

    def come_out(self, tier, count, deadline_s=60):
        """What the last tier wrote once it has so many lines; it is stopped then."""
        out = tier.path("out")
        wait_until(lambda: roll_content(out).count(b"\n") >= count,
                   lambda: "%d of %d lines came out" % (roll_content(out).count(b"\n"), count), deadline_s, 0.05)
        tier.stop()
        return Lines(roll_content(out))

    def assert_once(self, lines, wanted):
        missing = lines.missing(wanted)
        self.assertEqual(sorted(missing)[:5], [], "%d of %d lines are missing" % (len(missing), len(wanted)))
        self.assertEqual(lines.strange, [])
        self.assertEqual(lines.doubled(), 0, "lines that came twice")
        self.assertEqual(len(lines.rows), len(wanted), "lines that nobody wrote")


class Twice(Chain):
    """An answer is lost, and the events go another way: the channel where the ways meet takes them once."""

    def start_diamond(self, middle=DURABLE, group=False):
        """edge -> A or B -> last; the edge goes where self.way points, or to A as long as that works."""
        self.last = self.tier("last", AVRO_SOURCE + DURABLE + FILES).start()
        wait_for_ports([self.last])
        self.behind, self.collectors = {}, {}
        for name in "AB":
            self.behind[name] = self.proxy(self.last.port)
            self.collectors[name] = self.tier(
                name, AVRO_SOURCE + marks(name) + middle + avro_sinks([self.behind[name].port])).start()
        wait_for_ports(self.collectors.values())
        self.way = "A"
        self.front = self.proxy(lambda: self.collectors[self.way].port())
        self.ways = [self.proxy(tier.port) for tier in self.collectors.values()] if group else [self.front]
        sinks = avro_sinks([way.port for way in self.ways], "type = failover\npriority.k1 = 10\npriority.k2 = 5\n")
        self.edge = self.tier("edge", TAILDIR + DURABLE + sinks).start()

    def doubles(self, tier):
        return tier.agent.sample("sluice_source_doubles_events_total", component="r1")

    def test_a_lost_answer_makes_no_double_at_the_same_receiver(self):
        self.start_diamond()
        wanted = self.write(self.edge, 0, 100)
        wait_until(lambda: self.last_lines() == 100, "the first lines are through", 20)
        self.front.deaf = True
        wanted |= self.write(self.edge, 100, 500)
        wait_until(lambda: self.collectors["A"].accepted() == 600, "A has them, and the edge does not know", 20)
        self.assertEqual(self.edge.waiting(), 500)
        self.hear_again(self.front)
        self.wait_until_waiting(self.edge, 0)
        self.assertGreaterEqual(self.doubles(self.collectors["A"]), 500)
        self.assertEqual(self.collectors["A"].accepted(), 600)
        self.assert_once(self.come_out(self.last, 600), wanted)

    @staticmethod
    def hear_again(proxy):
        """Answers that are still on their way are lost, too."""
        proxy.cut()
        proxy.heal()

    def last_lines(self):
        return roll_content(self.last.path("out")).count(b"\n")

    def test_a_lost_answer_makes_no_double_where_two_ways_meet(self):
        self.meet(DURABLE)

    def test_and_none_behind_collectors_that_keep_their_events_in_memory(self):
        """The numbers pass through them."""
        self.meet(MEMORY)

    def test_a_group_asks_the_receiver_that_may_know_before_it_turns_to_another(self):
        self.start_diamond(group=True)
        wanted = self.write(self.edge, 0, 100)
        wait_until(lambda: self.last_lines() == 100, "the first lines are through", 20)
        self.ways[0].deaf = True
        wanted |= self.write(self.edge, 100, 500)
        wait_until(lambda: self.collectors["A"].accepted() == 600, "A has them, and the edge does not know", 20)
        self.hear_again(self.ways[0])
        self.wait_until_waiting(self.edge, 0)
        self.assertGreaterEqual(self.doubles(self.collectors["A"]), 500)
        self.assertEqual(self.collectors["B"].agent.sample("sluice_source_made_events_total"), 0)
        self.assert_once(self.come_out(self.last, 600), wanted)

    def meet(self, middle):
        self.start_diamond(middle)
        wanted = self.write(self.edge, 0, 100)
        wait_until(lambda: self.last_lines() == 100, "the first lines are through", 20)
        self.wait_until_waiting(self.collectors["A"], 0)  # it has heard of that
        self.behind["A"].stall()  # A keeps what it takes
        self.front.deaf = True
        wanted |= self.write(self.edge, 100, 500)
        self.wait_until_waiting(self.collectors["A"], 500)
        self.assertEqual(self.edge.waiting(), 500, "no answer came")
        self.way = "B"
        self.hear_again(self.front)
        self.wait_until_waiting(self.edge, 0)
        wait_until(lambda: self.last_lines() == 600, "they came by B", 20)
        self.behind["A"].heal()
        self.wait_until_waiting(self.collectors["A"], 0)
        self.assertGreaterEqual(self.doubles(self.last), 500)
        self.assertEqual(self.last.accepted(), 600)
        self.assert_once(self.come_out(self.last, 600), wanted)

    def test_a_collector_that_comes_back_late_has_its_events_taken(self):
        """Later numbers of the same sender passed by the other collector: nothing is dropped for that."""
        self.come_back_late(group=False)

    def test_a_member_of_a_failover_group_that_comes_back_late_has_its_events_taken(self):
        self.come_back_late(group=True)

    def come_back_late(self, group):
        self.start_diamond(group=group)
        self.behind["A"].refusing = True
        self.behind["A"].cut()
        wanted = self.write(self.edge, 0, 1000)
        self.wait_until_waiting(self.collectors["A"], 1000)
        self.wait_until_waiting(self.edge, 0)  # A has answered for all of them
        self.collectors["A"].kill()
        self.way = "B"
        self.front.cut()
        wanted |= self.write(self.edge, 1000, 3000)
        wait_until(lambda: self.last_lines() == 3000, lambda: "%d lines came by B" % self.last_lines(), 30)
        self.behind["A"].heal()
        self.collectors["A"].start()
        lines = self.come_out(self.last, 4000)
        self.assert_once(lines, wanted)
        self.assertEqual([line for _, (_, _, line) in lines.rows],
                         list(range(1000, 4000)) + list(range(1000)))


class Killed(Chain):
    """One tier after another is killed at every step of its commits and of its start, under load."""

    POINTS = fail_points("channel")

    def test_at_every_fail_point(self):
        last = self.tier("last", AVRO_SOURCE + DURABLE + FILES)
        collector = self.tier("collector", AVRO_SOURCE + DURABLE + avro_sink_to(self.proxy(last.port)))
        edge = self.tier("edge", TAILDIR + DURABLE + avro_sink_to(self.proxy(collector.port)))
        tiers = (last, collector, edge)
        for tier in tiers:
            tier.start()
        writer = FileWriter(edge.path("in"), "e", 2000, 9000)
        writer.start()
        self.addCleanup(writer.finish)
        self.assertGreaterEqual(len(self.POINTS), 9)
        for point in self.POINTS:
            for tier in tiers:
                with self.subTest(point=point, tier=tier.name):
                    tier.kill()
                    # Slow syncs keep commits on their way; what was answered too early is lost then.
                    tier.start({"SLUICE_KILL_AT": point + (":1" if point.startswith("recovery") else ":8"),
                                "SLUICE_SYNC_TAKES_MS": "20"})
                    self.assertEqual(tier.agent.wait(30), -9)
                    tier.start()
        writer.finish()
        lines = self.come_out(last, writer.total())
        self.assertEqual(lines.strange, [])
        self.assertEqual(sorted(lines.missing(writer.lines()))[:5], [])
        self.assertEqual(last.accepted(), writer.total())


class Chaos(Chain):
    """Two edges -> two collectors -> one last tier; all are killed, and the ways between them cut."""

    SECONDS = 180 if SOAK else 12
    LINES_A_SECOND = 2000
    BALANCE = "type = load_balance\nselector = round_robin\nbackoff = true\nselector.maxTimeOut = 2000"

    def start_chain(self, seed, sinks_of_edge, last_sink):
        """sinks_of_edge() -> configuration of an edge's sinks, with the ways to the collectors."""
        self.chance = random.Random(seed)
        self.last = self.tier("last", AVRO_SOURCE + DURABLE + last_sink)
        self.collectors = []
        self.proxies = []
        for name in "AB":
            way = self.make_way(self.last.port)
            self.collectors.append(self.tier(name, AVRO_SOURCE + marks(name) + DURABLE + avro_sinks([way.port])))
        self.edges = [self.tier(name, TAILDIR + DURABLE + sinks_of_edge()) for name in ("e1", "e2")]
        self.tiers = [self.last, *self.collectors, *self.edges]
        for tier in self.tiers:
            tier.start()
        self.writers = [FileWriter(edge.path("in"), edge.name, self.LINES_A_SECOND, 9000) for edge in self.edges]
        for writer in self.writers:
            writer.start()
            self.addCleanup(writer.finish)

    def make_way(self, target):
        self.proxies.append(self.proxy(target))
        return self.proxies[-1]

    def balanced_way(self):
        """Every new connection goes to a collector that listens, by chance: a balancer in front of them."""
        def target():
            ports = [port for port in (tier.port() for tier in self.collectors) if port]
            return self.chance.choice(ports) if ports else None
        return avro_sinks([self.make_way(target).port])

    def ways_to_all(self, processor):
        return avro_sinks([self.make_way(tier.port).port for tier in self.collectors], processor)

    def trouble(self, seed):
        """Until the time is over, processes and ways are in trouble independently; then all is well again."""
        self.end = time.monotonic() + self.SECONDS
        lanes = [lambda chance: self.kill_one(chance, self.tiers)]
        lanes += [lambda chance, proxy=proxy: self.disturb(chance, proxy) for proxy in self.proxies]
        self.troubles, self.broken_lanes = 0, []
        threads = [threading.Thread(target=self.run_lane, args=(lane, random.Random("%d %d" % (seed, i))))
                   for i, lane in enumerate(lanes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.broken_lanes, [])
        for tier in self.tiers:
            if not tier.running():
                tier.start()
        print("seed %d: %d troubles, starts %s, connections %s" % (
            seed, self.troubles, {tier.name: tier.starts for tier in self.tiers},
            [proxy.accepted for proxy in self.proxies]))

    def run_lane(self, lane, chance):
        try:
            while time.monotonic() < self.end:
                lane(chance)
                self.troubles += 1
        except Exception as error:  # shown by the test, whose thread this is not
            self.broken_lanes.append(repr(error))

    def kill_one(self, chance, tiers):
        tier = chance.choice(tiers)
        self.pass_time(chance.uniform(0, 0.8))
        if tier in self.collectors and chance.random() < 0.3:  # gone for a while, and then dead
            tier.freeze()
            self.pass_time(chance.uniform(0, 4))
            if chance.random() < 0.5:
                return tier.thaw()
        if chance.random() < 0.2:
            tier.stop()
        else:
            tier.kill()
        self.pass_time(chance.uniform(0, 1))
        tier.start({"SLUICE_SYNC_TAKES_MS": chance.choice(["0", "0", "50"])})

    def disturb(self, chance, proxy):
        self.pass_time(chance.uniform(0, 1.5))
        what = chance.choice(["cut", "cut", "delay", "stall", "deaf", "refuse"])
        if what == "cut":
            proxy.cut(reset=chance.random() < 0.5)
        elif what == "delay":
            proxy.delay_s = chance.uniform(0, 0.05)
        elif what == "stall":
            proxy.stall()
        elif what == "deaf":
            proxy.deaf = True
        else:
            proxy.refusing = True
            proxy.cut()
        self.pass_time(chance.uniform(0, 2))
        if what == "deaf":
            proxy.cut()
        proxy.heal()

    def pass_time(self, seconds):
        wait_out(seconds, lambda: all(writer.is_alive() for writer in self.writers))

    def settle(self):
        """Every line that was written; returns once the last tier has them all and nothing is under way."""
        for writer in self.writers:
            writer.finish()
        wanted = set().union(*(writer.lines() for writer in self.writers))
        before = self.tiers[1:]

        def state():
            return {tier.name: tier.waiting() for tier in before}
        wait_until(lambda: self.last.accepted() >= len(wanted) and not any(state().values()),
                   lambda: "%d of %d lines at the last tier; waiting elsewhere: %s" % (
                       self.last.accepted(), len(wanted), state()), 120, 0.1)
        self.assertEqual(self.last.accepted(), len(wanted), "missing or doubled in the last channel")
        return wanted

    def run_chain(self, seed, sinks_of_edge):
        """The lines as they lie in the last tier's channel: nothing takes them out during the chaos."""
        self.start_chain(seed, sinks_of_edge, NOWHERE)
        self.trouble(seed)
        wanted = self.settle()
        for tier in self.tiers:
            tier.stop()
        self.last.config = AVRO_SOURCE + DURABLE + FILES
        self.last.start()
        lines = self.come_out(self.last, len(wanted))
        self.assert_once(lines, wanted)
        self.assertEqual({way for way, _ in lines.rows}, {"A", "B"}, "both collectors had their part")
        return lines

    def seeds(self, *fixed):
        return [random.randrange(1 << 30)] if SOAK else fixed

    def test_a_balancer_in_front_of_the_collectors(self):
        for seed in self.seeds(1):
            lines = self.run_chain(seed, self.balanced_way)
            self.assertEqual(lines.out_of_order()[:5], [], "each way keeps the order of a file")

    def test_a_failover_group_at_the_edges(self):
        processor = "type = failover\npriority.k1 = 10\npriority.k2 = 5\nmaxpenalty = 2000"
        for seed in self.seeds(3):
            lines = self.run_chain(seed, lambda: self.ways_to_all(processor))
            self.assertEqual(lines.out_of_order()[:5], [], "each way keeps the order of a file")
            print("over both ways %d lines came behind a later one" % len(lines.out_of_order([0] * len(lines.rows))))

    def test_a_load_balance_group_at_the_edges(self):
        for seed in self.seeds(4):
            lines = self.run_chain(seed, lambda: self.ways_to_all(self.BALANCE))
            self.assertLess(len(set(lines.stamps)) * 5, len(lines.rows), "a stamp stands for a batch")
            self.assertEqual(lines.out_of_order_in_batches()[:5], [], "a batch is passed on as it is")

    def test_the_last_tier_writes_files_meanwhile(self):
        """Its channel takes each line once, and so do its files, whichever of the processes dies."""
        for seed in self.seeds(2):
            self.start_chain(seed, lambda: self.ways_to_all(self.BALANCE), FILES)
            self.trouble(seed)
            wanted = self.settle()
            self.wait_until_waiting(self.last, 0)
            for tier in self.tiers:
                tier.stop()
            lines = Lines(*roll_files(self.last.path("out")))
            print("%d lines in %d starts" % (len(wanted), self.last.starts))
            self.assertEqual(lines.strange, [])
            self.assertEqual(len(lines.missing(wanted)), 0)
            self.assertEqual(lines.doubled(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
