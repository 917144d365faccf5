#!/usr/bin/env python3
"""The Dockerfile, read without Docker: its packages are those the binary loads, its files exist."""
import os
import re
import shutil
import subprocess
import unittest

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BIN = os.environ.get("SLUICE_BIN", os.path.join(ROOT, "build/release/bin/sluice"))
# In every Debian image, because apt itself needs them.
IN_BASE = {"libc6", "libgcc-s1", "libstdc++6"}
# Used without being linked.
UNLINKED = {"tzdata", "ca-certificates"}


def read(name):
    with open(os.path.join(ROOT, name)) as file:
        return file.read()


def instructions():
    text = re.sub(r"(?m)^\s*#.*\n", "", read("Dockerfile"))
    return [line.split(None, 1) for line in re.sub(r"\\\n", " ", text).splitlines() if line.strip()]


def runtime_packages():
    last_stage = read("Dockerfile").rsplit("\nFROM ", 1)[1]
    install = re.search(r"apt-get install -y --no-install-recommends((?:\s*\\\n\s+[\w.+-]+)+)", last_stage).group(1)
    return set(install.replace("\\", " ").split())


def linked_packages(binary):
    """Debian packages of the libraries that the binary names itself, not of those they need."""
    dynamic = subprocess.run(["readelf", "-d", binary], stdout=subprocess.PIPE, check=True, text=True).stdout
    packages = set()
    for library in re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic):
        owner = subprocess.run(["dpkg", "-S", "*/" + library], stdout=subprocess.PIPE, check=True, text=True).stdout
        # Cross-compilers and the like own copies for other machines; the library's own package is lib*.
        names = {line.split(":")[0] for line in owner.splitlines() if line.split(": ")[1].startswith(("/lib/", "/usr/lib/", "/lib64/"))}
        packages |= {name for name in names if name.startswith(("lib", "zlib")) and not name.endswith("-cross")}
    return packages


class Dockerfile(unittest.TestCase):
    @unittest.skipUnless(os.path.exists(BIN) and shutil.which("dpkg") and shutil.which("readelf"), "no binary or no Debian here")
    def test_the_run_stage_installs_what_the_binary_links(self):
        self.assertEqual(linked_packages(BIN) - IN_BASE, runtime_packages() - UNLINKED)

    def test_it_runs_as_a_user_with_signals_of_its_own(self):
        words = {name: value for name, value in instructions()}
        self.assertNotIn(words["USER"].strip(), ("", "root", "0"))
        self.assertEqual(words["STOPSIGNAL"].strip(), "SIGTERM")
        self.assertTrue(words["ENTRYPOINT"].startswith('["/usr/bin/flume-ng"'))
        self.assertTrue(words["CMD"].startswith('["agent"'))
        self.assertIn("VOLUME", words)

    def test_both_stages_are_of_one_release(self):
        images = [value.split()[0] for name, value in instructions() if name == "FROM"]
        self.assertEqual(images, ["debian:bookworm", "debian:bookworm-slim"])

    def test_what_it_copies_is_there_and_not_ignored(self):
        kept = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
        for name, value in instructions():
            if name != "COPY" or "--from" in value or value.split()[0] == ".":
                continue
            source = value.split()[0]
            self.assertTrue(os.path.exists(os.path.join(ROOT, source)), source)
            self.assertIn(source.split("/")[0], kept)

    def test_every_room_reaches_the_build(self):
        kept = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
        rooms = set(re.findall(r"(?m)^sluice_room\(\w+ ([a-z]+)", read("CMakeLists.txt")))
        self.assertTrue(rooms)
        self.assertLessEqual(rooms, kept)


if __name__ == "__main__":
    unittest.main()
