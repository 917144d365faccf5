#!/usr/bin/env python3
"""What the benchmark kit does not measure: one agent, its start, its memory, its pipelines beside each other.

  agent_bench.py --bin BIN --kit DIR start --empty PROGRAM [--runs 21]
  agent_bench.py --bin BIN --kit DIR headers [--mb 800] [--runs 5]
  agent_bench.py --bin BIN --kit DIR neighbours [--mb 800] [--runs 5]
  agent_bench.py --bin BIN --kit DIR slow-receiver [--minutes 3]
  agent_bench.py --bin BIN --kit DIR tail [--mb 1000] [--runs 5]         a file by TAILDIR -> null
  agent_bench.py --bin BIN --kit DIR durable-tail [--mb 400] [--runs 5]  a file by TAILDIR -> rocksdb -> null, by sync mode; bytes a sync
  agent_bench.py --bin BIN --kit DIR idle-files [--files 5000] [--seconds 30]
  agent_bench.py --bin BIN --kit DIR restart [--mb 2000] [--runs 3]      kill -9 with so much in the store, first event out
  agent_bench.py --bin BIN --kit DIR acks [--seconds 5] [--runs 3]       answered lines, netcat -> durable, 1 and 50 connections
  agent_bench.py --bin BIN --kit DIR netcat-file [--classpath FILE] [--seconds 10]  answered lines, not waited for, netcat -> file channel -> null; and by Flume
  agent_bench.py --bin BIN --kit DIR avro [--mb 400] [--runs 5]           loadgen's Avro calls of 1000 -> avro source -> null, and -> sinkd
  agent_bench.py --bin BIN --kit DIR disk [--kb 200] [--seconds 5]       append + fdatasync, nothing else
  agent_bench.py --bin BIN --kit DIR hops [--rate 10000] [--seconds 5] [--runs 5]   netcat -> avro -> avro -> tcp: time a line is under way
  agent_bench.py --bin BIN --kit DIR idle-connections [--connections 1000]          to an avro source, each after a call

DIR is a built copy of the kit (its build/ holds loadgen and sinkd). Prints JSON, a line a figure. Traffic stays on 127.0.0.1.
"""
import argparse, json, multiprocessing, os, shutil, signal, socket, statistics, struct, subprocess, sys, tempfile, threading, time

TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def source(n, port, channel, extra=""):
    return (f"a1.sources.{n}.type = netcat\na1.sources.{n}.bind = 127.0.0.1\na1.sources.{n}.port = {port}\n"
            f"a1.sources.{n}.ack-every-event = false\na1.sources.{n}.max-line-length = 65536\na1.sources.{n}.channels = {channel}\n{extra}")


def channel(n):
    return (f"a1.channels.{n}.type = memory\na1.channels.{n}.capacity = 200000\na1.channels.{n}.transactionCapacity = 10000\n"
            f"a1.channels.{n}.byteCapacity = 500000000\n")


def names(sources, channels, sinks):
    return f"a1.sources = {sources}\na1.channels = {channels}\na1.sinks = {sinks}\n"


class Agent:
    """The binary with one configuration, stopped by its pid."""

    def __init__(self, binary, text, directory=None, arguments=()):
        self.own = directory is None
        self.dir = directory or tempfile.mkdtemp(prefix="agent-bench-")
        path = os.path.join(self.dir, "x.conf")
        with open(path, "w") as f:
            f.write(text)
        self.log = open(os.path.join(self.dir, "log"), "wb")
        self.started = time.monotonic()
        self.p = subprocess.Popen([binary, "agent", "--name", "a1", "--conf", self.dir, "--conf-file", path,
                                   "-Dsluice.state.dir=" + os.path.join(self.dir, "state"), *arguments], stdin=subprocess.DEVNULL,
                                  stdout=self.log, stderr=self.log, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop(self.p)
        self.log.close()
        if self.own:
            shutil.rmtree(self.dir, ignore_errors=True)


def stop(p):
    p.send_signal(signal.SIGTERM)
    try:
        p.wait(10)
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()


def wait_port(port, p, timeout=20):
    end = time.monotonic() + timeout
    while time.monotonic() < end and p.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return time.monotonic()
        except OSError:
            time.sleep(0.0002)
    raise SystemExit("nothing listens on port %d" % port)


def private_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return sum(int(l.split()[1]) for l in f if l.startswith(("Private_Clean", "Private_Dirty")))


def rss_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(l.split()[1]) for l in f if l.startswith("VmRSS"))


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def median(values):
    return round(statistics.median(values), 3)


def load(kit, port, mb, wait_eof=False):
    lines = int(mb * 1e6 / 204.1)
    args = [os.path.join(kit, "build", "loadgen"), "--port", str(port), "--lines", str(lines)]
    r = subprocess.run(args + (["--wait-eof", "30"] if wait_eof else []), stdout=subprocess.PIPE, text=True, check=True)
    return lines, json.loads(r.stdout)


def start(o):
    """Time to the first accepted connection and private memory, against the empty program."""
    rows = {"agent": [], "empty": []}
    for _ in range(o.runs):
        port = free_port()
        with Agent(o.bin, names("r1", "c1", "k1") + source("r1", port, "c1") + channel("c1") + "a1.sinks.k1.type = null\na1.sinks.k1.channel = c1\n") as a:
            rows["agent"].append(((wait_port(port, a.p) - a.started) * 1e3, settled_kb(a.p.pid)))
        port = free_port()
        t = time.monotonic()
        p = subprocess.Popen([o.empty, str(port)], stdin=subprocess.DEVNULL)
        rows["empty"].append(((wait_port(port, p) - t) * 1e3, settled_kb(p.pid)))
        p.kill()
        p.wait()
    print(json.dumps({f"{who}_{what}": median([r[i] for r in got]) for who, got in rows.items() for i, what in enumerate(("start_ms", "private_kb"))}))


def settled_kb(pid):
    time.sleep(0.3)
    return private_kb(pid)


def headers(o):
    """CPU an event of netcat -> memory -> null, without and with three static headers."""
    extra = "a1.sources.r1.interceptors = i1 i2 i3\n" + "".join(
        f"a1.sources.r1.interceptors.i{i}.type = static\na1.sources.r1.interceptors.i{i}.key = k{i}\na1.sources.r1.interceptors.i{i}.value = some-value-{i}\n" for i in (1, 2, 3))
    rows = {"plain": [], "headers": []}
    for _ in range(o.runs):
        for who, more in (("plain", ""), ("headers", extra)):
            port = free_port()
            with Agent(o.bin, names("r1", "c1", "k1") + source("r1", port, "c1", more) + channel("c1") + "a1.sinks.k1.type = null\na1.sinks.k1.channel = c1\n") as a:
                wait_port(port, a.p)
                before = cpu_s(a.p.pid)
                lines, r = load(o.kit, port, o.mb, wait_eof=True)
                rows[who].append(((cpu_s(a.p.pid) - before) * 1e6 / lines, r["bytes"] / max(r["eof_ns"] - r["start_ns"], 1) * 1e3))
    out = {f"{who}_{what}": median([r[i] for r in got]) for who, got in rows.items() for i, what in enumerate(("cpu_us", "MBps"))}
    out["cpu_ratio"] = round(out["headers_cpu_us"] / out["plain_cpu_us"], 3)
    print(json.dumps(out))


def neighbours(o):
    """Speed of one pipeline alone, and beside one whose sink is dead while its source is offered all it takes."""
    rows = {"alone": [], "beside": []}
    for _ in range(o.runs):
        for who in rows:
            good, bad, out, dead = (free_port() for _ in range(4))
            text = names("r1 r2", "c1 c2", "k1 k2") + source("r1", good, "c1") + source("r2", bad, "c2") + channel("c1") + channel("c2")
            for k, c, port in (("k1", "c1", out), ("k2", "c2", dead)):
                text += f"a1.sinks.{k}.type = tcp\na1.sinks.{k}.hostname = 127.0.0.1\na1.sinks.{k}.port = {port}\na1.sinks.{k}.channel = {c}\n"
            lines = int(o.mb * 1e6 / 204.1)
            sink = subprocess.Popen([os.path.join(o.kit, "build", "sinkd"), "--port", str(out), "--expect", str(lines)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            sink.stderr.readline()
            with Agent(o.bin, text) as a:
                wait_port(good, a.p)
                wait_port(bad, a.p)
                flood = subprocess.Popen([os.path.join(o.kit, "build", "loadgen"), "--port", str(bad), "--lines", "100000000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) if who == "beside" else None
                if flood:
                    time.sleep(1)  # the dead pipeline fills up first
                _, r = load(o.kit, good, o.mb)
                got = json.loads(sink.communicate(timeout=60)[0])
                if flood:
                    flood.kill()
                    flood.wait()
            rows[who].append((r["bytes"] / (got["last_ns"] - r["start_ns"]) * 1e3, lines - got["unique"], got["dup"]))
    out = {who + "_MBps": median([r[0] for r in got]) for who, got in rows.items()}
    out["ratio"] = round(out["beside_MBps"] / out["alone_MBps"], 3)
    out["lost"] = sum(r[1] for got in rows.values() for r in got)
    out["dup"] = sum(r[2] for got in rows.values() for r in got)
    print(json.dumps(out))


def slow_receiver(o):
    """RSS while the receiver reads one byte a second and the source is offered all it takes."""
    port, listener = free_port(), socket.create_server(("127.0.0.1", 0))
    text = names("r1", "c1", "k1") + source("r1", port, "c1") + channel("c1") + f"a1.sinks.k1.type = tcp\na1.sinks.k1.hostname = 127.0.0.1\na1.sinks.k1.port = {listener.getsockname()[1]}\na1.sinks.k1.channel = c1\n"

    def drip():
        peer, _ = listener.accept()
        with peer:
            while peer.recv(1):
                time.sleep(1)
    threading.Thread(target=drip, daemon=True).start()
    with Agent(o.bin, text) as a:
        wait_port(port, a.p)
        flood = subprocess.Popen([os.path.join(o.kit, "build", "loadgen"), "--port", str(port), "--lines", "100000000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        rss = []
        for _ in range(int(o.minutes * 6)):
            time.sleep(10)
            rss.append(rss_kb(a.p.pid))
        flood.kill()
        flood.wait()
    first, last = rss[min(5, len(rss) - 1)], rss[-1]
    print(json.dumps({"minute1_rss_kb": first, "last_rss_kb": last, "ratio": round(last / first, 3), "all_kb": rss}))


def tail_source(directory, extra=""):
    return (f"a1.sources.r1.type = TAILDIR\na1.sources.r1.filegroups = f\na1.sources.r1.filegroups.f = {directory}/in/.*\n"
            f"a1.sources.r1.positionFile = {directory}/positions.json\na1.sources.r1.channels = c1\n{extra}")


def write_file(o, path, mb):
    """The load generator's lines, caught as it sends them."""
    with socket.create_server(("127.0.0.1", 0)) as listener, open(path, "wb") as file:
        sender = subprocess.Popen([os.path.join(o.kit, "build", "loadgen"), "--port", str(listener.getsockname()[1]),
                                   "--lines", str(int(mb * 1e6 / 204.1))], stdout=subprocess.DEVNULL)
        peer, _ = listener.accept()
        with peer:
            while block := peer.recv(1 << 20):
                file.write(block)
        sender.wait()
    return os.path.getsize(path)


def tail(o):
    """Reads a file to its end and stops; its start and stop are in the time."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="agent-bench-") as directory:
        os.mkdir(os.path.join(directory, "in"))
        size = write_file(o, os.path.join(directory, "in", "big.log"), o.mb)
        text = names("r1", "c1", "k1") + tail_source(directory, "a1.sources.r1.batchSize = 1000\n") + channel("c1") + "a1.sinks.k1.type = null\na1.sinks.k1.channel = c1\n"
        for _ in range(o.runs):
            if os.path.exists(os.path.join(directory, "positions.json")):
                os.remove(os.path.join(directory, "positions.json"))
            a = Agent(o.bin, text, directory, ["--once"])
            _, status, use = os.wait4(a.p.pid, 0)
            wall = time.monotonic() - a.started
            with open(os.path.join(directory, "positions.json")) as file:
                at = sum(each["pos"] for each in json.load(file))
            if status != 0 or at != size:
                raise SystemExit("the agent failed, or stopped at %d of %d" % (at, size))
            rows.append((size / wall / 1e6, size / (use.ru_utime + use.ru_stime) / 1e6))
    print(json.dumps({"MBps": median([r[0] for r in rows]), "MB_per_cpu_s": median([r[1] for r in rows])}))


def durable_tail(o):
    """A file by TAILDIR -> rocksdb -> null: each sync mode, with and without 5 ms more for every sync, and with retention; bytes a sync where strace is there."""
    with tempfile.TemporaryDirectory(prefix="agent-bench-") as directory:
        os.mkdir(os.path.join(directory, "in"))
        size = write_file(o, os.path.join(directory, "in", "big.log"), o.mb)

        def run(batch, sync, more_ms, extra, trace=()):
            shutil.rmtree(os.path.join(directory, "state"), ignore_errors=True)
            if os.path.exists(os.path.join(directory, "positions.json")):
                os.remove(os.path.join(directory, "positions.json"))
            text = names("r1", "c1", "k1") + tail_source(directory, f"a1.sources.r1.batchSize = {batch}\n") + durable_channel(f"a1.channels.c1.sync = {sync}\n{extra}")
            text += f"a1.sinks.k1.type = null\na1.sinks.k1.batchSize = 1000\na1.sinks.k1.channel = c1\n"
            with open(os.path.join(directory, "x.conf"), "w") as file:
                file.write(text)
            began = time.monotonic()
            subprocess.run([*trace, o.bin, "agent", "--name", "a1", "--conf", directory, "--conf-file", os.path.join(directory, "x.conf"), "-Dsluice.state.dir=" + os.path.join(directory, "state"), "--once"],
                           env={**os.environ, "SLUICE_SYNC_TAKES_MS": str(more_ms)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            wall = time.monotonic() - began
            with open(os.path.join(directory, "positions.json")) as file:
                if sum(each["pos"] for each in json.load(file)) != size:
                    raise SystemExit("the agent did not read to the end")
            return size / wall / 1e6

        kept = "a1.channels.c1.retention = 1h\n"
        for batch, sync, more_ms, extra in ((100, "always", 0, ""), (100, "always", 5, ""), (1000, "always", 0, ""), (1000, "always", 0, kept), (1000, "interval", 0, ""), (1000, "never", 0, "")):
            row = {"batchSize": batch, "sync": sync, "more_ms_a_sync": more_ms, "retention": bool(extra), "MBps": median([run(batch, sync, more_ms, extra) for _ in range(o.runs)])}
            if shutil.which("strace"):
                log = os.path.join(directory, "trace")
                run(batch, sync, more_ms, extra, ["strace", "-f", "-qq", "-e", "trace=fdatasync,fsync", "-o", log])
                with open(log) as file:
                    row["bytes_a_sync"] = round(size / max(1, sum("sync(" in line for line in file)))
            print(json.dumps({**row, "load": os.getloadavg()[0]}), flush=True)


def idle_files(o):
    with tempfile.TemporaryDirectory(prefix="agent-bench-") as directory:
        os.mkdir(os.path.join(directory, "in"))
        for i in range(o.files):
            with open(os.path.join(directory, "in", "%d.log" % i), "w") as file:
                file.write("line %d\n" % i)
        text = names("r1", "c1", "k1") + tail_source(directory) + channel("c1") + "a1.sinks.k1.type = null\na1.sinks.k1.channel = c1\n"
        with Agent(o.bin, text, directory) as a:
            time.sleep(10)
            before = cpu_s(a.p.pid)
            time.sleep(o.seconds)
            used = cpu_s(a.p.pid) - before
            print(json.dumps({"files": o.files, "percent_of_a_core": round(100 * used / o.seconds, 3), "rss_kb": rss_kb(a.p.pid)}))


def durable_channel(extra=""):
    return "a1.channels.c1.type = rocksdb\na1.channels.c1.capacity = 100000000\n" + extra


def restart(o):
    """Everything is absorbed while nobody listens; then kill -9, a new start, and its first byte."""
    rows = []
    for _ in range(o.runs):
        with tempfile.TemporaryDirectory(prefix="agent-bench-") as directory:
            port, out = free_port(), free_port()
            text = names("r1", "c1", "k1") + source("r1", port, "c1") + durable_channel() + f"a1.sinks.k1.type = tcp\na1.sinks.k1.hostname = 127.0.0.1\na1.sinks.k1.port = {out}\na1.sinks.k1.channel = c1\n"
            a = Agent(o.bin, text, directory)
            wait_port(port, a.p)
            _, r = load(o.kit, port, o.mb, wait_eof=True)
            absorbed = r["bytes"] / max(r["eof_ns"] - r["start_ns"], 1) * 1e3
            rss = rss_kb(a.p.pid)
            a.p.kill()
            a.p.wait()
            with socket.create_server(("127.0.0.1", out)) as listener:
                b = Agent(o.bin, text, directory)
                peer, _ = listener.accept()
                with peer:
                    peer.recv(1)
                    rows.append((time.monotonic() - b.started, absorbed, rss))
                    b.p.kill()
                    b.p.wait()
    print(json.dumps({"first_event_s": median([r[0] for r in rows]), "absorb_MBps": median([r[1] for r in rows]), "rss_full_kb": median([r[2] for r in rows])}))


def answered(port, stop_at, times):
    """One line, its OK, the next line."""
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while (began := time.monotonic()) < stop_at:
            s.sendall(b"x" * 200 + b"\n")
            s.recv(16)
            times.append(time.monotonic() - began)


def acks(o):
    text = names("r1", "c1", "k1") + durable_channel() + "a1.sinks.k1.type = null\na1.sinks.k1.channel = c1\n"
    for connections in (1, 50):
        rows = []
        for _ in range(o.runs):
            port = free_port()
            with Agent(o.bin, text + source("r1", port, "c1").replace("ack-every-event = false", "ack-every-event = true")) as a:
                wait_port(port, a.p)
                times, stop_at = [], time.monotonic() + o.seconds
                clients = [threading.Thread(target=answered, args=(port, stop_at, times)) for _ in range(connections)]
                for each in clients:
                    each.start()
                for each in clients:
                    each.join()
                times.sort()
                rows.append((len(times) / o.seconds, times[len(times) // 2] * 1e6, times[len(times) * 99 // 100] * 1e6))
        print(json.dumps({"connections": connections, "lines_per_s": median([r[0] for r in rows]),
                          "p50_us": median([r[1] for r in rows]), "p99_us": median([r[2] for r in rows])}))


def answers_a_second(port, seconds):
    """Lines sent as fast as they are taken, their answers counted beside."""
    block = (b"x" * 203 + b"\n") * 500
    with socket.create_connection(("127.0.0.1", port), 60) as peer:
        answered = [0]

        def read():
            while True:
                try:
                    some = peer.recv(1 << 16)
                except TimeoutError:
                    continue
                except OSError:  # closed at the end
                    return
                if not some:
                    return
                answered[0] += some.count(b"\n")

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        peer.settimeout(1)
        end, began = time.monotonic() + seconds, time.monotonic()
        while time.monotonic() < end:
            try:
                peer.sendall(block)
            except TimeoutError:  # a slow one: whatever of the block went is counted by its answers
                pass
        return answered[0] / (time.monotonic() - began)


def netcat_file(o):
    """The same file for both, each event answered when its transaction is on the disk."""
    agents = {"sluice": None}
    if o.classpath:
        with open(o.classpath) as file:
            agents["flume"] = file.read().strip()
    for name, classpath in agents.items():
        with tempfile.TemporaryDirectory(prefix="agent-bench-") as directory:
            port = free_port()
            text = names("r1", "c1", "k1") + (f"a1.sources.r1.type = netcat\na1.sources.r1.bind = 127.0.0.1\na1.sources.r1.port = {port}\na1.sources.r1.channels = c1\n"
                    f"a1.channels.c1.type = file\na1.channels.c1.checkpointDir = {directory}/checkpoint\na1.channels.c1.dataDirs = {directory}/data\n"
                    "a1.sinks.k1.type = null\na1.sinks.k1.batchSize = 1000\na1.sinks.k1.channel = c1\n")
            path = os.path.join(directory, "x.conf")
            with open(path, "w") as file:
                file.write(text)
            command = ([os.path.abspath(o.bin), "agent", "--name", "a1", "--conf", directory, "--conf-file", path] if classpath is None
                       else ["java", "-Xmx1g", "-cp", classpath, "org.apache.flume.node.Application", "--name", "a1", "--conf-file", path, "--no-reload-conf"])
            p = subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
            try:
                wait_port(port, p, 90)
                rate = answers_a_second(port, o.seconds)
            finally:
                stop(p)
            print(json.dumps({"agent": name, "lines_per_s": round(rate), "MBps": round(rate * 204 / 1e6, 2), "load": os.getloadavg()[0]}), flush=True)


def avro(o):
    """Calls that wait for their answers, into our source and into the kit's receiver, in turn."""
    def send(port, connections):
        lines = int(o.mb * 1e6 / 204.1)
        r = subprocess.run([os.path.join(o.kit, "build", "loadgen"), "--port", str(port), "--lines", str(lines), "--proto", "avro",
                            "--batch", "1000", "--conns", str(connections)], stdout=subprocess.PIPE, text=True, check=True)
        report = json.loads(r.stdout)
        if not report["ok"] or report["lines"] != lines:
            raise SystemExit("not all was acknowledged: %s" % report)
        return report["bytes"] / (report["sent_ns"] - report["start_ns"]) * 1e3
    for connections in (1, 4):
        rows = {"agent": [], "sinkd": []}
        for _ in range(o.runs):
            port = free_port()
            text = (f"a1.sources.r1.type = avro\na1.sources.r1.bind = 127.0.0.1\na1.sources.r1.port = {port}\na1.sources.r1.channels = c1\n"
                    "a1.sinks.k1.type = null\na1.sinks.k1.batchSize = 1000\na1.sinks.k1.channel = c1\n")
            with Agent(o.bin, names("r1", "c1", "k1") + text + channel("c1")) as a:
                wait_port(port, a.p)
                rows["agent"].append(send(port, connections))
            port = free_port()
            p = subprocess.Popen([os.path.join(o.kit, "build", "sinkd"), "--port", str(port), "--proto", "avro", "--expect", str(1 << 40)],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_port(port, p)
            rows["sinkd"].append(send(port, connections))
            stop(p)
        print(json.dumps({"connections": connections, "agent_MBps": median(rows["agent"]), "sinkd_MBps": median(rows["sinkd"]),
                          "ratio": median([a / s for a, s in zip(rows["agent"], rows["sinkd"])])}))


def disk(o):
    block = os.urandom(o.kb * 1000)
    with tempfile.NamedTemporaryFile(prefix="agent-bench-") as file:
        began, written = time.monotonic(), 0
        while time.monotonic() < began + o.seconds:
            os.write(file.fileno(), block)
            os.fdatasync(file.fileno())
            written += len(block)
        wall = time.monotonic() - began
    print(json.dumps({"kb_each": o.kb, "MBps": round(written / wall / 1e6, 1), "syncs_per_s": round(written / len(block) / wall)}))


def avro_sink(port):
    return f"a1.sinks.k1.type = avro\na1.sinks.k1.hostname = 127.0.0.1\na1.sinks.k1.port = {port}\na1.sinks.k1.batch-size = 1000\na1.sinks.k1.channel = c1\n"


def avro_source(port):
    return f"a1.sources.r1.type = avro\na1.sources.r1.bind = 127.0.0.1\na1.sources.r1.port = {port}\na1.sources.r1.channels = c1\n"


def receive_times(listener, count, out):
    """Lines that begin with the nanosecond of their sending; writes how long each took, in us."""
    peer, _ = listener.accept()
    times, rest = [], b""
    while len(times) < count:
        part = peer.recv(1 << 16)
        now = time.monotonic_ns()
        if not part:
            break
        lines = (rest + part).split(b"\n")
        rest = lines.pop()
        times += [(now - int(line.split(b" ", 1)[0])) / 1e3 for line in lines]
    out.send(times)


def send_lines(port, rate, seconds):
    """A few lines every millisecond, as real senders have them."""
    filling = b" " + b"x" * 184 + b"\n"
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began, sent = time.monotonic(), 0
        while sent < rate * seconds:
            due = int((time.monotonic() - began) * rate) - sent
            if due <= 0:
                time.sleep(0.001)
                continue
            due = min(due, rate * seconds - sent)
            s.sendall((b"%d" % time.monotonic_ns() + filling) * due)
            sent += due


def timed_lines(o, listener, port):
    """(p50, p99) in us, through whatever leads from the port to the listener."""
    mine, theirs = multiprocessing.Pipe()
    receiver = multiprocessing.Process(target=receive_times, args=(listener, o.rate * o.seconds, theirs))
    receiver.start()
    send_lines(port, o.rate, o.seconds)
    if not mine.poll(30):
        raise SystemExit("not all lines arrived")
    times = sorted(mine.recv()[o.rate:])  # without the first second, in which connections are made
    receiver.join()
    return times[len(times) // 2], times[len(times) * 99 // 100]


def hops(o):
    rows = {"direct": [], "hops": []}
    for _ in range(o.runs):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            rows["direct"].append(timed_lines(o, listener, listener.getsockname()[1]))
        ports = [free_port() for _ in range(3)]
        with socket.create_server(("127.0.0.1", 0)) as listener:
            out = f"a1.sinks.k1.type = tcp\na1.sinks.k1.hostname = 127.0.0.1\na1.sinks.k1.port = {listener.getsockname()[1]}\na1.sinks.k1.channel = c1\n"
            rest = names("r1", "c1", "k1") + channel("c1")
            with Agent(o.bin, rest + avro_source(ports[2]) + out) as last, Agent(o.bin, rest + avro_source(ports[1]) + avro_sink(ports[2])) as middle, \
                    Agent(o.bin, rest + source("r1", ports[0], "c1") + avro_sink(ports[1])) as first:
                for port, agent in zip(ports, (first, middle, last)):
                    wait_port(port, agent.p)
                rows["hops"].append(timed_lines(o, listener, ports[0]))
    print(json.dumps({"lines_per_s": o.rate, "load": os.getloadavg()[0],
                      **{f"{who}_{what}_us": median([r[i] for r in got]) for who, got in rows.items() for i, what in enumerate(("p50", "p99"))}}))


def idle_connections(o):
    md5 = bytes.fromhex("86aadae2c45474c0fe93ffd0f2350a65")
    call = md5 + b"\0" + md5 + b"\0" + b"\0" + b"\0"  # hashes without a protocol, no metadata, no message: a ping
    port = free_port()
    with Agent(o.bin, names("r1", "c1", "k1") + avro_source(port) + channel("c1") + "a1.sinks.k1.type = null\na1.sinks.k1.channel = c1\n") as a:
        wait_port(port, a.p)
        before = rss_kb(a.p.pid)
        clients = []
        for serial in range(o.connections):
            clients.append(socket.create_connection(("127.0.0.1", port)))
            clients[-1].sendall(struct.pack(">III", serial, 1, len(call)) + call)
        for each in clients:
            if not each.recv(4096):
                raise SystemExit("a connection was closed")
        print(json.dumps({"connections": o.connections, "rss_before_kb": before, "rss_kb": rss_kb(a.p.pid), "load": os.getloadavg()[0]}))
        for each in clients:
            each.close()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin", required=True)
    ap.add_argument("--kit", required=True)
    sub = ap.add_subparsers(dest="what", required=True)
    s = sub.add_parser("start"); s.add_argument("--empty", required=True); s.add_argument("--runs", type=int, default=21)
    for name in ("headers", "neighbours"):
        s = sub.add_parser(name); s.add_argument("--mb", type=float, default=800); s.add_argument("--runs", type=int, default=5)
    s = sub.add_parser("slow-receiver"); s.add_argument("--minutes", type=float, default=3)
    s = sub.add_parser("tail"); s.add_argument("--mb", type=float, default=1000); s.add_argument("--runs", type=int, default=5)
    s = sub.add_parser("durable-tail"); s.add_argument("--mb", type=float, default=400); s.add_argument("--runs", type=int, default=5)
    s = sub.add_parser("idle-files"); s.add_argument("--files", type=int, default=5000); s.add_argument("--seconds", type=float, default=30)
    s = sub.add_parser("restart"); s.add_argument("--mb", type=float, default=2000); s.add_argument("--runs", type=int, default=3)
    s = sub.add_parser("acks"); s.add_argument("--seconds", type=float, default=5); s.add_argument("--runs", type=int, default=3)
    s = sub.add_parser("netcat-file"); s.add_argument("--classpath"); s.add_argument("--seconds", type=float, default=10)
    s = sub.add_parser("avro"); s.add_argument("--mb", type=float, default=400); s.add_argument("--runs", type=int, default=5)
    s = sub.add_parser("disk"); s.add_argument("--kb", type=int, default=200); s.add_argument("--seconds", type=float, default=5)
    s = sub.add_parser("hops"); s.add_argument("--rate", type=int, default=10000); s.add_argument("--seconds", type=int, default=5); s.add_argument("--runs", type=int, default=5)
    s = sub.add_parser("idle-connections"); s.add_argument("--connections", type=int, default=1000)
    o = ap.parse_args()
    {"start": start, "headers": headers, "neighbours": neighbours, "slow-receiver": slow_receiver, "tail": tail, "durable-tail": durable_tail, "idle-files": idle_files,
     "restart": restart, "acks": acks, "netcat-file": netcat_file, "avro": avro, "disk": disk, "hops": hops, "idle-connections": idle_connections}[o.what](o)


if __name__ == "__main__":
    sys.exit(main())
