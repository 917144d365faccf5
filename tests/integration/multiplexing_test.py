#!/usr/bin/env python3
"""Events go where a header says, through the real agent; what maps to nothing is counted."""
# test: sanitize
import json
import os
import tempfile
import unittest

from support.agent import NETCAT, Agent, file_roll, roll_content, run_sluice
from support.net import numbered, send_and_read
from support.waiting import wait_until

CHANNELS = "a1.channels = %s\n"


def prefixed(prefix, text):
    return "".join("%s.%s\n" % (prefix, line.strip()) for line in text.splitlines() if line.strip())


def channel(name, keys="type = memory\ncapacity = 20000"):
    return prefixed("a1.channels." + name, keys)


def static(source, value, more=""):
    """netcat whose events get the header datacenter."""
    return (prefixed("a1.sources." + source, NETCAT) +
            prefixed("a1.sources.%s" % source,
                     "interceptors = i1%s\ninterceptors.i1.type = static\n"
                     "interceptors.i1.key = datacenter\ninterceptors.i1.value = %s\n"
                     % (" i2" if more else "", value)) +
            prefixed("a1.sources.%s.interceptors.i2" % source, more))


def selector(source, keys):
    return prefixed("a1.sources.%s.selector" % source, "type = multiplexing\nheader = datacenter\n" + keys)


def sinks(**channels):
    text = "a1.sinks = %s\n" % " ".join("k" + name for name in channels)
    for name, from_channel in channels.items():
        text += prefixed("a1.sinks.k" + name, file_roll(name) + "channel = " + from_channel)
    return text


class Multiplexing(unittest.TestCase):
    def source(self, agent, what, source="r1"):
        return agent.sample("sluice_source_%s_events_total" % what, component=source)

    def assert_balanced(self, agent, *sources):
        for source in sources:
            left = sum(self.source(agent, what, source) for what in ("made", "copied"))
            right = sum(self.source(agent, what, source)
                        for what in ("filtered", "unrouted", "doubles", "refused", "put"))
            self.assertEqual(left, right, source)

    def test_two_sources_with_different_headers_reach_two_files(self):
        ways = "mapping.north = north\nmapping.south = south both\ndefault = north\n"
        config = ("a1.sources = r1 r2\n" + CHANNELS % "north south both" +
                  channel("north") + channel("south") + channel("both") +
                  static("r1", "north") + static("r2", "south") +
                  "".join("a1.sources.%s.channels = north south both\n" % r + selector(r, ways)
                          for r in ("r1", "r2")) +
                  sinks(n="north", s="south", b="both"))
        north, south = numbered(3000), numbered(2000, first=50_000)
        with Agent(config, folders=["n", "s", "b"], monitoring=True) as agent:
            self.assertEqual(send_and_read(agent.port("r1"), north), b"OK\n" * 3000)
            self.assertEqual(send_and_read(agent.port("r2"), south), b"OK\n" * 2000)
            for folder, content in (("n", north), ("s", south), ("b", south)):
                wait_until(lambda f=folder, c=content: roll_content(agent.path(f)) == c,
                           "%s has its events, and no others" % folder)
            self.assert_balanced(agent, "r1", "r2")
            self.assertEqual(self.source(agent, "copied", "r2"), 2000)
            self.assertEqual(agent.stop(), 0)

    def test_what_maps_to_nothing_is_answered_dropped_and_counted(self):
        config = ("a1.sources = r1\n" + CHANNELS % "c1" + channel("c1") + static("r1", "west") +
                  "a1.sources.r1.channels = c1\n" + selector("r1", "mapping.north = c1") + sinks(n="c1"))
        with Agent(config, folders=["n"], monitoring=True) as agent:
            self.assertEqual(send_and_read(agent.port(), numbered(500)), b"OK\n" * 500)
            self.assertEqual(self.source(agent, "unrouted"), 500)
            self.assertEqual(self.source(agent, "put"), 0)
            self.assert_balanced(agent, "r1")
            self.assertEqual(agent.metrics()["SOURCE.r1"]["EventAcceptedCount"], "500")
            self.assertEqual(agent.stop(), 0)
            self.assertEqual(roll_content(agent.path("n")), b"")

    def test_an_optional_channel_that_is_full_holds_nobody_back(self):
        config = ("a1.sources = r1\n" + CHANNELS % "c1 small" + channel("c1") +
                  channel("small", "type = memory\ncapacity = 10\ntransactionCapacity = 10") +
                  static("r1", "north") + "a1.sources.r1.channels = c1 small\n" +
                  selector("r1", "mapping.north = c1\noptional.north = small") + sinks(n="c1"))
        with Agent(config, folders=["n"], monitoring=True, arguments=["-Dsluice.drain.ms=100"]) as agent:
            for _ in range(2):  # the first may go in whole: the channel was empty
                self.assertEqual(send_and_read(agent.port(), numbered(1000)), b"OK\n" * 1000)
            wait_until(lambda: roll_content(agent.path("n")) == numbered(1000) * 2, "all is delivered")
            kept = agent.sample("sluice_channel_put_events_total", component="small")
            self.assertEqual(self.source(agent, "refused"), 2000 - kept)
            self.assertGreaterEqual(self.source(agent, "refused"), 1000)
            self.assert_balanced(agent, "r1")

    def test_filtered_lines_are_answered_and_removed_headers_are_gone(self):
        drop = "type = regex_filter\nregex = [05]$\nexcludeEvents = true\n"
        config = ("a1.sources = r1\n" + CHANNELS % "c1 c2" + channel("c1") + channel("c2") +
                  static("r1", "north", drop) +
                  "a1.sources.r1.interceptors = i1 i2 i3\n" +
                  prefixed("a1.sources.r1.interceptors.i3", "type = remove_header\nmatching = data.*") +
                  "a1.sources.r1.channels = c1 c2\n" +
                  selector("r1", "mapping.north = c1\ndefault = c2") + sinks(n="c1", d="c2"))
        kept = b"".join(b"%d\n" % n for n in range(1000) if n % 5)
        lines = b"".join(b"%d\n" % n for n in range(1000))
        with Agent(config, folders=["n", "d"], monitoring=True) as agent:
            self.assertEqual(send_and_read(agent.port(), lines), b"OK\n" * 1000)
            wait_until(lambda: roll_content(agent.path("d")) == kept, "without the header: the default")
            self.assertEqual(self.source(agent, "filtered"), 200)
            self.assert_balanced(agent, "r1")
            self.assertEqual(roll_content(agent.path("n")), b"")

    def test_durable_channels_get_their_parts_and_keep_them_over_a_kill(self):
        durable = "type = rocksdb\n"
        config = ("a1.sources = r1 r2\n" + CHANNELS % "north south" +
                  channel("north", durable) + channel("south", durable) +
                  static("r1", "north") + static("r2", "south") +
                  "".join("a1.sources.%s.channels = north south\n" % r +
                          selector(r, "mapping.north = north\nmapping.south = south\ndefault = north south")
                          for r in ("r1", "r2")))
        north, south = numbered(700), numbered(400, first=9000)
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
            state = ["-Dsluice.state.dir=" + os.path.join(directory, "state")]
            with Agent(config, directory=directory, arguments=state) as agent:
                self.assertEqual(send_and_read(agent.port("r1"), north), b"OK\n" * 700)
                self.assertEqual(send_and_read(agent.port("r2"), south), b"OK\n" * 400)
                agent.kill(9)
                agent.wait()
            with Agent(config + sinks(n="north", s="south"), directory=directory, arguments=state,
                       folders=["n", "s"]) as agent:
                wait_until(lambda: roll_content(agent.path("n")) == north, "what went north is there")
                wait_until(lambda: roll_content(agent.path("s")) == south, "what went south is there")


class Check(unittest.TestCase):
    def test_it_says_where_events_go_and_where_they_would_go_nowhere(self):
        config = ("a1.sources = r1\n" + CHANNELS % "c1" + channel("c1") + static("r1", "x") +
                  "a1.sources.r1.channels = c1\n" + selector("r1", "mapping.north = c1") + sinks(n="c1"))
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
            file = os.path.join(directory, "a1.conf")
            with open(file, "w") as out:
                out.write(config)
            code, out, _ = run_sluice("check", "--conf-file", file)
            self.assertEqual(code, 0, out)
            self.assertIn("by header datacenter\n    north -> c1\n    otherwise -> nowhere", out)
            self.assertIn("missing, blank, or none of north go to no channel", out)
            code, out, _ = run_sluice("check", "--json", "--conf-file", file)
            ways = json.loads(out)["agents"][0]["sources"][0]["selector"]
            self.assertEqual((ways["header"], ways["mappings"][0]["value"]), ("datacenter", "north"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
