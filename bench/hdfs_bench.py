#!/usr/bin/env python3
"""The hdfs sink: into local files beside the kit's relay, through WebHDFS beside curl, and with many files open.

  hdfs_bench.py --bin BIN --kit DIR text    [--mb 400] [--runs 5]   netcat -> memory -> hdfs (DataStream), kit's case tcp-file
  hdfs_bench.py --bin BIN --kit DIR webhdfs [--mb 1024] [--runs 3]  TAILDIR -> memory -> hdfs, against curl -T of the same bytes
  hdfs_bench.py --bin BIN --kit DIR buckets [--files 1000]          memory of the agent, syncs and time with so many files open

DIR is a built copy of the kit. webhdfs needs what ./dev interop needs; one Hadoop, which has half of the machine at least,
takes the bytes of both in turns, so only the ratio means much. Prints JSON, a line a figure. All stays on 127.0.0.1.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.join(os.path.dirname(HERE), "tests")
sys.path[:0] = [HERE, os.path.join(TESTS, "interop"), os.path.join(TESTS, "integration")]
sys.dont_write_bytecode = True

from agent_bench import Agent, channel, cpu_s, durable_channel, names, tail_source  # noqa: E402

FILE_SINK = 'k + "type = file_roll", k + "sink.directory = " + c.outdir, k + "sink.rollInterval = 0", k + "sink.batchSize = 1000"'
HDFS_SINK = ('k + "type = hdfs", k + "hdfs.path = " + c.outdir, k + "hdfs.fileType = DataStream", k + "hdfs.rollInterval = 0", '
             'k + "hdfs.rollSize = 0", k + "hdfs.batchSize = 1000", k + "hdfs.writeFormat = Text"')


def text(o):
    """The kit as it is, but for the sink that its file of properties names."""
    with tempfile.TemporaryDirectory(prefix="hdfs-bench-") as kit:
        shutil.copytree(o.kit, kit, dirs_exist_ok=True)
        path = os.path.join(kit, "adapters.py")
        with open(path) as file:
            source = file.read()
        if source.count(FILE_SINK) != 1:
            sys.exit("the kit's adapters are not as this expects them")
        with open(path, "w") as file:
            file.write(source.replace(FILE_SINK, HDFS_SINK))
        out = os.path.join(kit, "results.jsonl")
        subprocess.run([sys.executable, os.path.join(kit, "run.py"), "bench", "--agents", "relay-lines,agent", "--cases", "tcp-file",
                        "--agent-bin", o.bin, "--mb", str(o.mb), "--reps", str(o.runs), "--out", out], check=True)
        print(subprocess.run([sys.executable, os.path.join(kit, "run.py"), "table", out], stdout=subprocess.PIPE, text=True, check=True).stdout)


def sink(path, more):
    return "a1.sinks.k1.type = hdfs\na1.sinks.k1.hdfs.path = %s\na1.sinks.k1.hdfs.fileType = DataStream\na1.sinks.k1.channel = c1\n%s" % (
        path, "".join("a1.sinks.k1.%s\n" % line for line in more))


def webhdfs(o):
    from peers.hadoop import Cluster
    block = 128 << 20
    with tempfile.TemporaryDirectory(prefix="hdfs-bench-") as directory, Cluster(heap_mb=1500) as cluster:
        part = os.path.join(directory, "part")
        line = b"x" * 199 + b"\n"
        with open(part, "wb") as file:
            for _ in range(block // 200 // 1000):
                file.write(line * 1000)
        bytes_each = os.path.getsize(part)
        parts = max(1, (o.mb << 20) // block)
        whole = os.path.join(directory, "in", "lines")
        os.mkdir(os.path.dirname(whole))
        with open(whole, "wb") as out:
            for _ in range(parts):
                with open(part, "rb") as file:
                    shutil.copyfileobj(file, out, 1 << 20)
        web = "http://127.0.0.1:%d" % cluster.http_ports[0]
        rows = {"curl": [], "sink": []}
        for run in range(o.runs):
            begin = time.monotonic()
            for i in range(parts):
                subprocess.run(["curl", "-sS", "-f", "-L", "-o", "/dev/null", "-T", part, "-H", "Content-Type: application/octet-stream",
                                "%s/webhdfs/v1/curl-%d/%d?op=CREATE&user.name=hdfs&overwrite=true" % (web, run, i)], check=True)
            rows["curl"].append(parts * bytes_each / 1e6 / (time.monotonic() - begin))
            config = (names("r1", "c1", "k1") + tail_source(directory, "a1.sources.r1.batchSize = 1000\n").replace("/positions", "/run-%d/positions" % run)
                      + (durable_channel() if o.durable else channel("c1"))
                      + sink("hdfs://127.0.0.1:%d/sink-%d" % (cluster.rpc_ports[0], run),
                             ["hdfs.webhdfs = " + web, "hdfs.user = hdfs", "hdfs.rollInterval = 0", "hdfs.idleTimeout = 1",
                              "hdfs.rollSize = %d" % (bytes_each // 200 * 199)]))
            state = os.path.join(directory, "run-%d" % run)  # with the positions of TAILDIR
            os.mkdir(state)
            begin = time.monotonic()
            with Agent(o.bin, config, state) as agent:
                def sent():
                    return sum(entry.length for entry in cluster.list("/sink-%d" % run)
                               if entry.kind != "directory" and not entry.path.endswith(".tmp")) if cluster_has(cluster, run) else 0
                while sent() < parts * bytes_each:
                    if time.monotonic() - begin > 120:
                        sys.exit("not all of it is there after 120 s: %d of %d" % (sent(), parts * bytes_each))
                    time.sleep(0.02)
                seconds = time.monotonic() - begin
                rows["sink"].append(parts * bytes_each / 1e6 / seconds)
                cpu = cpu_s(agent.p.pid)
            print(json.dumps({"run": run, "curl_mb_s": round(rows["curl"][-1], 1), "sink_mb_s": round(rows["sink"][-1], 1),
                              "sink_cpu_s": round(cpu, 2), "bytes": parts * bytes_each}), flush=True)
        print(json.dumps({"curl_mb_s": round(statistics.median(rows["curl"]), 1), "sink_mb_s": round(statistics.median(rows["sink"]), 1),
                          "ratio": round(statistics.median(rows["sink"]) / statistics.median(rows["curl"]), 3)}))


def cluster_has(cluster, run):
    return any(entry.path.rstrip("/").endswith("/sink-%d" % run) for entry in cluster.list("/"))


def buckets(o):
    """A file for each line: as many as are open at once, in one commit and then in many."""
    for kind, more in (("text", []), ("gzip", ["hdfs.codeC = gzip"])):
        with tempfile.TemporaryDirectory(prefix="hdfs-bench-") as directory:
            os.mkdir(os.path.join(directory, "in"))
            with open(os.path.join(directory, "in", "lines"), "wb") as file:
                file.write(b"".join(b"%0199d\n" % i for i in range(o.files)))
            config = (names("r1", "c1", "k1") + tail_source(directory, "a1.sources.r1.byteOffsetHeader = true\n")
                      + durable_channel() + sink(directory + "/out/%{byteoffset}", ["hdfs.rollInterval = 0", *more]))
            if more:
                config = config.replace("DataStream", "CompressedStream")
            with Agent(o.bin, config, directory) as agent:
                begin = time.monotonic()
                while sum(len(files) for _, _, files in os.walk(directory + "/out")) < o.files:
                    time.sleep(0.01)
                    if time.monotonic() - begin > 60:
                        sys.exit("not all files are there:\n" + open(os.path.join(directory, "log"), errors="replace").read()[-1500:])
                seconds = time.monotonic() - begin
                time.sleep(1)
                with open("/proc/%d/status" % agent.p.pid) as file:
                    peak = [int(row.split()[1]) // 1024 for row in file if row.startswith("VmHWM")][0]
                descriptors = len(os.listdir("/proc/%d/fd" % agent.p.pid))
            print(json.dumps({"files": o.files, "kind": kind, "peak_rss_mb": peak, "descriptors": descriptors, "seconds": round(seconds, 2)}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--kit", required=True)
    parser.add_argument("what", choices=("text", "webhdfs", "buckets"))
    parser.add_argument("--mb", type=int)
    parser.add_argument("--runs", type=int)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--durable", action="store_true", help="webhdfs: from a channel on disk")
    o = parser.parse_args()
    o.bin = os.path.abspath(o.bin)
    o.mb = o.mb or {"text": 400, "webhdfs": 1024, "buckets": 0}[o.what]
    o.runs = o.runs or {"text": 5, "webhdfs": 3, "buckets": 1}[o.what]
    {"text": text, "webhdfs": webhdfs, "buckets": buckets}[o.what](o)


if __name__ == "__main__":
    main()
