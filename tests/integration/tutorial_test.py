#!/usr/bin/env python3
# test: sanitize
"""The tutorials of Flume's readers, typed as they have them."""
import os
import re
import unittest

from support.agent import Agent, pipeline
from support.net import connect, is_free, read_exactly
from support.waiting import wait_until

EXAMPLE = """# example.conf: A single-node Flume configuration

# Name the components on this agent
a1.sources = r1
a1.sinks = k1
a1.channels = c1

# Describe/configure the source
a1.sources.r1.type = netcat
a1.sources.r1.bind = localhost
a1.sources.r1.port = 44444

# Describe the sink
a1.sinks.k1.type = logger

# Use a channel which buffers events in memory
a1.channels.c1.type = memory
a1.channels.c1.capacity = 1000
a1.channels.c1.transactionCapacity = 100

# Bind the source and sink to the channel
a1.sources.r1.channels = c1
a1.sinks.k1.channel = c1
"""
NETCAT_LINES = "type = netcat\na1.sources.r1.bind = localhost\na1.sources.r1.port = 44444\n"
EXEC = EXAMPLE.replace(NETCAT_LINES, "type = exec\na1.sources.r1.command = tail -F /tmp/data.log\n")
YAML = """a1:
  sources:
    r1: {type: netcat, bind: localhost, port: 44444, channels: [c1]}
  channels:
    c1: {type: memory, capacity: 1000, transactionCapacity: 100}
  sinks:
    k1: {type: logger, channel: c1}
"""
COMMAND = ("{bin}/flume-ng agent --name a1 --conf conf --conf-file example.conf "
           "-Dflume.root.logger=INFO,console")
# As the article has it: a comment behind each backslash, which makes the shell pass " " on.
TYPED = """FLUME_HOME=$PWD; {bin}/flume-ng agent \\
--name a1 \\  # agent name
--conf $FLUME_HOME/conf \\ # use configs in <conf> directory
--conf-file  example.conf \\ # specify a config file
-Dflume.root.logger=INFO,console # sets a Java system property value"""
WITHOUT_COMMENTS = """FLUME_HOME=$PWD; {bin}/flume-ng agent \\
--name a1 \\
--conf $FLUME_HOME/conf \\
--conf-file  example.conf \\
-Dflume.root.logger=INFO,console"""
HELLO = (r"Event: \{ headers:\{\} body: 68 65 6C 6C 6F                                  hello \}$")
HELLO_CR = (r"Event: \{ headers:\{\} body: 68 65 6C 6C 6F 0D                               hello\. \}$")


def any_port(config):
    return re.sub(r"port(\s*[=:]\s*)44444", r"port\g<1>0", config)


def event(text):
    """Flume's line for a short body of printable characters."""
    cells = "".join("%02X " % byte for byte in text.encode())
    return r"Event: \{ headers:\{\} body: %s%s \}$" % (re.escape(cells.ljust(48)), re.escape(text))


class Netcat(unittest.TestCase):
    def hello(self, agent, port):
        with connect(port) as telnet:
            telnet.sendall(b"hello\n")
            self.assertEqual(read_exactly(telnet, 3), b"OK\n")
            agent.wait_for_log(HELLO)
            telnet.sendall(b"hello\r\n")  # telnet's own line end
            self.assertEqual(read_exactly(telnet, 3), b"OK\n")
            agent.wait_for_log(HELLO_CR)

    def test_the_file_and_the_command_of_the_tutorial_as_they_are(self):
        if not is_free(44444):
            self.skipTest("port 44444 is taken on this machine, and the file names it")
        with Agent(EXAMPLE, file_name="example.conf", command="exec " + COMMAND) as agent:
            self.assertEqual(agent.port(), 44444)
            self.hello(agent, 44444)
            self.assertEqual(agent.stop(), 0)
            with open(agent.path("stdout")) as out:
                self.assertEqual(out.read(), "", "the log belongs on stderr")

    def test_every_way_to_type_the_command(self):
        short = "exec {bin}/flume-ng agent -n a1 -c conf -f example.conf -Dflume.root.logger=INFO,console"
        sluice = "exec " + COMMAND.replace("flume-ng", "sluice")
        before = COMMAND.replace("agent ", "agent -Dflume.root.logger=INFO,console ", 1)
        for command in (short, WITHOUT_COMMENTS, sluice, "exec " + before,
                        "exec {bin}/flume-ng agent -Xmx512m -C lib.jar -n a1 -c conf -f example.conf"):
            with self.subTest(command), Agent(any_port(EXAMPLE), file_name="example.conf",
                                              command=command) as agent:
                self.hello(agent, agent.port())

    def test_the_command_with_the_articles_comments_says_what_is_wrong_with_it(self):
        # In bash the first "\\ #" ends the command: flume-ng gets --name a1 and a blank, nothing more.
        with Agent(any_port(EXAMPLE), file_name="example.conf", command=TYPED) as agent:
            agent.wait(10)
            self.assertIn("No configuiration was provided", agent.log())

    def test_it_is_the_same_in_yaml(self):
        with Agent(any_port(YAML), file_name="example.yaml",
                   command="exec " + COMMAND.replace("example.conf", "example.yaml")) as agent:
            self.hello(agent, agent.port())
            self.assertEqual(agent.stop(), 0)

    def test_the_logger_shows_sixteen_bytes_or_as_many_as_it_is_told(self):
        for keys, shown in (("", "0123456789abcdef"), ("\nmaxBytesToLog = 4", "0123")):
            with self.subTest(keys), Agent(pipeline(sink="type = logger" + keys)) as agent:
                with connect(agent.port()) as client:
                    client.sendall(b"0123456789abcdefghij\n\n")
                    self.assertEqual(read_exactly(client, 6), b"OK\nOK\n")
                agent.wait_for_log(event(shown))
                agent.wait_for_log(r"Event: \{ headers:\{\} body: +\}$")


class Exec(unittest.TestCase):
    def start(self):
        """The tutorial's file with its data.log in the test's own folder."""
        name = "exec-memory-logger.conf"
        return Agent(EXEC.replace("/tmp/", "{dir}/"), file_name=name,
                     command="exec " + COMMAND.replace("example.conf", name))

    def echo(self, agent, text, mode="w"):
        with open(agent.path("data.log"), mode) as file:
            file.write(text + "\n")

    def shown(self, agent, text):
        return len(re.findall(event(text), agent.log(), re.MULTILINE))

    def test_echo_into_the_file_twice(self):
        with self.start() as agent:
            agent.wait_until_running()
            # The second is the shorter: tail may see the file only when it is as long as before, or
            # longer, and then prints nothing or the end alone. That is tail's doing with any reader.
            self.echo(agent, "hello, hello")
            agent.wait_for_log(event("hello, hello"))
            self.echo(agent, "hello")
            agent.wait_for_log(event("hello"))

    def test_lines_flow_on_when_the_file_is_moved_away_and_made_anew(self):
        with self.start() as agent:
            self.echo(agent, "before")
            agent.wait_for_log(event("before"))
            os.rename(agent.path("data.log"), agent.path("data.log.1"))
            self.echo(agent, "behind")
            agent.wait_for_log(event("behind"))
            self.echo(agent, "appended", "a")
            agent.wait_for_log(event("appended"))
            for text in ("before", "behind", "appended"):
                self.assertEqual(self.shown(agent, text), 1, text)

    def test_the_command_ends_with_the_agent(self):
        with self.start() as agent:
            agent.wait_until_running()
            wait_until(lambda: len(agent.processes()) >= 2, lambda: agent.processes())
            self.assertEqual(agent.stop(), 0)
            agent.wait_for_no_process()


if __name__ == "__main__":
    unittest.main(verbosity=2)
