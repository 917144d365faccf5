"""What this build of ours has; tests leave the rest out, and the runner says so."""
import functools
import os
import tempfile

from support.agent import pipeline, run_sluice

from .transports import PLAIN, TRANSPORTS

SOURCE = "type = avro\nbind = 127.0.0.1\nport = 0\n%s = x\n"
SINK = "type = avro\nhostname = 127.0.0.1\nport = 1\n%s = x\n"


def knows_key(key):
    """Whether both our avro source and our avro sink do."""
    return check_knows(pipeline(SOURCE % key, SINK % key), key)


def hdfs_sink_knows(key):
    return check_knows(pipeline(sink="type = hdfs\nhdfs.path = file:///x\n%s = x\n" % key), key)


@functools.lru_cache(maxsize=None)
def check_knows(config, key):
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
        path = os.path.join(directory, "a1.conf")
        with open(path, "w") as file:
            file.write(config)
        return "unknown key '%s'" % key not in "".join(map(str, run_sluice("check", "--conf-file", path)))


def transports():
    """Those that our avro source and sink speak."""
    return [each for each in TRANSPORTS if each == PLAIN or (
        (not each.tls or knows_key("ssl")) and (not each.deflate or knows_key("compression-type")))]


def has_verb(verb):
    return "not built yet" not in "".join(map(str, run_sluice(verb, "--help")))


def left_out():
    """Lines for whoever reads the result."""
    missing = [each.name for each in TRANSPORTS if each not in transports()]
    return (["our avro source and sink have no %s: left out" % ", ".join(missing)] if missing else []) + (
        [] if has_verb("avro-client") else ["there is no sluice avro-client: left out"])


def hdfs_left_out():
    return [] if hdfs_sink_knows("hdfs.webhdfs") else ["our hdfs sink has no WebHDFS: left out"]
