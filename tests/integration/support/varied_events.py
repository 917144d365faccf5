"""Events that a lossy peer would change, and what to say when one was changed."""
from .avro_wire import Event

VARIED = [
    Event({}, b""),
    Event({}, b"a body alone"),
    Event({"key": "a header alone"}, b""),
    Event({"": "an empty key", "empty value": ""}, b"x"),
    Event({"Schl\u00fcssel": "\u20ac \u4e2d\u6587 \U0001f680", "\U0001f511": "\u00e9"}, "K\u00f6rper \U0001f30d".encode()),
    Event({"control": "a\tb\nc\0d", "looks like": "k=v,w:x"}, bytes(range(256))),
    Event({"h%03d" % i: "v" * i for i in range(200)}, b"many headers"),
    Event({"long": "v" * 100_000}, b"a long header"),
    Event({"not": "UTF-8"}, b"\xff\xfe\x80"),
    Event({"size": "1 MB"}, bytes(i * 7 % 251 for i in range(1 << 20))),
]


def numbered_events(count, first=0, width=100):
    return [Event({"n": str(i)}, b"event %d " % i + b"x" * width) for i in range(first, first + count)]


def numbers(events):
    """Which of numbered_events() they are, in their order."""
    return [int(event.headers["n"]) for event in events]


def difference(got, expected):
    """What is not as it should be, in a line; "" if all is. For unittest: assertEqual(difference(...), "")."""
    for i, (one, other) in enumerate(zip(got, expected)):
        if one != other:
            headers = sorted(set(one.headers.items()) ^ set(other.headers.items()))
            return "event %d of %d: headers %.200r, body %.60r (%d) for %.60r (%d)" % (
                i, len(expected), headers, one.body, len(one.body), other.body, len(other.body))
    return "" if len(got) == len(expected) else "%d events for %d" % (len(got), len(expected))
