#!/usr/bin/env python3
"""Analyses in one line: what they stand for runs, in both formats, and what is wrong has its place."""
import os
import unittest

from support.agent import NETCAT, Agent, pipeline, roll_content, run_sluice
from support.microbatch import parse_blocks
from support.net import send_and_read
from support.waiting import wait_until

ROCKSDB = "type = rocksdb\ncapacity = 100000"
STATE = ["-Dsluice.state.dir=state"]


def query(text, interval="200ms"):
    return "type = microbatch\nbatchInterval = %s\nquery = %s\n" % (interval, text)


def rows(agent):
    """Of all batches that printed any."""
    with open(agent.path("stdout"), encoding="utf-8") as file:
        return [block for _, block in parse_blocks(file.read()) if block]


class Query(unittest.TestCase):
    def test_a_word_count(self):
        with Agent(pipeline(NETCAT, query("split whitespace | count by word | top 2 | print", "1h"))) as agent:
            send_and_read(agent.port(), b"b a b\nc a b\n")
            agent.wait_for_log(r"its query stands for .*steps\.split\.on = whitespace; .*outputs = print")
            self.assertEqual(agent.stop(), 0)
            self.assertEqual(rows(agent), [["(b,3)", "(a,2)"]])

    def test_results_stand_in_the_order_of_the_query(self):
        text = "parse csv k v:int | sum(v) as total, count as hits, max(v) as above by k | print"
        with Agent(pipeline(NETCAT, query(text, "1h"))) as agent:
            send_and_read(agent.port(), b"a,5\na,7\n")
            self.assertEqual(agent.stop(), 0)
            self.assertEqual(rows(agent), [["(a,12,2,7)"]])

    def test_records_that_cannot_be_read_go_into_a_channel(self):
        sink = ("type = microbatch\nbatchInterval = 200ms\nsteps = p\nsteps.p.type = parse\nsteps.p.format = csv\n"
                "steps.p.fields = n:int\noutputs = o bad\noutputs.o.type = print\noutputs.bad.type = channel\n"
                "outputs.bad.channel = out\noutputs.bad.format = text\noutputs.bad.input = p.bad\n")
        text = pipeline(NETCAT, sink) + (
            "a1.channels = c1 out\na1.channels.out.type = memory\na1.sinks = k1 k2\n"
            "a1.sinks.k2.type = file_roll\na1.sinks.k2.channel = out\na1.sinks.k2.sink.directory = {dir}/out\n")
        with Agent(text, folders=["out"]) as agent:
            send_and_read(agent.port(), b"1\nno number\n2\n")
            wait_until(lambda: roll_content(agent.path("out")) == b"no number\n", "the bad ones", 20)
            wait_until(lambda: [row for block in rows(agent) for row in block] == ["1", "2"], "the good ones", 20)

    def test_running_totals_go_on_behind_a_restart(self):
        text = pipeline(NETCAT, query("split | count by word | running | sort word | print"), ROCKSDB)
        with Agent(text, arguments=STATE) as agent:
            send_and_read(agent.port(), b"a b\n")
            wait_until(lambda: ["(a,1)", "(b,1)"] in rows(agent), "the first ones are counted")
            self.assertEqual(agent.stop(), 0)
            with Agent(text, arguments=STATE, directory=agent.path()) as again:
                send_and_read(again.port(), b"b\n")
                wait_until(lambda: ["(a,1)", "(b,2)"] in rows(again), "and go on")
                self.assertEqual(again.stop(), 0)

    def test_sessions_into_a_channel(self):
        text = pipeline(NETCAT, query("parse csv t:int user | session 10s on t | count by user | channel out csv")) + (
            "a1.channels = c1 out\na1.channels.out.type = memory\na1.sinks = k1 k2\n"
            "a1.sinks.k2.type = file_roll\na1.sinks.k2.channel = out\na1.sinks.k2.sink.directory = {dir}/out\n")
        with Agent(text, folders=["out"]) as agent:
            send_and_read(agent.port(), b"1000,x\n9000,x\n2000,y\n30000,x\n60000,z\n")
            wait_until(lambda: roll_content(agent.path("out")).count(b"\n") == 3, "the sessions that are over", 20)
            self.assertEqual(sorted(roll_content(agent.path("out")).splitlines()),
                             [b"1000,19000,x,2", b"2000,12000,y,1", b"30000,40000,x,1"])
            self.assertEqual(agent.stop(), 0)

    def test_yaml(self):
        text = ("a1:\n  sources: { r1: { type: netcat, bind: 127.0.0.1, port: 0, channels: [c1] } }\n"
                "  channels: { c1: { type: memory } }\n  sinks:\n    mb:\n      type: microbatch\n      channel: c1\n"
                "      batchInterval: 200ms\n      query: split space | count by word | print\n")
        with Agent(text, file_name="test.yaml") as agent:
            send_and_read(agent.port(), b"one two one\n")
            wait_until(lambda: ["(one,2)", "(two,1)"] in rows(agent), "they are counted")

    def test_what_is_wrong_has_its_place(self):
        for text, place, message, hint in (
                ("split | cuont by word | print", "cuont", "no stage is called 'cuont'", "did you mean 'count'?"),
                ("split | count by wrd | print", "wrd", "there is no column 'wrd'", "did you mean 'word'?"),
                ("where body = 5 | print", "body = 5", "", ""),
                ("split | count by word | channel nowhere", "nowhere", "there is no channel 'nowhere'", ""),
                ("split | count by word", "", "nothing is done with the results", "add outputs")):
            with self.subTest(text), Agent(pipeline(NETCAT, query(text))) as agent:
                path = os.path.join(agent.directory, "test.conf")
                status, out, err = run_sluice("check", "--name", "a1", "--conf-file", path)
                self.assertEqual(status, 1)
                for part in (message, hint):
                    self.assertIn(part, out + err)
                if place:
                    with open(path, encoding="utf-8") as file:
                        found = [(number, line) for number, line in enumerate(file, 1) if "query" in line]
                    number, line = found[0]
                    self.assertIn("%s:%d:%d: error" % (path, number, line.index(place) + 1), out + err)

    def test_both_ways_to_say_it_are_an_error(self):
        more = "outputs = o\noutputs.o.type = print\n"
        with Agent(pipeline(NETCAT, query("split | print") + more)) as agent:
            agent.wait_for_log("query of sink k1: 'outputs' says it, too")


if __name__ == "__main__":
    unittest.main()
