#!/usr/bin/env python3
"""`sluice channel` beside a running agent and without one: it shows what waits, and changes nothing."""
import json
import os
import subprocess
import tempfile
import threading
import unittest

from support.agent import BIN, NETCAT, Agent, file_roll, pipeline, roll_content, run_sluice
from support.net import free_port, numbered, send_and_read
from support.waiting import wait_until

CHANNEL = "type = rocksdb\ncapacity = 10000000"


def channel(*arguments):
    return run_sluice("channel", *arguments, deadline_s=60)


def dead_sink():
    return "type = tcp\nhostname = 127.0.0.1\nport = %d\n" % free_port()


def listing(directory):
    """Names, sizes and times of all files."""
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            status = os.stat(os.path.join(folder, name))
            found[os.path.join(folder, name)] = (status.st_size, status.st_mtime_ns)
    return found


class Beside(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="sluice-test-")
        self.directory = self.temporary.name
        os.mkdir(os.path.join(self.directory, "out"))
        self.state = "-Dsluice.state.dir=" + os.path.join(self.directory, "state")
        self.store = os.path.join(self.directory, "state", "store")

    def tearDown(self):
        self.temporary.cleanup()

    def agent(self, sink, source=NETCAT):
        return Agent(pipeline(source, sink, CHANNEL), directory=self.directory, arguments=[self.state])

    def exported(self):
        status, out, err = channel("export", "c1", "--jsonl", "--store", self.store)
        self.assertEqual((status, err), (0, ""))
        events = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([event["sequence"] for event in events],
                         list(range(events[0]["sequence"], events[-1]["sequence"] + 1)) if events else [])
        return "".join(event["body"] + "\n" for event in events).encode()

    def test_the_export_is_what_was_sent_live_and_stopped_and_all_of_it_is_delivered(self):
        content = numbered(20000, 100)
        with self.agent(dead_sink()) as agent:
            self.assertEqual(send_and_read(agent.port(), content).count(b"OK"), 20000)
            self.assertTrue(self.exported() == content, "beside the running agent")
            status, out, _ = channel("ls", "--json", "--name", "a1", self.state)
            self.assertEqual(status, 0)
            shown = json.loads(out)[0]
            self.assertEqual((shown["channel"], shown["events"], shown["bytes"], shown["next"]),
                             ("c1", 20000, len(content) - 20000, 20000))
            status, out, err = channel("verify", "--json", "--store", self.store)
            self.assertEqual((status, err), (0, ""))
            checked = json.loads(out)
            self.assertEqual((checked["sound"], checked["findings"], len(checked["channels"])), (True, [], 1))
            self.assertEqual((checked["channels"][0]["events"], checked["channels"][0]["bytes"]),
                             (20000, len(content) - 20000))
            self.assertEqual(agent.stop(), 0)
        before = listing(self.directory)
        self.assertTrue(self.exported() == content, "behind the stopped agent")
        for action in (["ls"], ["stat", "c1"], ["peek", "c1"], ["verify"]):
            self.assertEqual(channel(*action, "--store", self.store)[0], 0)
        self.assertEqual(listing(self.directory), before, "nothing was written")
        with self.agent(file_roll()) as agent:
            out = os.path.join(self.directory, "out")
            wait_until(lambda: len(roll_content(out)) >= len(content), lambda: "all lines come out", 30)
            self.assertTrue(roll_content(out) == content)
            wait_until(lambda: self.exported() == b"", lambda: "what is delivered is not exported", 10)

    def test_it_sees_whole_commits_while_the_agent_works_as_fast_as_it_can(self):
        source = "type = stress\nsize = 500\nbatchSize = 100\n"
        with self.agent("type = null\n", source) as agent:
            agent.wait_until_running()
            last = -1
            for _ in range(8):
                status, out, err = channel("verify", "--store", self.store)
                self.assertEqual((status, err), (0, ""), out)
                status, out, err = channel("ls", "--json", "--store", self.store)
                self.assertEqual((status, err), (0, ""), out)
                self.assertGreater(json.loads(out)[0]["next"], last)
                last = json.loads(out)[0]["next"]
            # Its store was never in the agent's way.
            self.assertNotIn("error", agent.log())
            self.assertEqual(agent.stop(), 0)

    def test_a_killed_agent_leaves_what_can_be_seen(self):
        content = numbered(5000, 100)
        with self.agent(dead_sink()) as agent:
            self.assertEqual(send_and_read(agent.port(), content).count(b"OK"), 5000)
            agent.kill(9)
            agent.wait(20)
            self.assertTrue(self.exported() == content)

    def test_a_reader_that_goes_early_is_no_failure(self):
        content = numbered(20000, 100)
        with self.agent(dead_sink()) as agent:
            send_and_read(agent.port(), content)
            done = subprocess.run(
                ["bash", "-c", '"$0" channel export c1 --jsonl --store "$1" | head -1; '
                 'echo "${PIPESTATUS[0]}"', BIN, self.store],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
            lines = done.stdout.decode().splitlines()
            self.assertEqual(json.loads(lines[0])["body"], content.split(b"\n")[0].decode())
            self.assertEqual((lines[1:], done.stderr), (["0"], b""))
            full = subprocess.run(
                ["bash", "-c", '"$0" channel export c1 --jsonl --store "$1" > /dev/full', BIN, self.store],
                stderr=subprocess.PIPE, timeout=30)
            self.assertEqual(full.returncode, 1)
            self.assertIn(b"cannot write: No space left on device", full.stderr)

    def test_positions_of_files_can_be_read(self):
        log = os.path.join(self.directory, "app.log")
        with open(log, "w") as file:
            file.write("one\ntwo\n")
        source = "type = TAILDIR\nfilegroups = f\nfilegroups.f = {dir}/app.log\npositionFile = {dir}/p.json\n"
        with self.agent(dead_sink(), source) as agent:
            agent.wait_until_running()

            def notes():
                status, out, err = channel("stat", "c1", "--json", "--store", self.store)
                return json.loads(out)["notes"].values() if status == 0 else [err]
            wait_until(lambda: "%s at byte 8" % log in notes(), lambda: str(notes()), 10)

    def test_the_memory_does_not_grow_with_the_channel(self):
        """Far more than what the store's log can hold waits."""
        source = "type = stress\nsize = 1000\nmaxTotalEvents = 600000\nbatchSize = 1000\n"
        with self.agent(dead_sink(), source) as agent:
            def events():
                status, out, _ = channel("ls", "--json", "--store", self.store)
                shown = json.loads(out) if status == 0 else []
                return shown[0]["events"] if shown else 0
            wait_until(lambda: events() == 600000, events, 60)
            export = subprocess.Popen([BIN, "channel", "export", "c1", "--jsonl", "--store", self.store],
                                      stdout=subprocess.PIPE)
            lines, most = 0, 0
            for _ in export.stdout:
                lines += 1
                if lines % 100000 == 0:
                    with open("/proc/%d/status" % export.pid) as file:
                        most = max(most, *(int(line.split()[1]) for line in file if line.startswith("VmHWM")))
            export.stdout.close()
            self.assertEqual((export.wait(), lines), (0, 600000))
            self.assertLess(most, 400 << 10, "KiB")
            self.assertTrue(agent.running())

    def test_two_at_once_do_not_disturb_each_other(self):
        content = numbered(3000, 100)
        with self.agent(dead_sink()) as agent:
            send_and_read(agent.port(), content)
            results = []
            threads = [threading.Thread(target=lambda: results.append(self.exported() == content))
                       for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            self.assertEqual(results, [True] * 4)


class Refused(unittest.TestCase):
    def test_messages_say_what_to_do(self):
        for arguments, status, said in (
                (["ls", "--store", "/nowhere/store"], 2, "there is no store in /nowhere/store: no such directory"),
                (["ls", "--store", "/tmp"], 2, "it has no file CURRENT"),
                (["peek"], 2, "needs the name of a channel"),
                (["export", "c1", "--store", "/nowhere"], 2, "needs --jsonl")):
            with self.subTest(arguments=arguments):
                got, out, err = channel(*arguments)
                self.assertEqual((got, out), (status, ""))
                self.assertIn(said, err)

    @unittest.skipIf(os.getuid() != 0, "needs another user")
    def test_a_user_without_the_right_is_told_who_has_it(self):
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
            os.chmod(directory, 0o755)
            store = os.path.join(directory, "store")
            os.mkdir(store, 0o700)
            status, _, err = run_sluice("channel", "ls", "--store", store, user=65534)
            self.assertEqual(status, 2)
            self.assertIn("this user may not read it (the agent's user and root may)", err)


if __name__ == "__main__":
    unittest.main()
