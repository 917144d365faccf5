"""Both ends of Flume's Avro RPC for tests: a client and a server that keep to the protocol, or break it on purpose."""
import collections
import socket
import threading

from . import avro_wire as wire
from .avro_wire import CLIENT, FAILED, NONE, OK, UNKNOWN, BOTH, Event, RemoteError, WireError  # noqa: F401
from .layered_socket import PLAIN, layered
from .waiting import wait_until

# What came back: None where the frame held no handshake or no answer.
Answer = collections.namedtuple("Answer", "serial handshake metadata status buffers")


class AvroClient:
    """One connection. call() waits for its answer; send_call() and receive_answer() are its halves, for several in flight.

    With `client_text` the client is a program that the server may not know; without, it claims Flume's own hash.
    """

    def __init__(self, port, host="127.0.0.1", layers=PLAIN, client_text=wire.PROTOCOL, server_hash=wire.PROTOCOL_HASH,
                 handshake_meta=(), timeout_s=20):
        self.socket = socket.create_connection((host, port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = layered(self.socket, layers, server_side=False)
        self.frames = wire.FrameReader()
        self.client_text = client_text
        self.client_hash = wire.hash_of(client_text)
        self.server_hash = server_hash
        self.handshake_meta = handshake_meta
        self.shaken = False
        self.serial = 0
        self.handshakes = {}    # serials whose call held a handshake
        self.server_text = None  # as the server told it, if it did

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()

    # One call at a time

    def append(self, event, **more):
        return self.status(self.call("append", wire.append(event), **more))

    def append_batch(self, events, **more):
        return self.status(self.call("appendBatch", wire.append_batch(events), **more))

    def ping(self):
        """The answer to a call without a name: a handshake, or nothing at all."""
        return self.call("")

    @staticmethod
    def status(answer):
        """A status; raises RemoteError for the error flag."""
        if isinstance(answer.status, RemoteError):
            raise answer.status
        return answer.status

    def call(self, message, parameters=b"", metadata=None):
        """Shakes hands as Java does: after NONE the same call again, with our text and the hash just learned."""
        answer = self.receive_answer(self.send_call(message, parameters, metadata))
        if answer.handshake is not None and answer.handshake.match == NONE:
            answer = self.receive_answer(self.send_call(message, parameters, metadata, with_text=True))
        return answer

    # Halves and pieces

    def send_call(self, message, parameters=b"", metadata=None, with_text=False):
        """The serial."""
        handshake = b""
        if not self.shaken:
            handshake = wire.handshake_request(self.client_hash, self.client_text if with_text else None,
                                               self.server_hash, self.handshake_meta)
        serial = self.serial + 1
        self.send_frame(wire.call(message, parameters, metadata, handshake), holds_handshake=bool(handshake),
                        pings=message == "")
        return serial

    def send_frame(self, buffers, holds_handshake=False, pings=False):
        """Any buffers, under the next serial."""
        self.serial += 1
        self.handshakes[self.serial] = (holds_handshake, pings)
        self.stream.send(wire.frame(self.serial, *buffers))

    def receive_frame(self):
        """The next frame; None at the end of the stream."""
        while (frame := self.frames.take()) is None:
            part = self.stream.receive()
            if not part:
                return None
            self.frames.feed(part)
        return frame

    def receive_answer(self, serial=None):
        """The next answer, which must have that serial if one is given."""
        frame = self.receive_frame()
        if frame is None:
            raise ConnectionError("closed while an answer was due")
        if serial is not None and frame.serial != serial:
            raise WireError("answer %d where %d was due" % (frame.serial, serial))
        holds_handshake, pings = self.handshakes.pop(frame.serial)
        reader = wire.Reader(b"".join(frame.buffers))
        handshake = metadata = status = None
        if holds_handshake:
            handshake = self.take_handshake(reader)
        if not pings and (handshake is None or handshake.match != NONE):
            metadata, status = wire.read_answer(reader)
        reader.end()
        return Answer(frame.serial, handshake, metadata, status, frame.buffers)

    def take_handshake(self, reader):
        handshake = wire.read_handshake_answer(reader)
        if handshake.match != NONE:
            self.shaken = True
        if handshake.match != BOTH:
            self.server_text, self.server_hash = handshake.server_text, handshake.server_hash
        return handshake


class Call:
    """A call that a server received, and the way to answer it."""

    def __init__(self, connection, serial, handshake, metadata, message, events, buffers):
        self.connection = connection
        self.serial = serial
        self.handshake = handshake  # the request, or None
        self.metadata = metadata
        self.message = message
        self.events = events
        self.buffers = buffers
        self.status = None          # what was answered
        self.answer_handshake = b""

    def answer(self, status, metadata=None):
        """From any thread, in any order."""
        self.status = status
        self.send_buffers(wire.answer(status, metadata, self.answer_handshake))

    def send_buffers(self, buffers):
        """Any bytes as the answer."""
        self.connection.send(wire.frame(self.serial, *buffers))

    def cut(self):
        """Instead of an answer: the connection is reset."""
        self.connection.stream.cut()

    def close(self):
        """Instead of an answer: the connection ends in order."""
        self.connection.stream.close()


LATER = "LATER"  # said by `answer`: somebody will call Call.answer(), or nobody


class AvroServer:
    """Keeps every call. `answer(call)` says what each gets: a status, a RemoteError, LATER, or None if it did it all itself.

    `text` is the server's protocol: other than Flume's, it makes handshakes CLIENT. With `knows` a set of MD5s only those
    clients are known without their text: others get NONE. pause() leaves what is sent unread. cut() drops everything at once,
    start() listens on the same port again.
    """

    def __init__(self, port=0, layers=PLAIN, answer=lambda call: OK, text=wire.PROTOCOL, knows=None,
                 handshake_meta=None):
        self.port = port
        self.layers = layers
        self.answer = answer
        self.text = text
        self.hash = wire.hash_of(text)
        self.knows = {wire.PROTOCOL_HASH} if knows is None else knows
        self.handshake_meta = handshake_meta
        self.calls = []         # of all connections, in the order of arrival; pings are not among them
        self.connections = []   # all there ever were
        self.errors = []        # what connections ended with, other than an end
        self.going = threading.Event()
        self.going.set()
        self.start()

    def start(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(128)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, args=(self.listener,), daemon=True)
        self.thread.start()

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.append(Connection(self, connection))

    def pause(self):
        self.going.clear()

    def go_on(self):
        self.going.set()

    def stop_listening(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        except OSError:
            pass
        self.listener.close()
        self.thread.join(5)

    def cut(self):
        """As kill -9: no listener, every client reset."""
        self.stop_listening()
        self.end_connections(lambda stream: stream.cut())

    def close(self):
        """Every connection ends in order."""
        self.stop_listening()
        self.end_connections(lambda stream: stream.close())

    def end_connections(self, end):
        self.go_on()
        for connection in list(self.connections):
            end(connection.stream)
            connection.thread.join(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def events(self, status=OK):
        """The events of all calls that got this answer; with None of all calls."""
        return [event for call in list(self.calls) if status in (None, call.status) for event in call.events]

    def wait_for_calls(self, count, deadline_s=30):
        wait_until(lambda: len(self.calls) >= count,
                   lambda: "%d calls of %d; ended with: %s" % (len(self.calls), count, self.errors), deadline_s)
        return self.calls[:count]

    def wait_for_events(self, count, deadline_s=30):
        wait_until(lambda: len(self.events()) >= count,
                   lambda: "%d events of %d; ended with: %s" % (len(self.events()), count, self.errors), deadline_s)
        return self.events()


class Connection:
    """One client of a server, served by a thread of its own."""

    def __init__(self, server, connection):
        self.server = server
        self.stream = layered(connection, server.layers, server_side=True)
        self.sending = threading.Lock()
        self.shaken = False
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        frames = wire.FrameReader()
        try:
            while True:
                self.server.going.wait()
                part = self.stream.receive()
                if not part:
                    break
                frames.feed(part)
                while (frame := frames.take()) is not None:
                    self.serve(frame)
        except Exception as error:  # whatever it is, it ends this connection only, and a test can see it
            self.server.errors.append(error)
        finally:
            self.ended.set()
            self.stream.close()

    def send(self, frame):
        with self.sending:
            self.stream.send(frame)

    def serve(self, frame):
        reader = wire.Reader(b"".join(frame.buffers))
        handshake, answer_handshake = None, b""
        if not self.shaken:
            handshake = wire.read_handshake_request(reader)
            match, answer_handshake = self.shake_hands(handshake)
            if match == NONE:
                return self.send(wire.frame(frame.serial, answer_handshake))
        metadata, message = reader.octets_map(), reader.text()
        call = Call(self, frame.serial, handshake, metadata, message, [], frame.buffers)
        call.answer_handshake = answer_handshake
        if message == "":
            return call.send_buffers([answer_handshake])
        try:
            call.events = wire.read_parameters(message, reader.rest())
        except WireError as error:
            return call.answer(RemoteError("org.apache.avro.AvroRuntimeException: %s" % error))
        self.server.calls.append(call)
        status = self.server.answer(call)
        if status not in (None, LATER):
            call.answer(status)

    def shake_hands(self, request):
        """(match, the bytes that say it)."""
        server = self.server
        if request.client_text is not None and wire.hash_of(request.client_text) == request.client_hash:
            server.knows.add(request.client_hash)
        if request.client_hash not in server.knows:
            match = NONE
        else:
            self.shaken = True
            match = BOTH if request.server_hash == server.hash else CLIENT
        told = (None, None) if match == BOTH else (server.text, server.hash)
        return match, wire.handshake_answer(match, *told, server.handshake_meta)
