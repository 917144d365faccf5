"""Class paths from Maven, resolved once and kept under build/interop; the jars stay where Maven keeps them."""
import hashlib
import os
import shutil
import subprocess

from support.agent import ROOT

BUILD = os.path.join(ROOT, "build", "interop")
RESOLVE = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath"
ATTEMPTS = 3


class Unreachable(Exception):
    """What a test needs cannot be had on this machine, now."""


def class_path(pom):
    """The jars of a pom, as a list. Raises Unreachable."""
    kept = os.path.join(BUILD, "%s.classpath" % identity(pom))
    if not (jars := read(kept)):
        resolve(pom, kept)
        jars = read(kept)
    return jars


def identity(pom):
    with open(pom, "rb") as file:
        return "%s-%s" % (os.path.basename(pom)[:-len(".xml")], hashlib.sha256(file.read()).hexdigest()[:12])


def digest(names, files):
    """Changes with the names and with what is in the files."""
    content = hashlib.sha256("\n".join(names).encode())
    for path in files:
        with open(path, "rb") as file:
            content.update(file.read())
    return content.hexdigest()[:12]


def read(kept):
    """The jars that an earlier run wrote down, if all of them are still there."""
    try:
        with open(kept) as file:
            jars = file.read().strip().split(":")
    except OSError:
        return []
    return jars if all(map(os.path.exists, jars)) else []


def resolve(pom, kept):
    if shutil.which("mvn") is None or shutil.which("javac") is None:
        raise Unreachable("no mvn or no javac here: ./dev setup interop installs them")
    os.makedirs(BUILD, exist_ok=True)
    log = os.path.join(BUILD, "maven.log")
    for _ in range(ATTEMPTS):
        with open(log, "wb") as out:
            done = subprocess.run(["mvn", "-B", "-q", "-f", pom, RESOLVE, "-Dmdep.outputFile=" + kept],
                                  stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=900)
        if done.returncode == 0:
            return
    raise Unreachable("Maven cannot fetch what %s names; its output is in %s" % (
        os.path.relpath(pom, ROOT), os.path.relpath(log, ROOT)))


def compile_java(sources, jars, into):
    """Classes of our own against those jars; raises CalledProcessError with javac's words on stderr."""
    os.makedirs(into, exist_ok=True)
    subprocess.run(["javac", "-nowarn", "-proc:none", "-encoding", "UTF-8", "-d", into, "-cp", ":".join(jars), *sources],
                   stdin=subprocess.DEVNULL, check=True)
