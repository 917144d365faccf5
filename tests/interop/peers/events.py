"""Events as lines of text, which EventLines.java reads and writes too."""
import base64

from support.avro_wire import Event
from support.waiting import wait_until

def write_event_lines(path, events):
    def encode(content):
        return base64.b64encode(content).decode()
    with open(path, "w") as file:
        for event in events:
            headers = ",".join(encode(k.encode()) + ":" + encode(v.encode()) for k, v in event.headers.items())
            file.write("%s %s\n" % (headers, encode(event.body)))


def read_event_lines(path):
    """The events of a file's whole lines; none if it does not exist yet."""
    events = []
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return []
    for line in content.split(b"\n")[:-1]:
        headers, body = line.split(b" ")
        pairs = [pair.split(b":") for pair in headers.split(b",")] if headers else []
        events.append(Event({base64.b64decode(k).decode(): base64.b64decode(v).decode() for k, v in pairs},
                            base64.b64decode(body)))
    return events


def wait_until_received(path, count, deadline_s=30):
    """The events, once there are that many lines."""
    def lines():
        try:
            with open(path, "rb") as file:
                return file.read().count(b"\n")
        except FileNotFoundError:
            return 0
    wait_until(lambda: lines() >= count, lambda: "%d of %d events" % (lines(), count), deadline_s, poll_s=0.05)
    return read_event_lines(path)
