#!/usr/bin/env python3
"""The tcp sink and its receiver: down, killed, slow; and two agents in a chain."""
import threading
import unittest

from support.agent import NETCAT, Agent, file_roll, pipeline, roll_bytes, roll_content
from support.net import Receiver, connect, free_port, lost_and_doubled, numbered, send_and_read
from support.waiting import wait_until

CHANNEL = "capacity = 200000"
NO_ACK = NETCAT + "ack-every-event = false\n"


def tcp(port):
    return "type = tcp\nhostname = 127.0.0.1\nport = %d\n" % port


def torn_apart(receiver):
    """(whole lines, how many connections ended inside a line): a cut connection may end anywhere."""
    whole, torn = b"", 0
    for part in receiver.parts:
        cut = part.rfind(b"\n") + 1
        whole += bytes(part[:cut])
        torn += cut < len(part)
    return whole, torn


def socket_buffers():
    """What the kernel may hold of a connection, both ends."""
    total = 0
    for name in ("tcp_rmem", "tcp_wmem"):
        with open("/proc/sys/net/ipv4/" + name) as file:
            total += int(file.read().split()[2])
    return total


class Receivers(unittest.TestCase):
    def test_a_receiver_that_is_down_at_the_start_gets_everything_once_later(self):
        port = free_port()
        with Agent(pipeline(NETCAT, tcp(port), CHANNEL)) as agent:
            content = numbered(5000)
            self.assertEqual(send_and_read(agent.port(), content), b"OK\n" * 5000)
            agent.wait_for_log(r"sink k1: unable to deliver events: .*127\.0\.0\.1:%d.*refused" % port)
            with Receiver(port) as receiver:
                self.assertTrue(receiver.wait_for(len(content)) == content)
                agent.wait_for_log("sink k1: delivering again")
                self.assertEqual(agent.stop(), 0)
                self.assertTrue(receiver.content() == content)

    def test_a_receiver_killed_in_the_middle_costs_what_tcp_hides_and_no_more(self):
        count = 200_000
        config = pipeline(NO_ACK, tcp(receiver_port := free_port()), CHANNEL)
        with Receiver(receiver_port) as receiver, Agent(config, monitoring=True) as agent:
            sender = connect(agent.port())
            content = numbered(count, 120)
            half = content.index(b"line %d " % (count // 3))
            feeding = threading.Thread(target=lambda: (sender.sendall(content[half:]), sender.close()))
            sender.sendall(content[:half])
            receiver.wait_for(half // 2)
            receiver.pause()
            feeding.start()
            committed = self.wait_until_stuck(agent)
            receiver.cut()
            at_death = sum(map(len, receiver.parts))
            agent.wait_for_log("sink k1: disconnected from")
            receiver.go_on()
            receiver.start()
            feeding.join(30)
            whole = self.all_delivered(agent, receiver, b"line %d " % (count - 1))
            lost, doubled = lost_and_doubled(whole, count)
            print("killed after %d bytes: %d of %d lines lost in the sockets, %d doubled" % (
                at_death, len(lost), count, doubled))
            # Written before the kill and never read: at most what two socket buffers hold.
            self.assertLess(sum(len("line %d " % i) + 121 for i in lost), socket_buffers())
            first_again = int(bytes(receiver.parts[1][:20]).split(b" ")[1])
            self.assertEqual(first_again, committed, "the batch in flight is sent again from its first line")
            if lost:
                self.assertEqual(lost, list(range(lost[0], lost[-1] + 1)), "a loss beside the one of the kill")
            self.assertLessEqual(doubled * 130, 1 << 20, "more is doubled than the batch in flight")
            self.assertEqual(agent.stop(), 0)

    def wait_until_stuck(self, agent):
        """Sockets full, the channel fills up, a batch is in the middle: how many events were delivered."""
        seen = []

        def stuck():
            metrics = agent.metrics()
            seen.append(int(metrics["SINK.k1"]["EventDrainSuccessCount"]))
            return int(metrics["CHANNEL.c1"]["ChannelSize"]) > 1000 and seen[-30:] == seen[-1:] * 30
        wait_until(stuck, lambda: seen[-5:], 20)
        return seen[-1]

    def all_delivered(self, agent, receiver, last):
        wait_until(lambda: receiver.parts and last in bytes(receiver.parts[-1][-200:]),
                   lambda: "the last line; so far %r" % bytes(receiver.parts[-1][-100:]), 30)
        return torn_apart(receiver)[0]

    def test_nothing_is_lost_when_the_receiver_closes_while_nothing_is_sent(self):
        with Receiver() as receiver, Agent(pipeline(NETCAT, tcp(receiver.port), CHANNEL)) as agent:
            port = agent.port()
            for round_number in range(5):
                content = numbered(100, first=100 * round_number)
                before = sum(map(len, receiver.parts))
                self.assertEqual(send_and_read(port, content), b"OK\n" * 100)
                receiver.wait_for(before + len(content))
                receiver.cut()
                receiver.start()
            self.assertEqual(lost_and_doubled(receiver.content(), 500), ([], 0))
            self.assertEqual(agent.stop(), 0)


    def test_a_clean_stop_loses_nothing_when_a_slow_receiver_answers_every_line(self):
        content = numbered(10_000, 100)
        with Receiver(answer=b"OK\n", bytes_a_second=1_000_000) as receiver:
            with Agent(pipeline(NETCAT, tcp(receiver.port), CHANNEL)) as agent:
                self.assertEqual(send_and_read(agent.port(), content), b"OK\n" * 10_000)
                wait_until(lambda: receiver.parts and receiver.parts[0], lambda: "the first bytes", 10)
                self.assertEqual(agent.stop(), 0)
            self.assertTrue(receiver.wait_for(len(content)) == content)

    def test_a_clean_stop_does_not_wait_for_ever_for_a_receiver_that_says_nothing(self):
        content = numbered(100)
        with Receiver() as receiver, Agent(pipeline(NETCAT, tcp(receiver.port), CHANNEL)) as agent:
            port = agent.port()
            send_and_read(port, numbered(1))
            receiver.wait_for(1)
            receiver.pause()
            self.assertEqual(send_and_read(port, content), b"OK\n" * 100)
            self.assertEqual(agent.stop(deadline_s=8), 0)
            receiver.go_on()
            self.assertTrue(receiver.wait_for(len(content) + len(numbered(1))).endswith(content))


class Chain(unittest.TestCase):
    def test_two_agents_lose_and_double_nothing(self):
        count = 200_000
        content = numbered(count, 40)
        with Agent(pipeline(NO_ACK, file_roll(), "capacity = 10000"), folders=["out"]) as second:
            with Agent(pipeline(NO_ACK, tcp(second.port()), "capacity = 10000")) as first:
                self.assertEqual(send_and_read(first.port(), content), b"")
                wait_until(lambda: roll_bytes(second.path("out")) >= len(content),
                           lambda: roll_bytes(second.path("out")), 40)
                self.assertEqual(first.stop(), 0)
            self.assertEqual(second.stop(), 0)
            got = roll_content(second.path("out"))
            self.assertEqual(lost_and_doubled(got, count), ([], 0))
            self.assertTrue(got == content, "reordered")

    def test_stopping_the_first_agent_loses_nothing_when_the_second_answers_every_line(self):
        content = numbered(50_000, 40)
        with Agent(pipeline(NETCAT, file_roll(), CHANNEL), folders=["out"]) as second:
            with Agent(pipeline(NETCAT, tcp(second.port()), CHANNEL)) as first:
                answers = send_and_read(first.port(), content)
                self.assertEqual(answers.count(b"OK\n"), 50_000)
                self.assertEqual(first.stop(), 0)
            wait_until(lambda: roll_bytes(second.path("out")) >= len(content),
                       lambda: roll_bytes(second.path("out")), 20)
            self.assertEqual(second.stop(), 0)
            self.assertTrue(roll_content(second.path("out")) == content)

    def test_stopping_the_first_agent_first_loses_nothing_at_full_load(self):
        content = numbered(200_000, 40)
        with Agent(pipeline(NO_ACK, file_roll(), CHANNEL), folders=["out"]) as second:
            with Agent(pipeline(NETCAT, tcp(second.port()), CHANNEL)) as first:
                answers = send_and_read(first.port(), content)
                self.assertEqual(answers.count(b"OK\n"), 200_000)
                self.assertEqual(first.stop(), 0)
            # The first has closed in order, so all of it is on its way or here.
            wait_until(lambda: roll_bytes(second.path("out")) >= len(content),
                       lambda: roll_bytes(second.path("out")), 20)
            self.assertEqual(second.stop(), 0)
            self.assertTrue(roll_content(second.path("out")) == content)


if __name__ == "__main__":
    unittest.main(verbosity=2)
