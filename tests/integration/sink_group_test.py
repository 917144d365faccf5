#!/usr/bin/env python3
"""Sink groups: two receivers behind one channel, one of which goes away and comes back."""
import unittest

from support.agent import NETCAT, Agent, file_roll, flow, lists, roll_content
from support.net import Receiver, free_port, lost_and_doubled, numbered, send_and_read
from support.waiting import wait_until


def tcp(port):
    return "type = tcp\nhostname = 127.0.0.1\nport = %d\nconnect-timeout = 2000\n" % port


def group(sinks, processor, channel="capacity = 200000"):
    """r1 -> c1 -> k1, k2 ... in group g1; each sink and the processor are lines "key = value"."""
    names = ["k%d" % (i + 1) for i in range(len(sinks))]
    text = lists("1") + flow(NETCAT, sinks[0], channel)
    text += "a1.sinks = %s\na1.sinkgroups = g1\na1.sinkgroups.g1.sinks = %s\n" % ((" ".join(names),) * 2)
    for name, sink in zip(names[1:], sinks[1:]):
        text += "".join("a1.sinks.%s.%s\n" % (name, line) for line in sink.splitlines())
        text += "a1.sinks.%s.channel = c1\n" % name
    return text + "".join("a1.sinkgroups.g1.processor.%s\n" % line for line in processor.splitlines())


class Groups(unittest.TestCase):
    def send(self, agent, count, first=0):
        self.assertEqual(send_and_read(agent.port(), numbered(count, first=first)), b"OK\n" * count)

    def delivered(self, agent, sink):
        return int(agent.sample("sluice_sink_delivered_events_total", component=sink))

    def wait_for_delivered(self, agent, total):
        wait_until(lambda: self.delivered(agent, "k1") + self.delivered(agent, "k2") == total,
                   lambda: "%d events delivered" % total)

    def assert_books_balance(self, agent):
        for unit in ("events", "bytes"):
            def total(name, *components):
                return sum(agent.sample("sluice_%s_%s_total" % (name, unit), component=c) for c in components)
            self.assertEqual(total("channel_put", "c1"), total("sink_delivered", "k1", "k2"))
            self.assertEqual(total("channel_committed", "c1"), total("sink_delivered", "k1", "k2"))

    def assert_flume_counts(self, agent, **expected):
        """(attempted, delivered) of each sink, under Flume's names."""
        metrics = agent.metrics()
        for sink, (attempts, delivered) in expected.items():
            values = metrics["SINK." + sink]
            self.assertEqual((int(values["EventDrainAttemptCount"]), int(values["EventDrainSuccessCount"])),
                             (attempts, delivered), sink)


class Failover(Groups):
    PROCESSOR = "type = failover\npriority.k1 = 5\npriority.k2 = 10\nmaxpenalty = 300\n"

    def test_the_best_that_works_gets_all_and_gets_it_back(self):
        with Receiver() as first, Receiver() as second:
            config = group([tcp(first.port), tcp(second.port)], self.PROCESSOR)
            with Agent(config, monitoring=True) as agent:
                self.send(agent, 3000)
                second.wait_for(len(numbered(3000)))
                self.assertEqual(first.content(), b"")
                self.assertEqual(agent.http("/readyz"), (200, "ready\n"))

                second.cut()
                self.send(agent, 2000, first=3000)
                self.wait_for_delivered(agent, 5000)
                self.assertEqual(self.delivered(agent, "k1"), 2000)
                agent.wait_for_log(r"sink k2: unable to deliver events: .*refused.* again by sink group g1")
                self.assertEqual(agent.http("/readyz")[0], 200, "one of the group works")
                self.assertTrue(first.wait_for(1) and first.content() == numbered(2000, first=3000))

                second.start()
                sent = self.send_until_back(agent, 5000)
                agent.wait_for_log("sink k2: delivering again")
                self.wait_for_delivered(agent, sent)
                self.assert_books_balance(agent)
                self.assertEqual(agent.stop(), 0)
            self.assertEqual(lost_and_doubled(first.content() + second.content(), sent), ([], 0))

    def send_until_back(self, agent, sent):
        """Line by line, until the sink of the higher priority has one; then 100 more go there."""
        def is_back():
            nonlocal sent
            self.send(agent, 1, first=sent)
            sent += 1
            self.wait_for_delivered(agent, sent)
            return self.delivered(agent, "k2") > 3000
        wait_until(is_back, lambda: "sink k2 has a line again")
        other = self.delivered(agent, "k1")
        self.send(agent, 100, first=sent)
        self.wait_for_delivered(agent, sent + 100)
        self.assertEqual(self.delivered(agent, "k1"), other)
        return sent + 100

    def test_when_all_are_down_the_events_wait_and_readyz_says_who(self):
        ports = [free_port(), free_port()]
        config = group([tcp(port) for port in ports], self.PROCESSOR)
        with Agent(config, monitoring=True) as agent:
            self.send(agent, 1000)
            agent.wait_for_log("sink group g1: All sinks failed to process, nothing left to failover to")
            wait_until(lambda: agent.http("/readyz")[0] == 503, lambda: agent.http("/readyz"))
            self.assertEqual(agent.http("/readyz")[1].splitlines(),
                             ["sink group g1: retrying", "sink k2: retrying", "sink k1: retrying"])
            with Receiver(ports[0]) as receiver:
                self.assertTrue(receiver.wait_for(len(numbered(1000))) == numbered(1000))
                self.wait_for_delivered(agent, 1000)
                self.assertEqual(agent.http("/readyz")[0], 200)
                self.assert_books_balance(agent)
                self.assertEqual(agent.stop(), 0)

    def test_a_member_that_cannot_be_opened_is_replaced_at_once(self):
        config = group([file_roll("nowhere"), file_roll("out")], "type = failover\npriority.k1 = 9\n")
        with Agent(config, monitoring=True, folders=["out"]) as agent:
            self.send(agent, 1000)
            self.wait_for_delivered(agent, 1000)
            self.assert_flume_counts(agent, k1=(0, 0), k2=(1000, 1000))
            self.assertEqual(agent.stop(), 0)
            self.assertTrue(roll_content(agent.path("out")) == numbered(1000))


class LoadBalance(Groups):
    def test_shares_are_even_and_a_dead_one_is_left_out_and_taken_back(self):
        with Receiver() as first, Receiver() as second:
            config = group([tcp(first.port), tcp(second.port)],
                           "type = load_balance\nbackoff = true\nselector.maxTimeOut = 300\n")
            with Agent(config, monitoring=True) as agent:
                for i in range(20):
                    self.send(agent, 1, first=i)
                    self.wait_for_delivered(agent, i + 1)
                self.assert_flume_counts(agent, k1=(10, 10), k2=(10, 10))

                first.cut()
                self.send(agent, 3000, first=20)
                self.wait_for_delivered(agent, 3020)
                self.assertEqual(self.delivered(agent, "k1"), 10)
                agent.wait_for_log("sink k1: unable to deliver events: .*refused")
                self.assertEqual(agent.http("/readyz")[0], 200)

                first.start()
                sent = self.send_until_even(agent, 3020)
                self.assert_books_balance(agent)
                self.assertEqual(agent.stop(), 0)
            self.assertEqual(lost_and_doubled(first.content() + second.content(), sent), ([], 0))

    def send_until_even(self, agent, sent):
        """Line by line, until both have had ten more, in turn at the end."""
        before = {sink: self.delivered(agent, sink) for sink in ("k1", "k2")}

        def both():
            nonlocal sent
            self.send(agent, 1, first=sent)
            sent += 1
            self.wait_for_delivered(agent, sent)
            return all(self.delivered(agent, sink) >= before[sink] + 10 for sink in before)
        wait_until(both, lambda: "both sinks take their turns")
        return sent

    def test_a_stop_drains_through_all_of_them(self):
        with Receiver() as first, Receiver() as second:
            config = group([tcp(first.port), tcp(second.port)], "type = load_balance\nselector = random\n")
            with Agent(config) as agent:
                self.send(agent, 50_000)
                self.assertEqual(agent.stop(), 0)
            wait_until(lambda: lost_and_doubled(first.content() + second.content(), 50_000) == ([], 0),
                       lambda: "all lines, once")

    def test_events_of_a_durable_channel_survive_a_kill_while_the_group_is_down(self):
        ports = [free_port(), free_port()]
        config = group([tcp(port) for port in ports], "type = load_balance\nselector.maxTimeOut = 300\n",
                       "type = rocksdb")
        with Agent(config, arguments=["-Dsluice.state.dir=state"], monitoring=True) as agent:
            self.send(agent, 2000)
            agent.wait_for_log("sink group g1: All configured sinks have failed")
            agent.kill(9)
            agent.wait()
            with Agent(config, arguments=["-Dsluice.state.dir=" + agent.path("state")], monitoring=True) as again:
                with Receiver(ports[1]) as receiver:
                    receiver.wait_for(len(numbered(2000)))
                    self.wait_for_delivered(again, 2000)
                    self.assertEqual(lost_and_doubled(receiver.content(), 2000), ([], 0))
                    self.assertEqual(again.stop(), 0)


class Differences(Groups):
    def test_sinks_of_different_channels_are_groups_of_their_own(self):
        config = group([file_roll("one"), file_roll("two")], "type = failover\n")
        config = config.replace("a1.channels = c1", "a1.channels = c1 c2\na1.channels.c2.type = memory")
        config = config.replace("a1.sinks.k2.channel = c1", "a1.sinks.k2.channel = c2")
        config = config.replace("a1.sources.r1.channels = c1", "a1.sources.r1.channels = c1 c2")
        with Agent(config, folders=["one", "two"]) as agent:
            agent.wait_for_log("the sinks of sink group g1 read different channels: c1, c2")
            self.send(agent, 100)
            wait_until(lambda: roll_content(agent.path("one")) == roll_content(agent.path("two")) == numbered(100),
                       lambda: "both have all")
            self.assertEqual(agent.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
