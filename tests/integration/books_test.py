#!/usr/bin/env python3
"""The books of DESIGN.md section 10, read over HTTP: every event made is accounted for."""
import unittest

from support.agent import NETCAT, Agent, file_roll, flow, lists, pipeline, roll_content
from support.net import Receiver, connect, free_port, numbered, read_exactly, send_and_read
from support.waiting import wait_until

FLUME_SOURCE = {"Type", "StartTime", "StopTime", "EventReceivedCount", "EventAcceptedCount",
                "AppendReceivedCount", "AppendAcceptedCount", "AppendBatchReceivedCount",
                "AppendBatchAcceptedCount", "OpenConnectionCount", "EventReadFail", "ChannelWriteFail",
                "GenericProcessingFail"}
FLUME_CHANNEL = {"Type", "StartTime", "StopTime", "ChannelCapacity", "ChannelSize",
                 "ChannelFillPercentage", "EventPutAttemptCount", "EventPutSuccessCount",
                 "EventTakeAttemptCount", "EventTakeSuccessCount"}
FLUME_SINK = {"Type", "StartTime", "StopTime", "ConnectionCreatedCount", "ConnectionClosedCount",
              "ConnectionFailedCount", "BatchEmptyCount", "BatchUnderflowCount", "BatchCompleteCount",
              "EventDrainAttemptCount", "EventDrainSuccessCount", "EventWriteFail", "ChannelReadFail"}


def tcp(port):
    return "type = tcp\nhostname = 127.0.0.1\nport = %d\n" % port


class Books(unittest.TestCase):
    def book(self, agent):
        """A function (kind, what, component) -> (events, bytes), all of one moment."""
        samples = agent.samples()

        def read(kind, what, component):
            found = []
            for unit in ("events", "bytes"):
                values = [value for (name, labels), value in samples.items()
                          if name in ("sluice_%s_%s_%s_total" % (kind, what, unit),
                                      "sluice_%s_%s_%s" % (kind, what, unit))
                          and dict(labels)["component"] == component]
                self.assertEqual(len(values), 1, (kind, what, unit, component))
                found.append(int(values[0]))
            return tuple(found)
        return read

    def assert_balanced(self, read, sources, channels, sinks):
        def total(kind, component, *whats):
            flows = [read(kind, what, component) for what in whats]
            return tuple(map(sum, zip(*flows)))
        for source in sources:
            self.assertEqual(total("source", source, "made", "copied"),
                             total("source", source, "filtered", "unrouted", "doubles", "refused", "put"), source)
        for channel in channels:
            self.assertEqual(total("channel", channel, "put"),
                             total("channel", channel, "committed", "in_flight", "stored", "lost"), channel)
        put = tuple(map(sum, zip(*(read("source", "put", s) for s in sources))))
        received = tuple(map(sum, zip(*(read("channel", "put", c) for c in channels))))
        dead = tuple(map(sum, zip(*(read("sink", "dead_letters_put", s) for s in sinks))))
        self.assertEqual(tuple(map(sum, zip(put, dead))), received, "what sources and sinks put is what channels got")
        committed = tuple(map(sum, zip(*(read("channel", "committed", c) for c in channels))))
        done = tuple(map(sum, zip(*(total("sink", s, "delivered", "dead_lettered") for s in sinks))))
        self.assertEqual(committed, done, "what channels committed is what sinks delivered")

    def test_a_plain_run_balances_in_events_and_bytes(self):
        content = numbered(10_000)
        with Agent(pipeline(NETCAT, file_roll()), folders=["out"], monitoring=True) as agent:
            self.assertEqual(send_and_read(agent.port(), content), b"OK\n" * 10_000)
            wait_until(lambda: self.book(agent)("sink", "delivered", "k1")[0] == 10_000, "all is delivered")
            read = self.book(agent)
            self.assert_balanced(read, ["r1"], ["c1"], ["k1"])
            self.assertEqual(read("source", "made", "r1"), (10_000, len(content) - 10_000))
            self.assertEqual(read("sink", "delivered", "k1"), (10_000, len(content) - 10_000))
            self.assertTrue(roll_content(agent.path("out")) == content)

    def test_copies_and_what_waits_are_in_the_books(self):
        config = (lists("1") + flow(NETCAT, file_roll(), "capacity = 20000") +
                  "a1.channels = c1 c2\na1.sinks = k1 k2\na1.sources.r1.channels = c1 c2\n"
                  "a1.channels.c2.type = memory\na1.channels.c2.capacity = 20000\na1.sinks.k2.channel = c2\n" +
                  "".join("a1.sinks.k2.%s\n" % line for line in tcp(free_port()).splitlines()))
        with Agent(config, folders=["out"], monitoring=True, arguments=["-Dsluice.drain.ms=100"]) as agent:
            self.assertEqual(send_and_read(agent.port(), numbered(3000)), b"OK\n" * 3000)
            wait_until(lambda: self.book(agent)("sink", "delivered", "k1")[0] == 3000, "all is delivered")
            agent.wait_for_log("sink k2: unable to deliver")
            read = self.book(agent)
            self.assertEqual(read("source", "copied", "r1")[0], 3000)
            self.assertEqual(read("channel", "committed", "c2"), (0, 0))
            waiting = [read("channel", what, "c2")[0] for what in ("stored", "in_flight")]
            self.assertEqual(sum(waiting), 3000)
            self.assert_balanced(read, ["r1"], ["c1", "c2"], ["k1", "k2"])

    def test_retries_and_a_lost_receiver_keep_the_books_balanced(self):
        with Receiver() as receiver:
            config = pipeline(NETCAT, tcp(receiver.port), "capacity = 100000")
            with Agent(config, monitoring=True) as agent:
                port = agent.port()
                self.assertEqual(send_and_read(port, numbered(5000)), b"OK\n" * 5000)
                receiver.cut()
                self.assertEqual(send_and_read(port, numbered(5000)), b"OK\n" * 5000)
                agent.wait_for_log("sink k1: unable to deliver")
                receiver.start()
                wait_until(lambda: self.book(agent)("sink", "delivered", "k1")[0] == 10_000, "all is delivered")
                self.assert_balanced(self.book(agent), ["r1"], ["c1"], ["k1"])
                self.assertGreaterEqual(int(agent.metrics()["SINK.k1"]["EventWriteFail"]), 1)

    def test_memory_accounts_stay_within_the_printed_sum(self):
        config = pipeline(NETCAT, tcp(free_port()), "capacity = 100000")
        with Agent(config, monitoring=True, arguments=["-Dsluice.drain.ms=100"]) as agent:
            self.assertEqual(send_and_read(agent.port(), numbered(20_000)), b"OK\n" * 20_000)
            printed = int(agent.wait_for_log(r"memory accounts sum up to (\d+) MiB")[1]) << 20
            used = agent.sample("sluice_memory_used_bytes")
            self.assertGreater(used, 20_000)
            self.assertLessEqual(agent.sample("sluice_memory_peak_bytes"), printed + (1 << 20))
            self.assertLessEqual(used, agent.sample("sluice_memory_limit_bytes"))


class FlumeNames(unittest.TestCase):
    def test_metrics_are_what_flumes_dashboards_read(self):
        with Agent(pipeline(NETCAT, "type = null"), monitoring=True) as agent:
            client = connect(agent.port())
            client.sendall(b"hello\n" * 250)
            read_exactly(client, 750)
            wait_until(lambda: agent.metrics()["SINK.k1"]["EventDrainSuccessCount"] == "250", "delivered")
            metrics = agent.metrics()
            client.close()
            self.assertEqual(set(metrics), {"SOURCE.r1", "CHANNEL.c1", "SINK.k1"})
            for name, attributes in metrics.items():
                self.assertTrue(all(isinstance(value, str) for value in attributes.values()), name)
            self.assertLessEqual(FLUME_SOURCE, set(metrics["SOURCE.r1"]))
            self.assertLessEqual(FLUME_CHANNEL, set(metrics["CHANNEL.c1"]))
            self.assertLessEqual(FLUME_SINK, set(metrics["SINK.k1"]))
            source, channel = metrics["SOURCE.r1"], metrics["CHANNEL.c1"]
            self.assertEqual((source["Type"], source["EventReceivedCount"], source["EventAcceptedCount"],
                              source["OpenConnectionCount"]), ("SOURCE", "250", "250", "1"))
            self.assertEqual((channel["ChannelCapacity"], channel["ChannelSize"], channel["ChannelFillPercentage"],
                              channel["EventPutSuccessCount"], channel["EventTakeSuccessCount"]),
                             ("1000", "0", "0.0", "250", "250"))

    def test_paths_methods_and_health(self):
        with Agent(pipeline(), monitoring=True) as agent:
            agent.wait_until_running()
            for path in ("/metrics", "/METRICS", "/prometheus", "/healthz", "/readyz", "/"):
                self.assertEqual(agent.http(path)[0], 200, path)
            self.assertEqual(agent.http("/nothing")[0], 404)

    def test_a_taken_monitoring_port_does_not_stop_the_agent(self):
        with Agent(pipeline(), monitoring=True) as first:
            first.http("/healthz")
            taken = int(first.wait_for_log(first.MONITORING_PORT)[1])
            with Agent(pipeline(), arguments=["-Dflume.monitoring.type=http",
                                              "-Dflume.monitoring.port=%d" % taken]) as second:
                self.assertEqual(send_and_read(second.port(), b"hello\n"), b"OK\n")
                second.wait_for_log("monitoring.*%d.*in use" % taken)
                self.assertEqual(second.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
