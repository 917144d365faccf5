"""From a file through the durable channel into Kafka: every line once, whoever is killed."""
import collections
import concurrent.futures
import contextlib
import os
import random
import shutil
import signal
import tempfile
import threading
import unittest

from peers.extent import FULL, full
from peers.kafka import VERSIONS, Cluster, record
from peers.kafka_flows import kafka_sink
from sink_test import said_of
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


class FromFileToTopic(unittest.TestCase):
    """A file that grows, an agent that may be killed, and what a consumer of committed records finds."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="sluice-test-")
        os.mkdir(os.path.join(self.directory, "in"))
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.writer = Writer(os.path.join(self.directory, "in", "lines"))
        self.addCleanup(self.writer.stop)

    def agent(self, cluster, mode, kill_at=None, directory=None):
        directory = directory or self.directory
        text = lists("1") + flow(TAIL, kafka_sink(cluster, "t", "kafka.flumeBatchSize = 500\n" + mode), DURABLE)
        text = text.replace("a1.channels.c1.type = memory\n", "").replace("{dir}/in/", os.path.join(self.directory, "in", ""))
        return Agent(text, directory=directory, arguments=["-Dsluice.state.dir=" + os.path.join(directory, "state")],
                     environment={"SLUICE_KILL_AT": kill_at} if kill_at else None)

    def numbers(self, cluster):
        return [int(each.value.split(b" ")[0]) for each in cluster.read("t")]

    def wait_for_all(self, cluster, count, deadline_s=90):
        def there():
            return len({number for number in self.numbers(cluster) if number >= 0})
        wait_until(lambda: there() >= count, lambda: "%d of %d" % (there(), count), deadline_s, poll_s=0.5)

    def drain(self, cluster, mode, deadline_s=90):
        """What is written by now arrives; how much that is, and what a consumer of committed records has twice."""
        count = self.writer.stop()
        with self.agent(cluster, mode) as agent:
            self.wait_for_all(cluster, count, deadline_s)
            self.assertEqual(agent.stop(), 0)
        return self.check(cluster, count)

    def check(self, cluster, count):
        numbers = self.numbers(cluster)
        self.assertEqual(sorted(set(range(count)) - set(numbers))[:10], [], "missing of %d" % count)
        twice = [number for number, times in collections.Counter(numbers).items() if times > 1]
        print("%d lines, %d came twice" % (count, len(twice)))
        return count, twice

    def kill_again_and_again(self, cluster, mode, kills, deadline_s=20, wait_max_s=0.7):
        """At each point by name, and at any moment."""
        points = [point for point in fail_points("channel", "transaction") if mode == ONCE or not point.startswith("transaction")]
        hit = collections.Counter()
        for kill in range(kills):
            point = points[kill // 2 % len(points)] if kill % 2 == 0 else None
            first = point is not None and point.startswith("recovery")
            at = "%s:%d" % (point, 1 if first else random.randint(1, 8)) if point else None
            with self.agent(cluster, mode, at) as agent:
                if point is None:
                    wait_out(random.random() * wait_max_s, agent.running)
                    agent.kill(9)
                try:
                    self.assertEqual(agent.wait(deadline_s), -9)
                    hit[point] += 1
                finally:
                    agent.kill(9)
        missed = set(points[:kills // 2]) - set(hit)
        self.assertEqual(missed, set(), "points that no agent came by")


class EveryLineOnce(FromFileToTopic):
    def kill_at_every_step(self, version):
        with Cluster(version=version) as cluster:
            cluster.create("t", 3)
            self.writer.start()
            self.kill_again_and_again(cluster, ONCE, 100 if FULL else 22)
            _, twice = self.drain(cluster, ONCE)
            self.assertEqual(twice, [])

    def test_the_agent_is_killed_at_every_step(self):
        self.kill_at_every_step(VERSIONS[0])

    @full
    def test_the_same_with_kafka_3_9(self):
        self.kill_at_every_step("3.9")

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

    def kill_both(self, cluster, mode, kills):
        """The agent at every step, while one broker after the other is killed; how many of these."""
        died = 0
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            # Brokers live no longer than the thread that starts them.
            agents = pool.submit(self.kill_again_and_again, cluster, mode, kills, deadline_s=60, wait_max_s=4)
            while not agents.done():
                node = random.choice(cluster.nodes)
                node.die()
                died += 1
                wait_out(random.random() * 2, lambda: True)
                node.start_again()
                cluster.wait_until_in_sync("t", 60)
            agents.result()
        print("%d kills of the agent, %d of brokers" % (kills, died))
        return died

    @full
    def test_the_agent_is_killed_at_every_step_and_brokers_with_it(self):
        with Cluster(3) as cluster:
            cluster.create("t", 3)
            self.writer.start()
            died = self.kill_both(cluster, ONCE, 100)
            _, twice = self.drain(cluster, ONCE)
            self.assertEqual(twice, [])
            self.assertGreaterEqual(died, 10)

    @full
    def test_at_least_once_loses_nothing_when_brokers_are_killed_too(self):
        with Cluster(3) as cluster:
            cluster.create("t", 3)
            self.writer.start()
            self.kill_both(cluster, "", 100)
            self.drain(cluster, "")

    def test_a_channel_in_memory_is_refused(self):
        with Cluster() as cluster:
            text = lists("1") + flow(TAIL, kafka_sink(cluster, "t", ONCE))
            with Agent(text, directory=self.directory) as agent:
                agent.wait_for_log("exactly-once needs a channel on disk")


# How often a broker looks for transactions that last too long.
QUICK_ABORTS = "transaction.abort.timed.out.transaction.cleanup.interval.ms = 1000\n"


class Zombies(FromFileToTopic):
    """An agent that was thought dead, and transactions that a broker has ended by itself."""

    VERSION = VERSIONS[0]
    MODE = ONCE + "kafka.producer.transaction.timeout.ms = 10000\n"

    @contextlib.contextmanager
    def cluster(self, settings=""):
        """With the topic, and with lines that are written into the file."""
        with Cluster(version=self.VERSION, settings=QUICK_ABORTS + settings) as cluster:
            cluster.create("t", 3)
            self.writer.start()
            yield cluster

    def flows(self, cluster, more=2000):
        """Waits until so many more lines are committed. (Offsets say less: aborted transactions have some too.)"""
        wanted = len(self.numbers(cluster)) + more
        wait_until(lambda: len(self.numbers(cluster)) >= wanted, "%d lines" % wanted, 60, poll_s=0.2)

    @full
    def test_an_agent_that_a_copy_of_its_store_took_the_place_of(self):
        copy = tempfile.mkdtemp(prefix="sluice-test-")
        self.addCleanup(shutil.rmtree, copy, True)
        with self.cluster() as cluster:
            with self.agent(cluster, ONCE) as zombie:
                self.flows(cluster)
                self.freeze_within_a_transaction(cluster, zombie)
                shutil.copytree(os.path.join(self.directory, "state"), os.path.join(copy, "state"),
                                ignore=shutil.ignore_patterns("*.socket"))
                with self.agent(cluster, ONCE, directory=copy) as successor:
                    self.flows(cluster)
                    zombie.kill(signal.SIGCONT)
                    print("said: %s" % zombie.wait_for_log(r"^.*sink k1.*another agent with a copy of this store.*$", 90)[0])
                    self.flows(cluster)
                    count = self.writer.stop()
                    self.wait_for_all(cluster, count)
                    self.assertEqual(successor.stop(), 0)
                self.assertEqual(zombie.stop(), 0)
            _, twice = self.check(cluster, count)
            self.assertEqual(twice, [])

    def has_open_transaction(self, cluster):
        return cluster.ends("t", "read_committed") != cluster.ends("t")

    def freeze_within_a_transaction(self, cluster, agent):
        """Frozen with records in the topic that are not committed."""
        def frozen():
            agent.kill(signal.SIGSTOP)
            if self.has_open_transaction(cluster):
                return True
            agent.kill(signal.SIGCONT)
            return False
        wait_until(frozen, "it is frozen within a transaction", 30, poll_s=0.05)

    def wait_until_the_broker_ends_it(self, cluster):
        wait_until(lambda: not self.has_open_transaction(cluster), "the transaction was ended by its broker", 60, poll_s=0.2)

    @full
    def test_an_agent_that_was_frozen_longer_than_its_transaction_may_be(self):
        with self.cluster() as cluster:
            with self.agent(cluster, self.MODE) as agent:
                self.flows(cluster)
                self.freeze_within_a_transaction(cluster, agent)
                self.wait_until_the_broker_ends_it(cluster)
                agent.kill(signal.SIGCONT)
                self.flows(cluster, 10_000)
                self.assertEqual(agent.stop(), 0)
            _, twice = self.drain(cluster, self.MODE)
            self.assertEqual(twice, [])

    @full
    def test_an_agent_that_died_holds_other_readers_up_no_longer_than_its_transaction_may_last(self):
        with self.cluster() as cluster:
            with self.agent(cluster, self.MODE) as agent:
                self.flows(cluster)
                self.freeze_within_a_transaction(cluster, agent)
                agent.kill(9)
                agent.wait()
            cluster.produce("t", [record(b"-1 of somebody else", partition=i) for i in range(3)])
            self.assertNotEqual(self.numbers(cluster).count(-1), 3)
            self.wait_until_the_broker_ends_it(cluster)
            self.assertEqual(self.numbers(cluster).count(-1), 3)
            _, twice = self.drain(cluster, self.MODE)
            self.assertEqual(twice, [-1])

    @full
    def test_brokers_that_are_away_longer_than_a_transaction_may_last(self):
        with self.cluster() as cluster:
            with self.agent(cluster, self.MODE) as agent:
                self.flows(cluster)
                cluster.nodes[0].die()
                wait_out(25, agent.running)
                cluster.nodes[0].start_again()
                self.flows(cluster, 10_000)
                self.assertEqual(agent.stop(), 0)
                print("said: %s" % "\n      ".join(said_of(agent)))
                self.assertLess(len(said_of(agent)), 30)
            _, twice = self.drain(cluster, self.MODE)
            self.assertEqual(twice, [])

    @full
    def test_a_downtime_that_is_longer_than_a_broker_keeps_offsets(self):
        with self.cluster("offsets.retention.minutes = 1\noffsets.retention.check.interval.ms = 1000\n") as cluster:
            with self.agent(cluster, ONCE) as agent:
                self.flows(cluster)
                agent.kill(9)
                agent.wait()
            group = next(name for name in cluster.shell.ask("groups") if name.startswith("sluice-k1-"))
            wait_until(lambda: not cluster.group(group), "the broker has forgotten the position", 150, poll_s=1)
            count = self.writer.stop()
            with self.agent(cluster, ONCE) as agent:
                print("said: %s" % agent.wait_for_log(r"^.*sink k1.*position.*$", 30)[0])
                self.wait_for_all(cluster, count)
                self.assertEqual(agent.stop(), 0)
            self.check(cluster, count)


@full
class ZombiesOfKafka39(Zombies):
    VERSION = "3.9"


if __name__ == "__main__":
    unittest.main()
