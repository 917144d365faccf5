#!/usr/bin/env python3
"""The agent's Kafka sink and source beside the plain loops of librdkafka and Kafka's own tool, against one real broker.

  kafka_bench.py [--build build/release] sink   [--mb 600] [--runs 3] [--sizes 200,1000] [--headers 0,2] [--codec none]
  kafka_bench.py [--build build/release] source [--mb 600] [--runs 3] [--sizes 200,1000]
  kafka_bench.py [--build build/release] channel [--mb 600] [--runs 3] [--sizes 200,1000]
  kafka_bench.py [--build build/release] limits ...                          the same without the agent

Needs the targets sluice and kafka_loops, and what ./dev interop needs. Within one run the contestants take turns with the same
broker, which has half of the machine at least; so only the ratios mean much. Prints JSON, a line a figure: MB/s and events/s, CPU
time of the client's process an event, and the ratio to the plain loop. What arrived is counted in the topic. All stays on 127.0.0.1.
"""
import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.join(os.path.dirname(HERE), "tests")
sys.path[:0] = [HERE, os.path.join(TESTS, "interop"), os.path.join(TESTS, "integration")]
sys.dont_write_bytecode = True

from agent_bench import Agent, channel, cpu_s, durable_channel, free_port, names, tail_source  # noqa: E402
from peers.kafka import Cluster, kafka  # noqa: E402

# A broker that runs for long: the whole compiler; deleted topics go at once.
BROKER = dict(heap_mb=1024, options=("-XX:+UseG1GC",),
              settings="file.delete.delay.ms = 0\nlog.segment.bytes = 134217728\nnum.network.threads = 3\n")
# The same for everybody who produces, where it has the setting.
COMMON = {"acks": "all", "enable.idempotence": "true", "linger.ms": "20"}
LOOP = {"batch.size": "1000000", "batch.num.messages": "100000", "queue.buffering.max.messages": "2000000"}
HEADERS = (("host", "host-1.example"), ("kind", "access-log"))


class Bench:
    def __init__(self, options, cluster):
        self.options, self.cluster = options, cluster
        self.number = 0
        self.loops = os.path.join(options.build, "bin", "kafka_loops")
        self.sluice = os.path.join(options.build, "bin", "sluice")

    def new_topic(self):
        self.number += 1
        name = "bench-%d" % self.number
        self.cluster.create(name, self.options.partitions)
        return name

    def counted(self, producing, events, exact=True):
        """Runs `producing(topic)` on a topic of its own; raises if not exactly the events are there. Transactions leave marks among
        them, a few in a thousand."""
        topic = self.new_topic()
        result = producing(topic)
        there = self.cluster.count(topic)
        self.cluster.shell.ask("delete", topic)
        if there < events or there > (events if exact else events * 1.01 + 1000):
            raise SystemExit("%d of %d events are in the topic" % (there, events))
        return result

    # Contestants: each returns (seconds, CPU seconds)

    def plain(self, what, topic, events, *numbers, settings=()):
        done = subprocess.run([self.loops, what, self.cluster.bootstrap(), topic, str(events), *map(str, numbers),
                               *("%s=%s" % each for each in settings)], stdout=subprocess.PIPE, check=True)
        result = json.loads(done.stdout)
        if result["events"] != events:
            raise SystemExit("the loop stopped: %s" % result)
        return result["seconds"], result["cpu_s"]

    def loop(self, what, events, size, headers):
        settings = {**COMMON, **LOOP, "compression.type": self.options.codec}.items()
        return self.counted(lambda topic: self.plain(what, topic, events, size, headers, settings=settings), events)

    def perf_test(self, events, size):
        """Kafka's tool; its own time, which begins with the first record, and the CPU time of all its life."""
        def run(topic):
            properties = {**COMMON, "batch.size": "1000000", "buffer.memory": "134217728", "compression.type": self.options.codec,
                          "bootstrap.servers": self.cluster.bootstrap()}
            command = kafka(self.options.kafka).java(
                "producer-perf-test", "--topic", topic, "--num-records", events, "--record-size", size, "--throughput", -1,
                "--producer-props", *("%s=%s" % each for each in properties.items()), heap_mb=512, options=())
            with tempfile.TemporaryFile() as out:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out)
                _, status, use = os.wait4(process.pid, 0)
                out.seek(0)
                last = out.read().decode().strip().splitlines()[-1]
            if status != 0:
                raise SystemExit("producer-perf-test failed: %s" % last)
            return events / float(last.split(" records sent, ")[1].split(" ")[0]), use.ru_utime + use.ru_stime
        return self.counted(run, events)

    def sink(self, file, events, headers, through=None, more=""):
        """A file to its end, through a channel, into Kafka; start and stop are in the time."""
        def run(topic):
            with tempfile.TemporaryDirectory(prefix="kafka-bench-") as directory:
                os.mkdir(os.path.join(directory, "in"))
                os.link(file, os.path.join(directory, "in", "lines"))
                text = (names("r1", "c1", "k1") + (through or channel("c1")) + more + tail_source(directory, "a1.sources.r1.batchSize = 1000\n" + (
                    static_headers() if headers else "")) + kafka_sink(self.cluster.bootstrap(), topic, headers, self.options))
                agent = Agent(self.sluice, text, directory, ["--once"])
                _, status, use = os.wait4(agent.p.pid, 0)
                wall = time.monotonic() - agent.started
                if status != 0:
                    raise SystemExit("the agent failed: %s" % open(os.path.join(directory, "log")).read()[-2000:])
                return wall, use.ru_utime + use.ru_stime
        return self.counted(run, events, exact=not more)

    def into_channel(self, file, topic):
        """A file to its end into a topic that is the channel, with no sink; start and stop are in the time."""
        with tempfile.TemporaryDirectory(prefix="kafka-bench-") as directory:
            os.mkdir(os.path.join(directory, "in"))
            os.link(file, os.path.join(directory, "in", "lines"))
            text = (names("r1", "c1", "") + kafka_channel(self.cluster.bootstrap(), topic, self.number) +
                    tail_source(directory, "a1.sources.r1.batchSize = 1000\n"))
            agent = Agent(self.sluice, text, directory, ["--once"])
            _, status, use = os.wait4(agent.p.pid, 0)
            wall = time.monotonic() - agent.started
            if status != 0:
                raise SystemExit("the agent failed: %s" % open(os.path.join(directory, "log")).read()[-2000:])
            return wall, use.ru_utime + use.ru_stime

    def source(self, topic, events):
        """From Kafka through memory to nowhere."""
        return self.taken(names("r1", "c1", "k1") + channel("c1") + kafka_source(self.cluster.bootstrap(), topic, self.number), events)

    def from_channel(self, topic, events):
        """From a topic that is the channel to nowhere."""
        return self.taken(names("", "c1", "k1") + kafka_channel(self.cluster.bootstrap(), topic, self.number), events)

    def taken(self, text, events):
        """From the first events that a sink took to the last."""
        port = free_port()
        text += "a1.sinks.k1.type = null\na1.sinks.k1.batchSize = 1000\na1.sinks.k1.channel = c1\n"
        self.number += 1
        with Agent(self.sluice, text, arguments=["-Dflume.monitoring.type=http", "-Dflume.monitoring.port=%d" % port]) as agent:
            began = first = None
            end = time.monotonic() + 60 + events / 50_000
            while time.monotonic() < end and agent.p.poll() is None:
                taken, now, cpu = taken_of(port), time.monotonic(), cpu_s(agent.p.pid)
                if taken and first is None:
                    began, first, cpu_before = now, taken, cpu
                if taken >= events:
                    scale = events / (events - first)
                    return (now - began) * scale, (cpu - cpu_before) * scale
                time.sleep(0.005)
            raise SystemExit("%s of %d events came: %s" % (first, events, open(os.path.join(agent.dir, "log")).read()[-2000:]))


def taken_of(port):
    """Events that the sinks took of c1, so far; 0 before anybody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/metrics")
        return int(json.loads(connection.getresponse().read())["CHANNEL.c1"]["EventTakeSuccessCount"])
    except (OSError, KeyError):
        return 0
    finally:
        connection.close()


def static_headers():
    return "a1.sources.r1.interceptors = i1 i2\n" + "".join(
        f"a1.sources.r1.interceptors.i{i}.type = static\na1.sources.r1.interceptors.i{i}.key = {key}\n"
        f"a1.sources.r1.interceptors.i{i}.value = {value}\n" for i, (key, value) in enumerate(HEADERS, 1))


def kafka_sink(bootstrap, topic, headers, options):
    pairs = {**COMMON, "compression.type": options.codec}
    return ("a1.sinks.k1.type = org.apache.flume.sink.kafka.KafkaSink\na1.sinks.k1.channel = c1\n"
            f"a1.sinks.k1.kafka.bootstrap.servers = {bootstrap}\na1.sinks.k1.kafka.topic = {topic}\n"
            f"a1.sinks.k1.kafka.flumeBatchSize = 1000\n" + ("a1.sinks.k1.headers = all\n" if headers else "") + "".join(
                f"a1.sinks.k1.kafka.producer.{key} = {value}\n" for key, value in pairs.items()) + "".join(
                f"a1.sinks.k1.{each}\n" for each in options.sink_keys))


def kafka_source(bootstrap, topic, number):
    return ("a1.sources.r1.type = org.apache.flume.source.kafka.KafkaSource\na1.sources.r1.channels = c1\n"
            f"a1.sources.r1.kafka.bootstrap.servers = {bootstrap}\na1.sources.r1.kafka.topics = {topic}\n"
            f"a1.sources.r1.kafka.consumer.group.id = bench-{number}\na1.sources.r1.kafka.consumer.auto.offset.reset = earliest\n")


def kafka_channel(bootstrap, topic, number):
    """With events as Flume's channel has them, and what the loops have too."""
    return ("a1.channels.c1.type = org.apache.flume.channel.kafka.KafkaChannel\n"
            f"a1.channels.c1.kafka.bootstrap.servers = {bootstrap}\na1.channels.c1.kafka.topic = {topic}\n"
            f"a1.channels.c1.kafka.consumer.group.id = bench-{number}\n" + "".join(
                f"a1.channels.c1.kafka.producer.{key} = {value}\n" for key, value in COMMON.items()))


def write_lines(path, events, size):
    """Lines whose bodies have that size, all different."""
    with open(path, "wb", buffering=1 << 20) as file:
        filling = b"x" * (size - 12)
        for i in range(events):
            file.write(b"%011d %s\n" % (i, filling))


def show(what, rows, events, size, headers, limit):
    """One line; `limit` is the rows of the plain loop, run by run, or None."""
    seconds = statistics.median(r[0] for r in rows)
    line = {"what": what, "bytes": size, "headers": headers, "MBps": round(events * size / seconds / 1e6, 1),
            "events_per_s": round(events / seconds), "cpu_us_per_event": round(statistics.median(r[1] for r in rows) * 1e6 / events, 3)}
    if limit:
        line["of_plain_loop"] = round(statistics.median(theirs[0] / ours[0] for ours, theirs in zip(rows, limit)), 3)
    print(json.dumps(line), flush=True)


def take_turns(contestants, runs):
    rows = {name: [] for name, _ in contestants}
    for _ in range(runs):
        for name, run in contestants:
            rows[name].append(run())
    return rows


def sink(bench, options):
    for size in options.sizes:
        events = int(options.mb * 1e6 / size)
        with tempfile.TemporaryDirectory(prefix="kafka-bench-") as directory:
            file = os.path.join(directory, "lines")
            if options.what == "sink":
                write_lines(file, events, size)
            for headers in options.headers:
                contestants = [("plain loop", lambda: bench.loop("produce", events, size, headers))]
                if options.what == "sink":
                    contestants.append(("sluice taildir -> memory -> kafka", lambda: bench.sink(file, events, headers)))
                if options.what == "sink" and not headers:
                    durable = durable_channel()
                    contestants += [
                        ("sluice taildir -> rocksdb -> kafka", lambda: bench.sink(file, events, 0, durable)),
                        ("the same, exactly once", lambda: bench.sink(file, events, 0, durable, "a1.sinks.k1.delivery = exactly-once\n"))]
                if not headers:
                    contestants += [("plain loop, produce_batch", lambda: bench.loop("produce_batch", events, size, 0)),
                                    ("kafka-producer-perf-test", lambda: bench.perf_test(events, size))]
                rows = take_turns(contestants, options.runs)
                for name, _ in contestants:
                    show(name, rows[name], events, size, headers, rows["plain loop"] if name != "plain loop" else None)


def source(bench, options):
    for size in options.sizes:
        events = int(options.mb * 1e6 / size)
        topic = bench.new_topic()
        bench.plain("produce", topic, events, size, 0, settings={**COMMON, **LOOP}.items())
        contestants = [("plain consumer loop", lambda: bench.plain("consume", topic, events))]
        if options.what == "source":
            contestants.append(("sluice kafka -> memory -> null", lambda: bench.source(topic, events)))
        rows = take_turns(contestants, options.runs)
        for name, _ in contestants:
            show(name, rows[name], events, size, 0, rows["plain consumer loop"] if name != "plain consumer loop" else None)
        bench.cluster.shell.ask("delete", topic)


def through_channel(bench, options):
    for size in options.sizes:
        events = int(options.mb * 1e6 / size)
        with tempfile.TemporaryDirectory(prefix="kafka-bench-") as directory:
            file = os.path.join(directory, "lines")
            write_lines(file, events, size)
            contestants = [
                ("plain loop", lambda: bench.loop("produce", events, size, 0)),
                ("sluice taildir -> kafka channel", lambda: bench.counted(lambda topic: bench.into_channel(file, topic), events))]
            rows = take_turns(contestants, options.runs)
            for name, _ in contestants:
                show(name, rows[name], events, size, 0, rows["plain loop"] if name != "plain loop" else None)
            # Written once by the agent, and read by both.
            topic = bench.new_topic()
            bench.into_channel(file, topic)
        contestants = [("plain consumer loop", lambda: bench.plain("consume", topic, events)),
                       ("sluice kafka channel -> null", lambda: bench.from_channel(topic, events))]
        rows = take_turns(contestants, options.runs)
        for name, _ in contestants:
            show(name, rows[name], events, size, 0, rows["plain consumer loop"] if name != "plain consumer loop" else None)
        bench.cluster.shell.ask("delete", topic)


def main():
    def numbers(text):
        return [int(each) for each in text.split(",")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("sink", "source", "channel", "limits"))
    parser.add_argument("--build", default=os.path.join(os.path.dirname(HERE), "build", "release"))
    parser.add_argument("--mb", type=float, default=600)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sizes", type=numbers, default=[200, 1000])
    parser.add_argument("--headers", type=numbers, default=[0, 2])
    parser.add_argument("--partitions", type=int, default=3)
    parser.add_argument("--codec", default="none")
    parser.add_argument("--kafka", default="4.3", help="the broker's version")
    parser.add_argument("--sink-keys", nargs="*", default=[], metavar="KEY=VALUE", help="more keys of the sink")
    options = parser.parse_args()
    print(kafka(options.kafka), file=sys.stderr)
    with Cluster(version=options.kafka, **BROKER) as cluster:
        bench = Bench(options, cluster)
        bench.loop("produce", 300_000, 200, 0)  # The broker compiles what is hot, and makes its first producer id.
        if options.what in ("sink", "limits"):
            sink(bench, options)
        if options.what in ("source", "limits"):
            source(bench, options)
        if options.what == "channel":
            through_channel(bench, options)


if __name__ == "__main__":
    main()
