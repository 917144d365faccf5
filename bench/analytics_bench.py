#!/usr/bin/env python3
"""What the micro-batch sink does inside a running agent: whole paths, time from tick to result, rsyslog's dyn_stats beside it.

  analytics_bench.py --bin BIN words [--text FILE] [--mb 400] [--words 200000] [--runs 5]   TAILDIR -> memory -> word count, top 10
  analytics_bench.py --bin BIN access --log FILE [--mb 400] [--runs 5]                      TAILDIR -> memory -> three branches of an access log
  analytics_bench.py --bin BIN ticks [--words 200000] [--seconds 60] [--durable]            tick to the first byte printed, running counts of so many words
  analytics_bench.py --bin BIN counts [--lines 2000000] [--words 20000] [--runs 3] [--rsyslog-root DIR]
                                                                                             a word a line by TCP, counted; and by rsyslog's dyn_stats

Word counts need bench_fold beside BIN, which writes the text. Prints JSON, a line a figure. Traffic stays on 127.0.0.1.
"""
import argparse, collections, glob, json, os, re, shutil, socket, statistics, subprocess, sys, tempfile, threading, time

from agent_bench import Agent, channel, cpu_s, free_port, median, names, rss_kb, source, stop, tail_source, wait_port


def write_text(o, path):
    fold = os.path.join(os.path.dirname(o.bin), "bench_fold")
    subprocess.run([fold, "--write", path, str(int(o.mb)), str(o.words)], check=True)


def microbatch(keys, interval="2s"):
    lines = [f"a1.sinks.mb.{key} = {value}" for key, value in keys.items()]
    return f"a1.sinks.mb.type = microbatch\na1.sinks.mb.channel = c1\na1.sinks.mb.batchInterval = {interval}\n" + "\n".join(lines) + "\n"


COUNT = {"steps": "w c", "steps.w.type": "split", "steps.w.on": "space", "steps.c.type": "aggregate", "steps.c.by": "word", "steps.c.agg.n": "count()"}
TOP = {**COUNT, "steps": "w c t", "steps.t.type": "top", "steps.t.n": "10", "steps.t.order": "-n word", "outputs": "out", "outputs.out.type": "print"}


def path_runs(o, directory, size, lines, sink, check):
    """Reads the files in in/ to their end and stops, `runs` times; start and stop are in the time."""
    rows = []
    text = names("r1", "c1", "mb") + tail_source(directory, "a1.sources.r1.batchSize = 1000\n") + channel("c1") + sink
    for _ in range(o.runs):
        for name in ("positions.json", "log"):
            if os.path.exists(os.path.join(directory, name)):
                os.remove(os.path.join(directory, name))
        a = Agent(o.bin, text, directory, ["--once"])
        _, status, use = os.wait4(a.p.pid, 0)
        wall = time.monotonic() - a.started
        with open(os.path.join(directory, "log"), errors="replace") as file:
            said = file.read()
        if status != 0:
            raise SystemExit("the agent failed\n" + said[-2000:])
        with open(os.path.join(directory, "positions.json")) as file:
            at = sum(each["pos"] for each in json.load(file))
        if at != size:
            raise SystemExit("the agent stopped at %d of %d\n%s" % (at, size, said[-2000:]))
        check(said)
        rows.append((wall, use.ru_utime + use.ru_stime, use.ru_maxrss))
    walls = sorted(size / r[0] / 1e6 for r in rows)
    print(json.dumps({"MBps": round(median(walls)), "MBps_from_to": [round(walls[0]), round(walls[-1])], "MB_per_cpu_s": round(median([size / r[1] / 1e6 for r in rows])),
                      "lines_per_s": round(lines / median([r[0] for r in rows])), "lines_per_cpu_s": round(lines / median([r[1] for r in rows])),
                      "peak_rss_mb": round(max(r[2] for r in rows) / 1024), "load": os.getloadavg()[0]}), flush=True)


def words(o):
    with tempfile.TemporaryDirectory(prefix="analytics-bench-") as directory:
        path = os.path.join(directory, "in", "text")
        os.mkdir(os.path.dirname(path))
        if o.text:
            shutil.copy(o.text, path)
        else:
            write_text(o, path)
        counts = collections.Counter()
        with open(path) as file:
            for n, line in enumerate(file, 1):
                counts.update(line.rstrip("\n").split(" "))
        most = sorted(counts.values(), reverse=True)[:10]

        def check(said):  # one batch as long as the run, so what it prints is of the whole file
            found = [int(n) for n in re.findall(r"^\(.*,(\d+)\)$", said, re.M)][:10]
            if found != most:
                raise SystemExit("counted %s where the text has %s\n%s" % (found, most, said[-2000:]))

        path_runs(o, directory, os.path.getsize(path), n, microbatch(TOP, "1h"), check)


ACCESS = {"steps": "p url urls status visitors", "steps.p.type": "parse", "steps.p.format": "combined",
          "steps.url.type": "aggregate", "steps.url.input": "p", "steps.url.by": "path", "steps.url.agg.n": "count()",
          "steps.urls.type": "top", "steps.urls.n": "10", "steps.urls.order": "-n path",
          "steps.status.type": "aggregate", "steps.status.input": "p", "steps.status.by": "status", "steps.status.agg.n": "count()", "steps.status.agg.p50": "quantile(bytes, 0.5)", "steps.status.agg.p99": "quantile(bytes, 0.99)",
          "steps.visitors.type": "aggregate", "steps.visitors.input": "p", "steps.visitors.by": "method", "steps.visitors.agg.visitors": "distinct(ip)",
          "outputs": "u s v", "outputs.u.type": "print", "outputs.u.input": "urls", "outputs.s.type": "print", "outputs.s.input": "status",
          "outputs.v.type": "print", "outputs.v.input": "visitors"}


def access(o):
    with tempfile.TemporaryDirectory(prefix="analytics-bench-") as directory:
        path = os.path.join(directory, "in", "log")
        os.mkdir(os.path.dirname(path))
        with open(o.log, "rb") as file:
            once = file.read()
        copies = max(1, int(o.mb * 1e6 / len(once)))
        with open(path, "wb") as file:
            for _ in range(copies):
                file.write(once)
        lines = once.count(b"\n")

        def check(said):
            counted = sum(int(n) for n in re.findall(r"^\(\d{3},(\d+),", said, re.M))
            bad = re.search(r"bad records, (\d+) since", said)
            if counted + int(bad[1] if bad else 0) != lines * copies:
                raise SystemExit("%d of %d records are among the results\n%s" % (counted, lines * copies, said[-2000:]))

        path_runs(o, directory, os.path.getsize(path), lines * copies, microbatch(ACCESS, "1h"), check)


def ticks(o):
    """Batches of a second end at whole seconds of the clock; so the time from there to the block's first byte can be seen from outside."""
    with tempfile.TemporaryDirectory(prefix="analytics-bench-") as directory:
        text = os.path.join(directory, "text")
        o.mb = 150
        write_text(o, text)
        with open(text) as file:
            keys = len(set(file.read().split()))
        running = {**TOP, "steps": "w c s t", "steps.s.type": "state", "steps.s.merge.n": "sum"}
        keep = channel("c1") if not o.durable else "a1.channels.c1.type = rocksdb\na1.channels.c1.capacity = 10000000\n"
        port = free_port()
        config = names("r1", "c1", "mb") + source("r1", port, "c1") + keep + microbatch(running, "1s")
        path = os.path.join(directory, "x.conf")
        with open(path, "w") as file:
            file.write(config)
        subprocess.run([o.bin, "check", "--name", "a1", "--conf-file", path], check=True, stdout=sys.stderr)
        agent = subprocess.Popen([o.bin, "agent", "--name", "a1", "--conf", directory, "--conf-file", path, "-Dsluice.state.dir=" + os.path.join(directory, "state")],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        late, done = [], threading.Event()

        def read():
            for line in iter(agent.stdout.readline, b""):
                now = time.time()
                found = re.match(rb"Time: (\d+) ms", line)
                if found:
                    late.append((now * 1000 - int(found[1])))

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        wait_port(port, agent)
        with socket.create_connection(("127.0.0.1", port), 60) as peer, open(text, "rb") as file:
            peer.sendall(file.read())  # every word is known from here on
            time.sleep(3)
            late.clear()
            end = time.monotonic() + o.seconds
            file.seek(0)
            while time.monotonic() < end:
                block = file.read(20_000) or (file.seek(0), file.read(20_000))[1]
                peer.sendall(block)  # 2 MB a second
                time.sleep(0.01)
        rss = rss_kb(agent.pid)
        took = sorted(late)  # but for the batch that a stop ends
        stop(agent)
        reader.join(5)
        print(json.dumps({"ticks": len(took), "words": keys, "durable": o.durable, "p50_ms": round(took[len(took) // 2], 1),
                          "p99_ms": round(took[min(len(took) - 1, int(len(took) * 0.99))], 1), "max_ms": round(took[-1], 1), "rss_mb": rss // 1024, "load": os.getloadavg()[0]}))


def send_words(port, data):
    with socket.create_connection(("127.0.0.1", port), 60) as peer:
        peer.sendall(data)


def counts(o):
    with tempfile.TemporaryDirectory(prefix="analytics-bench-") as directory:
        o.mb = max(1, o.lines * 9 // 1_000_000 + 1)
        text = os.path.join(directory, "text")
        write_text(o, text)
        with open(text) as file:
            each = file.read().split()[: o.lines]
        wanted = collections.Counter(each)
        data = ("\n".join(each) + "\n").encode()
        last = b"the-end\n"
        rows = collections.defaultdict(list)
        for _ in range(o.runs):
            rows["sluice"].append(count_by_sluice(o, directory, data, last, wanted))
            if o.rsyslog_root:
                rows["rsyslog"].append(count_by_rsyslog(o, directory, data, last, wanted))
        for name, found in rows.items():
            print(json.dumps({"agent": name, "lines_per_s": round(len(each) / median([f[0] for f in found])), "cpu_us_a_line": round(median([f[1] for f in found]) * 1e6 / len(each), 3),
                              "words": len(wanted), "load": os.getloadavg()[0]}), flush=True)


def wait_for(what, is_there, seconds=120):
    end = time.monotonic() + seconds
    while not is_there():
        if time.monotonic() > end:
            raise SystemExit("%s did not come" % what)
        time.sleep(0.005)


def count_by_sluice(o, directory, data, last, wanted):
    out = os.path.join(directory, "results")
    shutil.rmtree(out, ignore_errors=True)
    port = free_port()
    steps = {"steps": "c s", "steps.c.type": "aggregate", "steps.c.by": "body", "steps.c.agg.n": "count()",
             "steps.s.type": "state", "steps.s.merge.n": "sum", "outputs": "out", "outputs.out.type": "file", "outputs.out.prefix": out + "/counts", "outputs.out.format": "csv"}
    with Agent(o.bin, names("r1", "c1", "mb") + source("r1", port, "c1") + channel("c1") + microbatch(steps, "1s")) as agent:
        wait_port(port, agent.p)
        time.sleep(1)
        before, began = cpu_s(agent.p.pid), time.monotonic()
        send_words(port, data + last)

        def result():
            for name in sorted(os.listdir(out), reverse=True) if os.path.isdir(out) else []:
                with open(os.path.join(out, name)) as file:
                    return dict((line.rstrip("\n").rsplit(",", 1)[0], int(line.rsplit(",", 1)[1])) for line in file if "," in line and line.rstrip().rsplit(",", 1)[1].isdigit())
            return {}

        wait_for("the counts", lambda: "the-end" in result())
        took, cpu = time.monotonic() - began, cpu_s(agent.p.pid) - before
        found = result()
        if any(found.get(word) != n for word, n in wanted.items()):
            raise SystemExit("Sluice's counts differ from the text's")
        return took, cpu


def count_by_rsyslog(o, directory, data, last, wanted):
    root = o.rsyslog_root.rstrip("/")
    libraries = glob.glob(root + "/usr/lib/*/rsyslog")[0]
    port, stats, end = free_port(), os.path.join(directory, "stats"), os.path.join(directory, "end")
    for path in (stats, end):
        if os.path.exists(path):
            os.remove(path)
    config = os.path.join(directory, "rsyslog.conf")
    with open(config, "w") as file:
        file.write(f'''global(workDirectory="{directory}")
module(load="imptcp")
module(load="impstats" interval="5" format="json" resetCounters="off" log.file="{stats}" log.syslog="off")
dyn_stats(name="words" resettable="off" maxCardinality="1000000" unusedMetricLife="3600")
input(type="imptcp" port="{port}" address="127.0.0.1" ruleset="count")
ruleset(name="count" queue.type="LinkedList" queue.size="200000" queue.dequeueBatchSize="1024") {{
  set $.counted = dyn_inc("words", $rawmsg);
  if $rawmsg == "the-end" then action(type="omfile" file="{end}")
}}
''')
    p = subprocess.Popen([root + "/usr/sbin/rsyslogd", "-n", "-f", config, "-i", os.path.join(directory, "pid"), "-M", libraries],
                         env={**os.environ, "LD_LIBRARY_PATH": os.path.dirname(libraries)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_port(port, p)
        time.sleep(1)
        before, began = cpu_s(p.pid), time.monotonic()
        send_words(port, data + last)
        wait_for("rsyslog's end", lambda: os.path.exists(end))
        took, cpu = time.monotonic() - began, cpu_s(p.pid) - before

        def result():
            if not os.path.exists(stats):
                return {}
            with open(stats, errors="replace") as file:
                said = [line for line in file if '"values"' in line and '"words"' in line]
            return json.loads(said[-1][said[-1].index("{"):]).get("values", {}) if said else {}

        wait_for("rsyslog's counts", lambda: sum(result().values()) >= sum(wanted.values()), 30)
        found = result()
        if any(found.get(word) != n for word, n in wanted.items()):
            raise SystemExit("rsyslog's counts differ from the text's")
        return took, cpu
    finally:
        stop(p)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", required=True)
    sub = p.add_subparsers(dest="what", required=True)
    s = sub.add_parser("words"); s.add_argument("--text"); s.add_argument("--mb", type=float, default=400); s.add_argument("--words", type=int, default=200_000); s.add_argument("--runs", type=int, default=5)
    s = sub.add_parser("access"); s.add_argument("--log", required=True); s.add_argument("--mb", type=float, default=400); s.add_argument("--runs", type=int, default=5)
    s = sub.add_parser("ticks"); s.add_argument("--words", type=int, default=200_000); s.add_argument("--seconds", type=float, default=60); s.add_argument("--durable", action="store_true")
    s = sub.add_parser("counts"); s.add_argument("--lines", type=int, default=2_000_000); s.add_argument("--words", type=int, default=20_000); s.add_argument("--runs", type=int, default=3); s.add_argument("--rsyslog-root")
    o = p.parse_args()
    {"words": words, "access": access, "ticks": ticks, "counts": counts}[o.what](o)


if __name__ == "__main__":
    main()
