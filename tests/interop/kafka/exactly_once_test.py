"""From a file through the durable channel into Kafka: every line once, whoever is killed."""
import collections
import os
import random
import shutil
import tempfile
import threading
import unittest

from peers.extent import FULL, full
from peers.kafka import Cluster
from peers.kafka_flows import kafka_sink
from support.agent import Agent, fail_points, flow, lists
from support.waiting import wait_out, wait_until

TAIL = ("type = TAILDIR\nfilegroups = g\nfilegroups.g = {dir}/in/.*\npositionFile = {dir}/positions.json\n"
        "batchSize = 1000\n")
DURABLE = "type = rocksdb\ncapacity = 1000000\n"
ONCE = "delivery = exactly-once\ntransactionTime = 50\n"


class Writer(threading.Thread):
    """Appends numbered lines to a file until it is told to stop."""

    def __init__(self, path):
        super().__init__()
        self.path, self.written, self.over = path, 0, threading.Event()

    def run(self):
        with open(self.path, "ab", buffering=0) as file:
            while not self.over.wait(0.01):
                file.write(b"".join(b"%d %s\n" % (i, b"x" * 100) for i in range(self.written, self.written + 200)))
                self.written += 200

    def stop(self):
        self.over.set()
        if self.is_alive():
            self.join()
        return self.written


class EveryLineOnce(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="sluice-test-")
        os.mkdir(os.path.join(self.directory, "in"))
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.writer = Writer(os.path.join(self.directory, "in", "lines"))
        self.addCleanup(self.writer.stop)

    def agent(self, cluster, mode, kill_at=None):
        text = lists("1") + flow(TAIL, kafka_sink(cluster, "t", "kafka.flumeBatchSize = 500\n" + mode), DURABLE)
        return Agent(text.replace("a1.channels.c1.type = memory\n", ""), directory=self.directory,
                     arguments=["-Dsluice.state.dir=" + os.path.join(self.directory, "state")],
                     environment={"SLUICE_KILL_AT": kill_at} if kill_at else None)

    def numbers(self, cluster):
        return [int(each.value.split(b" ")[0]) for each in cluster.read("t")]

    def drain(self, cluster, mode, deadline_s=90):
        """What is written by now arrives; the numbers, as a consumer of committed records has them."""
        count = self.writer.stop()
        with self.agent(cluster, mode) as agent:
            wait_until(lambda: len(set(self.numbers(cluster))) >= count,
                       lambda: "%d of %d" % (len(set(self.numbers(cluster))), count), deadline_s, poll_s=0.5)
            self.assertEqual(agent.stop(), 0)
        numbers = self.numbers(cluster)
        self.assertEqual(sorted(set(range(count)) - set(numbers))[:10], [], "missing of %d" % count)
        twice = [number for number, times in collections.Counter(numbers).items() if times > 1]
        print("%d lines, %d came twice" % (count, len(twice)))
        return count, twice

    def kill_again_and_again(self, cluster, mode, kills):
        """At each point by name, and at any moment."""
        points = [point for point in fail_points("channel", "transaction") if mode == ONCE or not point.startswith("transaction")]
        hit = collections.Counter()
        for kill in range(kills):
            point = points[kill // 2 % len(points)] if kill % 2 == 0 else None
            first = point is not None and point.startswith("recovery")
            at = "%s:%d" % (point, 1 if first else random.randint(1, 8)) if point else None
            with self.agent(cluster, mode, at) as agent:
                if point is None:
                    wait_out(random.random() * 0.7, agent.running)
                    agent.kill(9)
                try:
                    self.assertEqual(agent.wait(20), -9)
                    hit[point] += 1
                finally:
                    agent.kill(9)
        missed = set(points[:kills // 2]) - set(hit)
        self.assertEqual(missed, set(), "points that no agent came by")

    def test_the_agent_is_killed_at_every_step(self):
        with Cluster() as cluster:
            cluster.create("t", 3)
            self.writer.start()
            self.kill_again_and_again(cluster, ONCE, 100 if FULL else 22)
            _, twice = self.drain(cluster, ONCE)
            self.assertEqual(twice, [])

    @full
    def test_at_least_once_loses_nothing(self):
        with Cluster() as cluster:
            cluster.create("t", 3)
            self.writer.start()
            self.kill_again_and_again(cluster, "", 100)
            self.drain(cluster, "")

    @full
    def test_brokers_are_killed_too(self):
        with Cluster(3) as cluster:
            cluster.create("t", 3)
            self.writer.start()
            for turn in range(8):
                with self.agent(cluster, ONCE) as agent:
                    wait_out(2, agent.running)
                    leader = cluster.leader("t", turn % 3)
                    leader.die()
                    wait_out(2 + random.random() * 3, agent.running)
                    if turn % 2 == 0:
                        agent.kill(9)
                    else:
                        self.assertEqual(agent.stop(deadline_s=20), 0)
                    leader.start_again()
                    cluster.wait_until_in_sync("t")
            _, twice = self.drain(cluster, ONCE)
            self.assertEqual(twice, [])

    def test_a_channel_in_memory_is_refused(self):
        with Cluster() as cluster:
            text = lists("1") + flow(TAIL, kafka_sink(cluster, "t", ONCE))
            with Agent(text, directory=self.directory) as agent:
                agent.wait_for_log("exactly-once needs a channel on disk")


if __name__ == "__main__":
    unittest.main()
