"""Certificates for one test run, made with the openssl command; nothing with a key in it is kept in the repository."""
import os
import ssl
import subprocess


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE, check=True)


class Certificate:
    """A key and a certificate that signs itself, in every form in which peers want them.

    `pem` holds both, `certificate` the public half, `pkcs12` both under `password`.
    """

    password = "changeit"

    def __init__(self, directory, name="localhost", days=30):
        self.name = name
        self.pem, self.certificate, self.pkcs12 = (
            os.path.join(directory, name + end) for end in (".pem", ".crt", ".p12"))
        key = os.path.join(directory, name + ".key")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", self.certificate,
                "-days", str(days), "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:%s,IP:127.0.0.1" % name)
        with open(self.pem, "wb") as both:
            for part in (key, self.certificate):
                with open(part, "rb") as file:
                    both.write(file.read())
        openssl("pkcs12", "-export", "-in", self.pem, "-out", self.pkcs12, "-name", name,
                "-passout", "pass:" + self.password)

    def server_context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pem)
        return context

    def client_context(self):
        """Trusts this certificate and no other."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.certificate)
        return context


def trust_all_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
