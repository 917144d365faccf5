#!/usr/bin/env python3
"""The guide quotes what the program says and what the tests run."""
import os
import re
import unittest

import tutorial_chain_test
import tutorial_test
from support.agent import ROOT

ROOMS = ("agent", "channels", "core", "interceptors", "sinks", "sources")


def read(*names):
    with open(os.path.join(ROOT, *names), encoding="utf-8") as file:
        return file.read()


def messages():
    """Every string literal of the program, neighbours joined."""
    found = []
    for room in ROOMS:
        for folder, _, names in os.walk(os.path.join(ROOT, room)):
            for name in names:
                if name.endswith((".cc", ".h")):
                    text = re.sub(r'(?<!\\)"\s*\n\s*"', "", read(folder, name))
                    found += re.findall(r'"((?:[^"\\\n]|\\.)*)"', text)
    return "\n".join(found).replace('\\"', '"')


# What the system's library says, not we.
SYSTEM = ("Address already in use", "Cannot assign requested address", "Too many open files",
          "No space left on device", "No such file or directory", "Permission denied", "Read-only file system")


class Guide(unittest.TestCase):
    def test_troubleshooting_quotes_messages_that_exist(self):
        said = re.sub(r"\{\}", "\n", messages())
        quoted = 0
        for row in re.findall(r"^\| (.*?) \|", read("docs/guide/troubleshooting.md"), re.MULTILINE):
            for message in re.findall(r"`([^`]+)`", row):
                for part in re.split(r"…", message):
                    part = part.strip(" '")
                    if len(part) >= 6 and part not in SYSTEM:
                        quoted += 1
                        self.assertTrue(part in said, "nothing says %r (row: %s)" % (part, row))
        self.assertGreater(quoted, 25)

    def test_the_tutorials_are_those_that_are_tested(self):
        blocks = re.findall(r"^```(?:properties|yaml)\n(.*?)^```", read("docs/guide/tutorials.md"),
                            re.MULTILINE | re.DOTALL)
        self.assertEqual(len(blocks), 5)
        self.assertEqual(blocks[0], tutorial_test.EXAMPLE)
        self.assertEqual(blocks[1].strip(), tutorial_test.EXEC.split("\n\n", 1)[1].strip())
        self.assertEqual(blocks[2], tutorial_test.YAML)
        self.assertEqual(blocks[3:], [tutorial_chain_test.EXEC_MEMORY_AVRO, tutorial_chain_test.AVRO_MEMORY_LOGGER])
        self.assertIn(tutorial_test.COMMAND.replace("{bin}/", ""), read("docs/guide/tutorials.md"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
