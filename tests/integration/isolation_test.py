#!/usr/bin/env python3
# test: no-sanitizer
# test: timeout=600
"""One pipeline's trouble stays its own, and memory stays level while a receiver hardly reads.

SLUICE_SOAK=1 watches the memory for three minutes instead of some seconds.
"""
import os
import socket
import threading
import unittest

from support.agent import Agent, NETCAT, file_roll, flow, lists, pipeline, roll_bytes, roll_content
from support.net import Receiver, connect, free_port, lost_and_doubled, numbered
from support.processes import peak_rss_bytes, rss_bytes
from support.waiting import wait_out, wait_until

NO_ACK = NETCAT + "ack-every-event = false\n"
SOAK = os.environ.get("SLUICE_SOAK") == "1"
MIB = 1 << 20


class FullLoad:
    """Sends lines as fast as they are taken, until it is told to stop."""

    def __init__(self, port):
        self.sent = 0
        self.stopped = threading.Event()
        self.connection = connect(port)
        self.connection.settimeout(0.2)
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        block = numbered(500, 180)
        at = 0
        while not self.stopped.is_set():
            try:
                count = self.connection.send(block[at:])
            except socket.timeout:
                continue
            except OSError:
                return
            at = (at + count) % len(block)
            self.sent += count

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()
        self.connection.close()

    def wait_until_held_back(self):
        """Nothing has been taken for a while: the channel is full, and the sockets too."""
        seen = []

        def level():
            seen.append(self.sent)
            return len(seen) > 60 and seen[-1] == seen[-60] > 0
        wait_until(level, lambda: "held back after %d bytes" % self.sent, 30, poll_s=0.01)


def tcp(port):
    return "type = tcp\nhostname = 127.0.0.1\nport = %d\n" % port


class TwoPipelines(unittest.TestCase):
    def test_a_dead_sink_does_not_touch_the_other_pipeline(self):
        count = 200_000
        content = numbered(count, 40)
        config = (lists("1", "2") + flow(NO_ACK, file_roll(), "capacity = 10000") +
                  flow(NO_ACK, tcp(free_port()), "capacity = 10000", suffix="2"))
        with Agent(config, folders=["out"], arguments=["-Dsluice.drain.ms=300"]) as agent:
            with FullLoad(agent.port("r2")) as load:
                load.wait_until_held_back()
                with connect(agent.port("r1")) as client:
                    client.sendall(content)
                wait_until(lambda: roll_bytes(agent.path("out")) >= len(content),
                           lambda: roll_bytes(agent.path("out")), 30)
            self.assertEqual(agent.stop(), 0)
            self.assertEqual(lost_and_doubled(roll_content(agent.path("out")), count), ([], 0))

    def test_a_source_with_two_channels_waits_for_the_slower_and_loses_nothing(self):
        content = numbered(20_000, 40)
        config = (lists("1") + "a1.channels = c1 c2\na1.sinks = k1 k2\n" +
                  flow(NO_ACK, file_roll(), "capacity = 1000") +
                  "a1.sources.r1.channels = c1 c2\na1.channels.c2.type = memory\na1.channels.c2.capacity = 1000\n"
                  "a1.sinks.k2.channel = c2\n")
        with Receiver(bytes_a_second=2_000_000) as receiver:
            sink = "".join("a1.sinks.k2." + line + "\n" for line in tcp(receiver.port).splitlines())
            with Agent(config + sink, folders=["out"]) as agent:
                with connect(agent.port()) as client:
                    client.sendall(content)
                self.assertTrue(receiver.wait_for(len(content)) == content)
                self.assertEqual(agent.stop(), 0)
                self.assertTrue(roll_content(agent.path("out")) == content)


class SlowReceiver(unittest.TestCase):
    def test_memory_stays_level_while_the_receiver_reads_one_byte_a_second(self):
        self.stays_level("capacity = 1000000")

    def test_memory_stays_level_with_the_tutorials_channel(self):
        self.stays_level("capacity = 1000\ntransactionCapacity = 100")

    def stays_level(self, channel):
        with Receiver(bytes_a_second=1, small_buffer=True) as receiver:
            config = pipeline(NO_ACK, tcp(receiver.port), channel)
            with Agent(config, arguments=["-Dsluice.drain.ms=100"]) as agent:
                with FullLoad(agent.port()) as load:
                    load.wait_until_held_back()
                    wait_out(60 if SOAK else 1, agent.running)
                    first = rss_bytes(agent.pid)
                    wait_out(120 if SOAK else 3, agent.running)
                    second = rss_bytes(agent.pid)
                    print("RSS %.1f MiB, later %.1f MiB; peak %.1f MiB; %d bytes taken" % (
                        first / MIB, second / MIB, peak_rss_bytes(agent.pid) / MIB, load.sent))
                    self.assertLess(abs(second - first), 0.05 * first)
                    # 64 MiB of channels, a window of a few, the program and its libraries.
                    self.assertLess(peak_rss_bytes(agent.pid), 160 * MIB)
                self.assertEqual(agent.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
