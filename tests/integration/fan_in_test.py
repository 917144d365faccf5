#!/usr/bin/env python3
# test: timeout=240
"""Many edges, one collector that cannot get rid of its events: they wait in the files, not in memory."""
import json
import os
import shutil
import tempfile
import unittest

from support.net import Receiver, free_port
from support.processes import peak_rss_bytes
from support.tiers import Tier, wait_for_ports
from support.waiting import wait_out, wait_until

EDGES = 10
LINES = 20_000
WIDTH = 1000
MB = 1 << 20

EDGE = """a1.sources = r1
a1.channels = c1
a1.sinks = k1
a1.sources.r1.type = TAILDIR
a1.sources.r1.filegroups = f
a1.sources.r1.filegroups.f = {dir}/in/app[.]log
a1.sources.r1.positionFile = {dir}/positions.json
a1.sources.r1.writePosInterval = 100
a1.sources.r1.channels = c1
a1.sinks.k1.type = avro
a1.sinks.k1.hostname = 127.0.0.1
a1.sinks.k1.port = %d
a1.sinks.k1.batch-size = 100
a1.sinks.k1.channel = c1
"""
COLLECTOR = """a1.sources = r1
a1.channels = c1
a1.sinks = k1
a1.sources.r1.type = avro
a1.sources.r1.bind = 127.0.0.1
a1.sources.r1.port = %d
a1.sources.r1.channels = c1
a1.sinks.k1.type = tcp
a1.sinks.k1.hostname = 127.0.0.1
a1.sinks.k1.port = %d
a1.sinks.k1.channel = c1
"""


def channel(kind, capacity):
    return "".join("a1.channels.c1.%s\n" % line for line in (
        "type = " + kind, "capacity = %d" % capacity, "transactionCapacity = 100", "keep-alive = 1"))


class FanIn(unittest.TestCase):
    def run_blocked(self, edge_channel, collector_channel, edge_rss_max, collector_rss_max):
        directory = tempfile.mkdtemp(prefix="sluice-test-")
        self.addCleanup(shutil.rmtree, directory, True)
        wanted = {}
        with Receiver(small_buffer=True) as receiver:
            receiver.pause()
            port = free_port()
            collector = Tier(directory, "collector", COLLECTOR % (port, receiver.port) + collector_channel)
            edges = [Tier(directory, "e%d" % i, EDGE % port + edge_channel) for i in range(EDGES)]
            for edge in edges:
                self.addCleanup(edge.end)
                lines = [b"%s %d %s" % (edge.name.encode(), i, b"x" * WIDTH) for i in range(LINES)]
                wanted[edge.name] = lines
                with open(edge.path("in", "app.log"), "wb") as file:
                    file.write(b"\n".join(lines) + b"\n")
            self.addCleanup(collector.end)
            collector.start()
            wait_for_ports([collector])
            for edge in edges:
                edge.start()
            for edge in edges:
                edge.agent.wait_until_running()
            self.stays_blocked(edges, collector)
            print("peak RSS, MB:", [peak_rss_bytes(tier.agent.pid) // MB for tier in (collector, *edges)])
            for edge in edges:
                self.assertLess(peak_rss_bytes(edge.agent.pid), edge_rss_max, edge.name)
            self.assertLess(peak_rss_bytes(collector.agent.pid), collector_rss_max)
            receiver.go_on()
            total = sum(len(line) + 1 for lines in wanted.values() for line in lines)
            content = receiver.wait_for(total, 120)
            for edge in edges:
                edge.stop()
            collector.stop()
            self.assertEqual(receiver.content(), content, "nothing comes behind the last line")
        got = {}
        for line in content.split(b"\n")[:-1]:
            got.setdefault(line.split(b" ")[0].decode(), []).append(line)
        for name, lines in wanted.items():
            self.assertTrue(got[name] == lines, "%s: %d lines of %d, or not in order" % (
                name, len(got[name]), len(lines)))

    def position(self, edge):
        """Where the edge stands in its file; what it says of it is as old as writePosInterval at most."""
        try:
            with open(edge.path("positions.json")) as file:
                rows = json.load(file)
        except FileNotFoundError:
            return 0
        return rows[0]["pos"] if rows else 0

    def stays_blocked(self, edges, collector):
        """All of them come to a halt far from the end of their files, and stay there."""
        size = os.path.getsize(edges[0].path("in", "app.log"))
        capacity = int(collector.agent.metrics()["CHANNEL.c1"]["ChannelCapacity"])
        wait_until(lambda: collector.waiting() > capacity - 2 * 100, lambda: "%d of %d" % (
            collector.waiting(), capacity), 30)
        # Of a thousand events in a channel, eight calls of a hundred may be on their way.
        wait_until(lambda: all(edge.waiting() >= 200 for edge in edges),
                   lambda: [edge.waiting() for edge in edges], 30)
        collector.agent.wait_for_log(r"answered with FAILED", 20)
        for edge in edges:
            edge.agent.wait_for_log(r"unable to deliver events: .* the receiver answered FAILED", 30)
        state = None

        def settled():
            nonlocal state
            before, state = state, [self.position(edge) for edge in edges]
            return before == state
        wait_until(settled, lambda: "positions %s" % state, 20, 1.0)
        wait_out(2.0, lambda: [self.position(edge) for edge in edges] == state)
        for edge, position in zip(edges, state):
            self.assertLess(position, size / 2, edge.name)
            self.assertTrue(edge.running())

    def test_in_memory_all_the_way(self):
        self.run_blocked(channel("memory", 1000), channel("memory", 2000), 30 * MB, 64 * MB)

    def test_with_channels_on_disk(self):
        self.run_blocked(channel("rocksdb", 1000), channel("rocksdb", 2000), 38 * MB, 64 * MB)


if __name__ == "__main__":
    unittest.main(verbosity=2)
