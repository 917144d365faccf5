#!/usr/bin/env python3
# test: timeout=240
"""Results of a running word count as they are looked at: page, JSON, streams, gauges, and in a browser."""
import http.client
import json
import os
import re
import socket
import tempfile
import unittest

from support.agent import NETCAT, ROOT, Agent, lists, flow, pipeline, run_sluice
from support.browser import Browser, needs_browser
from support.net import free_port, send_and_read
from support.waiting import wait_out, wait_until

COUNT = """
steps = words count hot
steps.words.type = split
steps.words.on = space
steps.count.type = aggregate
steps.count.by = word
steps.count.agg.n = count()
steps.hot.type = top
steps.hot.n = 10
steps.hot.order = -n word
"""
VIEW = "outputs = live\noutputs.live.type = view\n"
SHARED = os.environ.get("SLUICE_SHARED", os.path.join(os.path.dirname(ROOT), "shared"))
SCREENSHOTS = os.path.join(os.path.dirname(os.environ.get("SLUICE_BIN", os.path.join(ROOT, "build/release/bin/sluice"))),
                           "..", "screenshots")


def microbatch(outputs=VIEW, steps=COUNT, interval="100ms"):
    return "type = microbatch\nbatchInterval = %s\n%s%s" % (interval, steps, outputs)


def view_port(agent, output="live", deadline_s=10):
    return int(agent.wait_for_log(r"view %s: http on port (\d+)" % output, deadline_s)[1])


def get(port, path, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()


class Stream:
    """Server-sent events as they come."""

    def __init__(self, port, path, last_id=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        extra = "Last-Event-ID: %s\r\n" % last_id if last_id is not None else ""
        self.socket.sendall(("GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (path, extra)).encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def event(self):
        """(id, data) of the next one; None at the end."""
        fields = {}
        while line := self.file.readline():
            if not line.strip():
                if "data" in fields:
                    return int(fields["id"]), json.loads(fields["data"])
                fields = {}
            else:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                fields[name] = value
        return None


class Served(unittest.TestCase):
    def data(self, port, path="/view/k1/live"):
        return json.loads(get(port, path + "/data.json")[2])

    def shown(self, port):
        """All words of what is remembered."""
        return [row for batch in self.data(port)["batches"] for row in batch["rows"]]

    def test_on_the_monitoring_port(self):
        with Agent(pipeline(NETCAT, microbatch()), monitoring=True) as agent:
            port = int(agent.wait_for_log(agent.MONITORING_PORT)[1])
            wait_until(lambda: get(port, "/view/k1/live")[0] == 200, "the view")
            send_and_read(agent.port(), "hello <b>world</b> hello\n".encode())
            wait_until(lambda: self.shown(port), "the words")
            self.assertEqual(self.shown(port), [["hello", 2], ["<b>world</b>", 1]])
            data = self.data(port)
            self.assertEqual((data["sink"], data["output"], data["interval_ms"], data["remember_ms"]), ("k1", "live", 100, 60000))
            self.assertEqual(data["columns"], [{"name": "word", "type": "text"}, {"name": "n", "type": "int"}])
            self.assertTrue(all(b["time"] % 100 == 0 for b in data["batches"]))
            status, headers, page = get(port, "/view/k1/live")
            self.assertIn("<title>live of k1 - Sluice</title>", page)
            self.assertNotRegex(page, r"(?:src|href)=\"?(?:https?:)?//")
            self.assertIn("default-src 'none'", headers["content-security-policy"])
            self.assertEqual(headers["cache-control"], "no-store")
            self.assertEqual(headers["x-content-type-options"], "nosniff")
            self.assertIn('href="view/k1/live"', get(port, "/view")[2])
            self.assertEqual(get(port, "/view/k1/dead")[0], 404)
            self.assertIn("./view", get(port, "/")[2])

    def test_the_reference_configuration_in_both_languages(self):
        """A port of its own, as the design has it, word for word; a source that is here in place of kafka."""
        steps = ("steps = p w count hot\nsteps.p.type = parse\nsteps.p.format = tsv\nsteps.p.fields = time user word\n"
                 "steps.w.type = window\nsteps.w.length = 30s\nsteps.w.slide = 10s\n"
                 "steps.count.type = aggregate\nsteps.count.by = word\nsteps.count.agg.n = count()\n"
                 "steps.hot.type = top\nsteps.hot.n = 10\nsteps.hot.order = -n word\n")
        port = free_port()
        outputs = ("outputs = out live\noutputs.out.type = print\noutputs.live.type = view\n"
                   "outputs.live.bind = 127.0.0.1\noutputs.live.port = %d\n" % port)
        properties = lists("1") + flow(NETCAT, microbatch(outputs, steps, "10s"), "capacity = 100000")
        yaml = """
a1:
  sources:  { r1: { type: netcat, bind: 127.0.0.1, port: 0, channels: [c1] } }
  channels: { c1: { type: memory, capacity: 100000 } }
  sinks:
    k1:
      type: microbatch
      channel: c1
      batchInterval: 10s
      steps:
        - { name: p, type: parse, format: tsv, fields: [time, user, word] }
        - { name: w, type: window, length: 30s, slide: 10s }
        - { name: count, type: aggregate, by: [word], agg: { n: count() } }
        - { name: hot, type: top, n: 10, order: [-n, word] }
      outputs:
        - { name: out, type: print }
        - { name: live, type: view, bind: 127.0.0.1, port: %d }
""" % port
        for config, name in ((properties, "test.conf"), (yaml, "test.yaml")):
            with self.subTest(name), Agent(config, file_name=name) as agent:
                agent.wait_until_running()
                self.assertEqual(view_port(agent), port)
                self.assertIn("<title>live of k1 - Sluice</title>", get(port, "/")[2])
                self.assertEqual(self.data(port)["interval_ms"], 10000)
                self.assertNotRegex(agent.log(), r"\[(?:warn|error)\].*(?:live|view)")
                self.assertEqual(agent.stop(), 0)

    def test_streams(self):
        with Agent(pipeline(NETCAT, microbatch(VIEW + "outputs.live.port = 0\n"))) as agent:
            port = view_port(agent)
            with Stream(port, "/view/k1/live/events") as stream:
                ids = [stream.event()[0] for _ in range(5)]
                # Whole intervals in their order; where the machine was late there may be a gap.
                self.assertEqual(ids, sorted(set(ids)))
                self.assertFalse([each for each in ids if each % 100])
                send_and_read(agent.port(), b"one two one\n")
                rows = []
                while not rows:
                    time, batch = stream.event()
                    rows = batch["rows"]
                    self.assertEqual((time, batch["left"]), (batch["time"], 0))
                self.assertEqual(rows, [["one", 2], ["two", 1]])
            # A client that comes back gets what it has missed.
            with Stream(port, "/view/k1/live/events", ids[1]) as again:
                self.assertEqual([again.event()[0] for _ in range(3)], ids[2:])
                self.assertEqual(agent.stop(), 0)
                while again.event():
                    pass

    def test_a_stop_waits_for_nobody_who_looks(self):
        with Agent(pipeline(NETCAT, microbatch(VIEW + "outputs.live.port = 0\n")), monitoring=True) as agent:
            ports = view_port(agent), int(agent.wait_for_log(agent.MONITORING_PORT)[1])
            streams = [Stream(port, "/view/k1/live/events") for port in ports for _ in range(5)]
            self.assertTrue(all(stream.event() for stream in streams))
            self.assertEqual(agent.stop(deadline_s=4), 0)
            for stream in streams:
                while stream.event():
                    pass
                stream.__exit__()

    def test_more_streams_than_there_may_be(self):
        with Agent(pipeline(NETCAT, microbatch(VIEW + "outputs.live.port = 0\n"))) as agent:
            port = view_port(agent)
            streams = [Stream(port, "/view/k1/live/events") for _ in range(40)]
            self.assertEqual([s.status for s in streams], [200] * 32 + [503] * 8)
            self.assertEqual(get(port, "/")[0], 200)
            for stream in streams:
                stream.__exit__()

            def has_room():
                with Stream(port, "/view/k1/live/events") as stream:
                    return stream.status == 200
            wait_until(has_room, "there is room again")

    def test_a_view_for_each_step_that_nobody_reads(self):
        steps = COUNT.replace("steps = words count hot", "steps = words count hot all") + (
            "steps.all.type = aggregate\nsteps.all.input = words\nsteps.all.agg.n = count()\n")
        with Agent(pipeline(NETCAT, microbatch(VIEW + "outputs.live.port = 0\n", steps))) as agent:
            port = view_port(agent)
            links = re.findall(r'href="(view/[^"]+)"', get(port, "/")[2])
            self.assertEqual(links, ["view/k1/live/all", "view/k1/live/hot"])
            send_and_read(agent.port(), b"a b c\n")

            def counted():
                return sum(row[0] for batch in self.data(port, "/view/k1/live/all")["batches"] for row in batch["rows"])
            wait_until(lambda: counted() == 3, "three words")

    def test_a_port_that_is_taken_is_tried_again(self):
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            port = holder.getsockname()[1]
            agent = Agent(pipeline(NETCAT, microbatch(VIEW + "outputs.live.port = %d\n" % port)), monitoring=True)
            agent.start()
            try:
                agent.wait_for_log(r"view live: cannot listen on 127\.0\.0\.1:%d.*it is tried again" % port)
                batches = agent.sample("sluice_microbatch_batches_total")
                wait_until(lambda: agent.sample("sluice_microbatch_batches_total") > batches + 3, "batches go on")
                holder.close()
                self.assertEqual(view_port(agent, deadline_s=40), port)
                self.assertEqual(agent.log().count("cannot listen"), 1)
            finally:
                agent.__exit__(None, None, None)

    def test_the_reference_configuration_is_judged_good(self):
        reference = os.path.join(SHARED, "reference/microbatch.md")
        if not os.path.isfile(reference):
            self.skipTest("../shared is not there")
        with open(reference, encoding="utf-8") as file:
            text = file.read()
        config = text[text.index("**3. "):].split("```properties\n")[1].split("```")[0]
        self.assertIn("outputs.live.port = 8080", config)
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
            path = os.path.join(folder, "reference.conf")
            with open(path, "w") as file:
                file.write(config)
            code, out, error = run_sluice("check", "--json", "--conf-file", path)
        self.assertEqual(code, 0, out + error)
        self.assertEqual(json.loads(out)["agents"][0]["verdict"], "runs")

    def test_mistakes_are_told_by_check(self):
        wrong = {
            "outputs = g\noutputs.g.type = gauges\noutputs.g.labels = wrod\n": "no column is called 'wrod'",
            "outputs = a b\noutputs.a.type = view\noutputs.a.port = 8080\noutputs.b.type = view\noutputs.b.port = 8080\n":
                "another output has this port",
            "outputs = live\noutputs.live.type = view\noutputs.live.num = 0\n": "num",
        }
        for outputs, said in wrong.items():
            with self.subTest(said), Agent(pipeline(NETCAT, microbatch(outputs))) as agent:
                code, out, error = run_sluice("check", "--conf-file", agent.config)
                self.assertNotEqual(code, 0)
                self.assertIn(said, out + error)


class Measured(unittest.TestCase):
    def test_gauges_of_the_latest_batch(self):
        outputs = "outputs = g\noutputs.g.type = gauges\noutputs.g.num = 2\n"
        with Agent(pipeline(NETCAT, microbatch(outputs, interval="1s")), monitoring=True) as agent:
            port = agent.port()

            def gauges(samples):
                return {dict(labels)["word"]: n for (name, labels), n in samples.items() if name == "sluice_result_n"}

            def looked(line=None):
                """What one look shows. A batch is seen for a second only: what it has to have is sent before each look."""
                if line:
                    send_and_read(port, line)
                samples = agent.samples()
                return gauges(samples) and samples
            samples = wait_until(lambda: looked('say say say "hi" "hi" once\n'.encode()), "gauges")
            lines = gauges(samples)["say"] / 3  # of this batch
            self.assertEqual(gauges(samples), {"say": 3 * lines, '\\"hi\\"': 2 * lines})
            own = (("output", "g"), ("sink", "k1"))
            self.assertEqual(samples["sluice_result_n", own + (("word", "say"),)], 3 * lines)
            self.assertEqual(samples["sluice_microbatch_unshown_rows", own], 1)
            wait_until(lambda: set(gauges(looked(b"later\n") or {})) == {"later"}, "the next batch")
            wait_until(lambda: not looked(), "nothing is left of words that came no more")

    def test_counters_of_the_sink(self):
        steps = ("steps = p count\nsteps.p.type = parse\nsteps.p.format = csv\nsteps.p.fields = k n:int\n"
                 "steps.count.type = aggregate\nsteps.count.by = k\nsteps.count.agg.n = count()\nsteps.count.maxKeys = 2\n")
        outputs = "outputs = g\noutputs.g.type = gauges\n"
        with Agent(pipeline(NETCAT, microbatch(outputs, steps)), monitoring=True) as agent:
            send_and_read(agent.port(), b"a,1\nb,2\nbad\nc,3\nworse,x\n")
            left = "sluice_microbatch_left_out_rows_total"
            wait_until(lambda: agent.sample(left, component="k1", step="p", reason="bad records") == 2, "bad records")
            wait_until(lambda: agent.sample(left, step="count", reason="rows of keys beyond maxKeys") >= 1, "keys")
            wait_until(lambda: agent.sample("sluice_microbatch_result_rows_total") >= 3, "rows")
            now = agent.sample("sluice_microbatch_batch_time_seconds")
            self.assertGreater(now, 1.5e9)
            wait_until(lambda: agent.sample("sluice_microbatch_batch_time_seconds") > now, "the next batch")
            self.assertLess(agent.sample("sluice_microbatch_processing_seconds"), 5)
            self.assertLess(agent.sample("sluice_microbatch_delay_seconds"), 5)
            flume = agent.metrics()["SINK.k1"]
            self.assertGreaterEqual(int(flume["MicrobatchCount"]), 2)
            self.assertGreaterEqual(int(flume["LeftOutRowCount"]), 3)
            self.assertTrue(all(isinstance(value, str) for value in flume.values()))


@needs_browser
class Seen(unittest.TestCase):
    """In Chromium, while words keep coming."""

    LINES = ["the whale and the sea\n", "the ship the sea <script>document.title='broken'</script>\n",
             "the captain of the ship and the whale <img src=x onerror=alert(1)>\n"]

    def setUp(self):
        self.agent = self.enterContext(Agent(pipeline(NETCAT, microbatch(VIEW + "outputs.live.port = 0\n", interval="200ms"))))
        self.sender = self.enterContext(socket.create_connection(("127.0.0.1", self.agent.port()), timeout=10))
        self.sent = 0

    def send(self):
        self.sent += 1
        for number in range(self.sent % 7 + 1):
            self.sender.sendall(self.LINES[(self.sent + number) % 3].encode())
        return True

    def has_rows(self, browser):
        self.send()
        return browser.run("return document.querySelectorAll('#body tr').length") > 3

    def curves(self, browser):
        return browser.run("return [...document.querySelectorAll('#chart path')].map(p => p.getAttribute('d'))")

    def test_the_page_lives(self):
        with Browser() as browser:
            browser.open("http://127.0.0.1:%d/" % view_port(self.agent))
            wait_until(lambda: browser.text("#state") == "Live", lambda: "live; the console: %s" % browser.errors(), 20)
            wait_until(lambda: self.has_rows(browser), "rows", 20)
            wait_until(lambda: self.send() and len(self.curves(browser)) == 5, "five curves", 20)
            before = browser.text("#facts"), browser.text("#body"), self.curves(browser), browser.screenshot()
            wait_until(lambda: self.send() and browser.text("#body") != before[1], "the table changes", 20)
            wait_until(lambda: self.send() and self.curves(browser) != before[2], "the chart changes", 20)
            wait_until(lambda: browser.text("#facts") != before[0], "the time of the batch goes on", 20)
            for _ in range(10):
                time = browser.text("#facts")
                wait_until(lambda: self.send() and browser.text("#facts") != time, "batches come", 20)
            after = browser.screenshot(os.path.join(SCREENSHOTS, "view.png"))
            self.assertNotEqual(before[3], after)
            self.assertEqual(browser.text("#columns").split(), ["word", "n"])
            self.assertEqual(browser.run("return document.title"), "live of k1 - Sluice")
            self.assertEqual(browser.run("return document.querySelectorAll('#body script, #body img').length"), 0)
            self.look_at_the_rest(browser)
            self.assertEqual(browser.errors(), [])

    def look_at_the_rest(self, browser):
        browser.click("#top")
        bars = "return document.querySelectorAll('#chart rect').length"
        wait_until(lambda: self.send() and browser.run(bars) > 3, "bars", 20)
        browser.screenshot(os.path.join(SCREENSHOTS, "view-largest.png"))
        browser.click("#pause")
        text = browser.text("#facts")
        wait_out(0.7, lambda: self.send() and browser.text("#facts") == text)
        browser.click("#pause")
        wait_until(lambda: self.send() and browser.text("#facts") != text, "it goes on", 10)

    def test_markup_in_events_stays_text(self):
        with Browser() as browser:
            browser.open("http://127.0.0.1:%d/" % view_port(self.agent))
            wanted = "<script>document.title='broken'</script>"

            def words():
                self.sender.sendall(self.LINES[1].encode())
                return browser.run("return [...document.querySelectorAll('#body td')].map(e => e.textContent)")
            wait_until(lambda: wanted in words(), "the word as it came", 20)
            self.assertEqual(browser.run("return document.title"), "live of k1 - Sluice")
            self.assertEqual(browser.errors(), [])

    def test_narrow_and_dark(self):
        for dark in (False, True):
            with Browser(width=500, dark=dark) as browser:
                browser.open("http://127.0.0.1:%d/" % view_port(self.agent))
                wait_until(lambda: self.has_rows(browser), "rows", 20)
                widths = browser.run("return [innerWidth, document.documentElement.scrollWidth]")
                self.assertLessEqual(widths[1], widths[0], "nothing sticks out")
                ground = browser.run("return getComputedStyle(document.body).backgroundColor")
                self.assertEqual(sum(map(int, re.findall(r"\d+", ground))) < 200, dark, ground)
                browser.screenshot(os.path.join(SCREENSHOTS, "view-narrow-%s.png" % ("dark" if dark else "light")))

    def test_it_comes_back_with_the_agent(self):
        port = free_port()
        config = pipeline(NETCAT, microbatch(VIEW + "outputs.live.port = %d\n" % port, interval="200ms"))
        with Browser() as browser:
            with Agent(config) as first:
                view_port(first)
                browser.open("http://127.0.0.1:%d/" % port)
                wait_until(lambda: browser.text("#state") == "Live", "live", 20)
                self.assertEqual(first.stop(), 0)
            wait_until(lambda: browser.text("#state") == "Reconnecting…", "it is told", 20)
            with Agent(config) as second:
                send_and_read(second.port(), b"again\n")
                wait_until(lambda: browser.text("#state") == "Live", "live again", 30)
                seen = "return [...document.querySelectorAll('.legend .key')].map(e => e.textContent)"
                wait_until(lambda: "again" in browser.run(seen), "what came since", 20)


if __name__ == "__main__":
    unittest.main(verbosity=2)
