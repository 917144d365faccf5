#!/usr/bin/env python3
"""What the benchmark kit does not measure: one agent, its start, its memory, its pipelines beside each other.

  agent_bench.py --bin BIN --kit DIR start --empty PROGRAM [--runs 21]
  agent_bench.py --bin BIN --kit DIR headers [--mb 800] [--runs 5]
  agent_bench.py --bin BIN --kit DIR neighbours [--mb 800] [--runs 5]
  agent_bench.py --bin BIN --kit DIR slow-receiver [--minutes 3]

DIR is a built copy of the kit (its build/ holds loadgen and sinkd). Prints JSON, a line a figure. Traffic stays on 127.0.0.1.
"""
import argparse, json, os, shutil, signal, socket, statistics, subprocess, sys, tempfile, threading, time

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

    def __init__(self, binary, text):
        self.dir = tempfile.mkdtemp(prefix="agent-bench-")
        path = os.path.join(self.dir, "x.conf")
        with open(path, "w") as f:
            f.write(text)
        self.log = open(os.path.join(self.dir, "log"), "wb")
        self.started = time.monotonic()
        self.p = subprocess.Popen([binary, "agent", "--name", "a1", "--conf", self.dir, "--conf-file", path], stdin=subprocess.DEVNULL,
                                  stdout=self.log, stderr=self.log, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop(self.p)
        self.log.close()
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


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin", required=True)
    ap.add_argument("--kit", required=True)
    sub = ap.add_subparsers(dest="what", required=True)
    s = sub.add_parser("start"); s.add_argument("--empty", required=True); s.add_argument("--runs", type=int, default=21)
    for name in ("headers", "neighbours"):
        s = sub.add_parser(name); s.add_argument("--mb", type=float, default=800); s.add_argument("--runs", type=int, default=5)
    s = sub.add_parser("slow-receiver"); s.add_argument("--minutes", type=float, default=3)
    o = ap.parse_args()
    {"start": start, "headers": headers, "neighbours": neighbours, "slow-receiver": slow_receiver}[o.what](o)


if __name__ == "__main__":
    sys.exit(main())
