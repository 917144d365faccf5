#!/usr/bin/env python3
# test: sanitize
"""The article's two machines: exec -> memory -> avro on one, avro -> memory -> logger on the other."""
import os
import re
import unittest

from support.agent import SHARED, Agent
from support.net import free_port

EXEC_MEMORY_AVRO = """# filename: exec-memeory-avro.conf

# Name the components on this agent
a1.sources = exec-source
a1.sinks = avro-sink
a1.channels = memory-channel

# Describe/configure the source
a1.sources.exec-source.type = exec
a1.sources.exec-source.command = tail -F /tmp/data.log

# Describe the sink
a1.sinks.avro-sink.type = avro
a1.sinks.avro-sink.hostname = localhost
a1.sinks.avro-sink.port = 44444

# Use a channel which buffers events in memory
a1.channels.memory-channel.type = memory
a1.channels.memory-channel.capacity = 1000
a1.channels.memory-channel.transactionCapacity = 100

# Bind the source and sink to the channel
a1.sources.exec-source.channels = memory-channel
a1.sinks.avro-sink.channel = memory-channel
"""
AVRO_MEMORY_LOGGER = """# filename: avro-memeory-logger.conf

# Name the components on this agent
a2.sources = avro-source
a2.sinks = logger-sink
a2.channels = memory-channel

# Describe/configure the source
a2.sources.avro-source.type = avro
a2.sources.avro-source.bind = localhost
a2.sources.avro-source.port = 44444

# Describe the sink
a2.sinks.logger-sink.type = logger

# Use a channel which buffers events in memory
a2.channels.memory-channel.type = memory
a2.channels.memory-channel.capacity = 1000
a2.channels.memory-channel.transactionCapacity = 100

# Bind the source and sink to the channel
a2.sources.avro-source.channels = memory-channel
a2.sinks.logger-sink.channel = memory-channel
"""
# As typed: bash takes $FLUME for a variable that is not set, so the folder is "-HOME/conf".
COMMAND = """{bin}/flume-ng agent \\
--name %s \\
--conf $FLUME-HOME/conf \\
--conf-file %s.conf \\
-Dflume.root.logger=INFO,console
"""


def event(text):
    """Flume's line for a short body of printable characters."""
    cells = "".join("%02X " % byte for byte in text.encode())
    return r"Event: \{ headers:\{\} body: %s%s \}$" % (re.escape(cells.ljust(48)), re.escape(text))


class Chain(unittest.TestCase):
    """Only the port and the folder differ from the article, so that tests run beside each other."""

    def agent(self, name, directory=None):
        text, file = {"a1": (EXEC_MEMORY_AVRO, "exec-memory-avro"),
                      "a2": (AVRO_MEMORY_LOGGER, "avro-memory-logger")}[name]
        text = text.replace("44444", str(self.port)).replace("/tmp/", "{dir}/")
        return Agent(text, directory=directory, file_name=file + ".conf", command="exec " + COMMAND % (name, file))

    def setUp(self):
        self.port = free_port()

    def echo(self, agent, text, mode="w"):
        with open(agent.path("data.log"), mode) as file:
            file.write(text + "\n")

    def shown(self, agent, text):
        return len(re.findall(event(text), agent.log(), re.MULTILINE))

    def test_the_files_are_those_of_the_article(self):
        article = os.path.join(SHARED, "seeds", "002_d1a5fea91bebf51d.txt")
        if not os.path.exists(article):
            self.skipTest("the article is not here")
        with open(article) as file:
            text = file.read()
        for part in (EXEC_MEMORY_AVRO, AVRO_MEMORY_LOGGER):
            self.assertIn(part, text)

    def test_the_receiver_first_as_the_article_has_it(self):
        with self.agent("a2") as logger:
            logger.wait_until_running()
            with self.agent("a1", logger.directory) as sender:
                sender.wait_until_running()
                self.echo(logger, "welcome")
                logger.wait_for_log(event("welcome"))
                for number in range(20):
                    self.echo(logger, "welcome %d" % number, "a")
                for number in range(20):
                    logger.wait_for_log(event("welcome %d" % number))
                    self.assertEqual(self.shown(logger, "welcome %d" % number), 1)
                self.assertEqual(sender.stop(), 0)
            self.assertEqual(logger.stop(), 0)

    def test_the_sender_first(self):
        with self.agent("a1") as sender:
            sender.wait_until_running()
            self.echo(sender, "welcome")
            sender.wait_for_log(r"sink avro-sink: unable to deliver events: .*; they stay in channel memory-channel")
            with self.agent("a2", sender.directory) as logger:
                logger.wait_for_log(event("welcome"))
                self.assertEqual(self.shown(logger, "welcome"), 1)
                self.assertEqual(logger.stop(), 0)

    def test_the_receiver_is_started_again_in_between(self):
        with self.agent("a2") as logger:
            logger.wait_until_running()
            with self.agent("a1", logger.directory) as sender:
                self.echo(logger, "welcome")
                logger.wait_for_log(event("welcome"))
                self.assertEqual(logger.stop(), 0)
                self.echo(logger, "meanwhile", "a")
                sender.wait_for_log(r"sink avro-sink: unable to deliver")
                with self.agent("a2", logger.directory) as again:
                    again.wait_for_log(event("meanwhile"))
                    self.echo(logger, "afterwards", "a")
                    again.wait_for_log(event("afterwards"))
                    self.assertEqual(self.shown(again, "welcome"), 0, "that had been delivered")
                    self.assertEqual(sender.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
