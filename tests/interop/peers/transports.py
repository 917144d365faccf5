"""Plain, deflate, TLS and both, in Flume's keys and as layers for our own peers."""
import atexit
import collections
import functools
import os
import shutil
import ssl
import subprocess
import tempfile

from support.certificates import Certificate, trust_all_context
from support.layered_socket import DEFLATE_OUTSIDE, TLS_OUTSIDE, Layers

Transport = collections.namedtuple("Transport", "name tls deflate")
PLAIN = Transport("plain", False, False)
BOTH = Transport("TLS and deflate", True, True)
TRANSPORTS = [PLAIN, Transport("deflate", False, True), Transport("TLS", True, False), BOTH]


@functools.lru_cache(maxsize=None)
def certificate():
    """One for the whole run."""
    directory = tempfile.mkdtemp(prefix="sluice-test-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return Certificate(directory)


@functools.lru_cache(maxsize=None)
def java_truststore():
    """A PKCS#12 that holds certificate() as something to trust, which only keytool marks as Java wants it."""
    path = os.path.join(os.path.dirname(certificate().pem), "trusted.p12")
    subprocess.run(["keytool", "-importcert", "-noprompt", "-alias", "peer", "-file", certificate().certificate,
                    "-keystore", path, "-storepass", Certificate.password, "-storetype", "PKCS12"],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return path


def source_keys(transport):
    """Keys of an avro source, Flume's and ours."""
    return deflate_key(transport) + (
        "ssl = true\nkeystore = %s\nkeystore-password = %s\nkeystore-type = PKCS12\n" % (
            certificate().pkcs12, Certificate.password) if transport.tls else "")


def sluice_source_keys(transport, version="1.11"):
    """Keys of our avro source for a client of that version."""
    return source_keys(transport) + ("exclude-protocols = TLSv1.3\n" if transport.tls and version == "1.9" else "")


def sink_keys(transport, trust_all=False):
    """Keys of Flume's avro sink and client."""
    trust = "trust-all-certs = true\n" if trust_all else (
        "truststore = %s\ntruststore-password = %s\ntruststore-type = PKCS12\n" % (
            java_truststore(), Certificate.password) if transport.tls else "")
    return deflate_key(transport) + ("ssl = true\n" + trust if transport.tls else "")


def sluice_sink_keys(transport, version="1.11"):
    """Keys of our avro sink towards that version: only Flume 1.9 wants TLS outside."""
    trust = "ssl = true\ntruststore = %s\n" % certificate().certificate if transport.tls else ""
    inside = "compression-order = inside\n" if transport.deflate and order(version) == TLS_OUTSIDE else ""
    return deflate_key(transport) + trust + inside


def deflate_key(transport):
    return "compression-type = deflate\n" if transport.deflate else ""


def order(version):
    """Of TLS and deflate in a version of Flume."""
    return TLS_OUTSIDE if version == "1.9" else DEFLATE_OUTSIDE


def server_layers(transport, version="1.11"):
    context = None
    if transport.tls:
        context = certificate().server_context()
        if version == "1.9":
            # Its Netty 3 loses records of TLS 1.3 where several come in one piece: "Unexpected leftover data".
            context.maximum_version = ssl.TLSVersion.TLSv1_2
    return Layers(context, transport.deflate, 6, order(version))


def client_layers(transport, version="1.11"):
    return Layers(trust_all_context() if transport.tls else None, transport.deflate, 6, order(version))
