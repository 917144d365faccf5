#!/usr/bin/env python3
# test: sanitize
"""Start, drain, stop, and what is left behind."""
import os
import re
import signal
import socket
import time
import unittest

from support.agent import NETCAT, Agent, file_roll, flow, lists, pipeline, roll_content
from support.net import Receiver, connect, free_port, numbered, send_and_read
from support.processes import command_line
from support.waiting import wait_until

CHANNEL = "capacity = 100000"
NO_ACK = NETCAT + "ack-every-event = false\n"


def tcp(port):
    return "type = tcp\nhostname = 127.0.0.1\nport = %d\n" % port


def fill(agent, content, events):
    """Puts lines into the channel of a sink that cannot deliver them; returns when all are in."""
    answers = send_and_read(agent.port(), content)
    assert answers == b"OK\n" * events, answers[-100:]


class Stop(unittest.TestCase):
    def test_sigterm_drains_to_a_slow_receiver(self):
        content = numbered(20_000, 80)
        with Receiver(bytes_a_second=1_000_000, small_buffer=True) as receiver:
            with Agent(pipeline(NETCAT, tcp(receiver.port), CHANNEL)) as agent:
                fill(agent, content, 20_000)
                self.assertLess(len(receiver.content()), len(content), "nothing was left to drain")
                self.assertEqual(agent.stop(), 0)
                self.assertRegex(agent.log(), "agent a1 is stopping")
                self.assertNotRegex(agent.log(), "are lost")
            self.assertTrue(receiver.wait_for(len(content), 5) == content)

    def test_a_dead_receiver_is_given_up_at_the_deadline_and_the_loss_is_said(self):
        config = pipeline(NETCAT, tcp(free_port()), CHANNEL)
        with Agent(config, arguments=["-Dsluice.drain.ms=500"]) as agent:
            fill(agent, numbered(1234), 1234)
            started = time.monotonic()
            self.assertEqual(agent.stop(), 0)
            self.assertLess(time.monotonic() - started, 4)
            self.assertRegex(agent.log(), r"channel c1: 1234 events were still in memory and are lost")

    def test_a_second_sigterm_hurries(self):
        config = pipeline(NETCAT, tcp(free_port()), CHANNEL)
        with Agent(config, arguments=["-Dsluice.drain.ms=60000"]) as agent:
            fill(agent, numbered(77), 77)
            agent.kill(signal.SIGTERM)
            agent.wait_for_log("agent a1 is stopping")
            self.assertTrue(agent.running())
            started = time.monotonic()
            self.assertEqual(agent.stop(signal.SIGTERM), 0)
            self.assertLess(time.monotonic() - started, 3)
            self.assertRegex(agent.log(), "asked to stop once more")
            self.assertRegex(agent.log(), "channel c1: 77 events were still in memory and are lost")

    def test_a_receiver_that_reads_nothing_does_not_hold_the_stop_up(self):
        with Receiver(small_buffer=True) as receiver:
            receiver.pause()
            config = pipeline(NETCAT, tcp(receiver.port), CHANNEL)
            with Agent(config, arguments=["-Dsluice.drain.ms=500"]) as agent:
                fill(agent, numbered(60_000, 100), 60_000)
                self.assertEqual(agent.stop(deadline_s=5), 0)
                self.assertRegex(agent.log(), r"channel c1: \d+ events were still in memory and are lost")

    def test_a_sender_that_goes_on_does_not_hold_the_stop_up(self):
        with Agent(pipeline(NO_ACK)) as agent:
            with connect(agent.port()) as client:
                client.sendall(b"hello\n" * 1000)
                self.assertEqual(agent.stop(deadline_s=3), 0)

    def test_what_was_answered_ok_before_the_stop_is_delivered(self):
        with Agent(pipeline(NETCAT, file_roll(), CHANNEL), folders=["out"]) as agent:
            content = numbered(50_000)
            fill(agent, content, 50_000)
            self.assertEqual(agent.stop(), 0)
            self.assertTrue(roll_content(agent.path("out")) == content)

    def test_sigint_is_a_stop_too(self):
        with Agent(pipeline()) as agent:
            agent.wait_until_running()
            self.assertEqual(agent.stop(signal.SIGINT), 0)
            self.assertRegex(agent.log(), "agent a1 has stopped")

    def test_a_stop_right_after_the_start(self):
        for _ in range(10):
            with Agent(pipeline()) as agent:
                agent.wait_for_log("agent a1: source r1")
                # Before anything runs the signal may still have its plain effect: nothing is there to lose.
                self.assertIn(agent.stop(), (0, -signal.SIGTERM))


class Children(unittest.TestCase):
    COMMAND = "type = exec\nshell = /bin/sh -c\ncommand = echo up; tail -F {dir}/data.log | cat\n"

    def test_nothing_of_an_exec_command_is_left_after_a_stop(self):
        with Agent(pipeline(self.COMMAND, "type = logger")) as agent:
            agent.wait_for_log("Event:.* up ")
            wait_until(lambda: len(agent.processes()) >= 4, lambda: agent.processes())
            self.assertEqual(agent.stop(), 0)
            agent.wait_for_no_process()

    def test_nothing_of_an_exec_command_is_left_after_kill_9(self):
        plain = "type = exec\ncommand = tail -F {dir}/data.log\n"
        for source in (plain, self.COMMAND):
            with self.subTest(source), Agent(pipeline(source, "type = logger")) as agent:
                wait_until(lambda: self.tails(agent), lambda: agent.processes())
                agent.kill(signal.SIGKILL)
                agent.wait()
                wait_until(lambda: not self.tails(agent), lambda: self.tails(agent), 3)
                # The guard that ended it stays some seconds, to kill what ignores SIGTERM.
                agent.wait_for_no_process(10)

    def test_nothing_of_an_exec_command_is_left_when_the_agent_dies_as_soon_as_it_runs(self):
        kill = {"SLUICE_KILL_AT": "program-started:1:500"}
        with Agent(pipeline(self.COMMAND, "type = logger"), environment=kill) as agent:
            wait_until(lambda: self.tails(agent), lambda: agent.processes())
            self.assertEqual(agent.wait(), -signal.SIGKILL)
            wait_until(lambda: not self.tails(agent), lambda: self.tails(agent), 3)
            agent.wait_for_no_process(10)

    def tails(self, agent):
        return [line for line in map(command_line, agent.processes()) if line.startswith("tail -F")]

    def test_a_command_that_ignores_sigterm_is_killed(self):
        stubborn = "type = exec\nshell = /bin/sh -c\ncommand = trap '' TERM; echo up; while :; do read x; done\n"
        with Agent(pipeline(stubborn, "type = logger")) as agent:
            agent.wait_for_log("Event:.* up ")
            self.assertEqual(agent.stop(deadline_s=12), 0)
            agent.wait_for_no_process()

    def test_a_command_starts_with_the_signals_of_a_fresh_process(self):
        look = "type = exec\nshell = /bin/sh -c\ncommand = grep -E 'Sig(Blk|Ign)' /proc/self/status\n"
        with Agent(pipeline(look, file_roll()), folders=["out"], arguments=["--once"]) as agent:
            self.assertEqual(agent.wait(), 0)
            masks = re.findall(rb"Sig\w+:\s*(\w+)", roll_content(agent.path("out")))
            self.assertEqual([int(mask, 16) for mask in masks], [0, 0])


class Once(unittest.TestCase):
    def test_exec_is_drained_and_the_agent_ends(self):
        config = pipeline("type = exec\ncommand = seq 1 100000", file_roll(), "capacity = 1000")
        with Agent(config, folders=["out"], arguments=["--once"]) as agent:
            self.assertEqual(agent.wait(20), 0)
            self.assertEqual(roll_content(agent.path("out")), b"".join(b"%d\n" % i for i in range(1, 100_001)))
            self.assertRegex(agent.log(), "its sources are at their end")

    def test_seq_is_drained_and_the_agent_ends(self):
        config = pipeline("type = seq\ntotalEvents = 5000", file_roll(), "capacity = 1000")
        with Agent(config, folders=["out"], arguments=["--once"]) as agent:
            self.assertEqual(agent.wait(20), 0)
            self.assertEqual(roll_content(agent.path("out")), b"".join(b"%d\n" % i for i in range(5000)))

    def test_the_drain_waits_for_a_receiver_however_slow(self):
        with Receiver(bytes_a_second=300_000, small_buffer=True) as receiver:
            config = pipeline("type = exec\ncommand = seq 1 100000", tcp(receiver.port), CHANNEL)
            with Agent(config, arguments=["--once", "-Dsluice.drain.ms=1"]) as agent:
                self.assertEqual(agent.wait(20), 0)
            self.assertEqual(receiver.wait_for(588_895, 10).count(b"\n"), 100_000)

    def test_a_source_that_cannot_run_is_no_success(self):
        for source, word in (("type = exec\ncommand = /no/such/program", "cannot run /no/such/program"),
                             ("type = carrier_pigeon", "there is no source that runs")):
            with self.subTest(source), Agent(pipeline(source), arguments=["--once"]) as agent:
                self.assertEqual(agent.wait(), 1)
                self.assertIn(word, agent.log())

    def test_what_could_never_be_drained_is_not_started(self):
        source = "type = seq\ntotalEvents = 5000"
        without_sink = pipeline(source).replace("a1.sinks = k1\n", "")
        for config, word in ((pipeline(source, "type = looger"), "would be left out, so nothing is started"),
                             (without_sink, "no sink reads channel c1, so it could never be drained")):
            with self.subTest(word), Agent(config, arguments=["--once"]) as agent:
                self.assertEqual(agent.wait(), 1)
                self.assertIn(word, agent.log())

    def test_sigterm_ends_a_drain_without_an_end(self):
        config = pipeline("type = exec\ncommand = seq 1 100", tcp(free_port()))
        with Agent(config, arguments=["--once"]) as agent:
            agent.wait_for_log("agent a1 is stopping")
            self.assertEqual(agent.stop(deadline_s=8), 1)
            self.assertRegex(agent.log(), "channel c1: 100 events were still in memory and are lost")


class LogFile(unittest.TestCase):
    ARGUMENTS = ("-Dflume.root.logger=DEBUG,LOGFILE", "-Dflume.log.dir={dir}/logs", "-Dflume.log.file=agent.log")

    def start(self):
        agent = Agent(pipeline(sink="type = logger"))
        agent.command = [word for word in agent.command if "root.logger" not in word]
        agent.command += [word.replace("{dir}", agent.directory) for word in self.ARGUMENTS]
        agent.log_path = agent.path("logs", "agent.log")
        os.mkdir(agent.path("logs"))
        return agent

    def test_the_log_goes_to_the_named_file_and_hup_opens_it_again(self):
        with self.start() as agent:
            port = agent.port()
            self.assertEqual(send_and_read(port, b"first\n"), b"OK\n")
            agent.wait_for_log("Event:.* first ")
            os.rename(agent.log_path, agent.log_path + ".1")
            agent.kill(signal.SIGHUP)
            wait_until(lambda: os.path.exists(agent.log_path), "the log is opened again")
            self.assertEqual(send_and_read(port, b"second\n"), b"OK\n")
            agent.wait_for_log("Event:.* second ")
            self.assertEqual(agent.stop(), 0)
            with open(agent.log_path + ".1") as moved:
                self.assertNotIn("second", moved.read())

    def test_a_log_that_cannot_be_opened_is_fatal(self):
        with Agent(pipeline(), arguments=["-Dflume.root.logger=INFO,LOGFILE",
                                          "-Dflume.log.dir=/dev/null"]) as agent:
            self.assertEqual(agent.wait(), 1)
            self.assertRegex(agent.log(), "/dev/null")


class Systemd(unittest.TestCase):
    def setUp(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.settimeout(10)

    def hear(self, wanted):
        heard = []
        while True:
            lines = self.socket.recv(4096).decode().splitlines()
            heard += lines
            if wanted in lines:
                return heard

    def test_it_hears_of_start_watchdog_and_stop(self):
        agent = Agent(pipeline())
        path = agent.path("notify")
        self.socket.bind(path)
        agent.environment.update(NOTIFY_SOCKET=path, WATCHDOG_USEC="200000")
        with agent:
            self.hear("READY=1")
            self.assertRegex(agent.log(), r"source r1: listening")
            self.hear("WATCHDOG=1")
            self.hear("WATCHDOG=1")
            agent.kill(signal.SIGTERM)
            self.hear("STOPPING=1")
            self.assertEqual(agent.wait(), 0)

    def test_the_commands_of_exec_do_not_inherit_the_socket(self):
        agent = Agent(pipeline("type = exec\nshell = /bin/sh -c\ncommand = echo [$NOTIFY_SOCKET]", "type = logger"))
        path = agent.path("notify")
        self.socket.bind(path)
        agent.environment.update(NOTIFY_SOCKET=path)
        with agent:
            agent.wait_for_log(r"Event:.* \[\] \}")


class TwoAgents(unittest.TestCase):
    def test_one_file_for_two_agents_starts_the_one_that_is_named(self):
        both = pipeline() + (lists("1", agent="b2") + flow(NETCAT, "type = logger", agent="b2"))
        with Agent(both, name="b2") as agent:
            self.assertEqual(send_and_read(agent.port(), b"hello\n"), b"OK\n")
            self.assertNotRegex(agent.log(), "agent a1")


if __name__ == "__main__":
    unittest.main(verbosity=2)
