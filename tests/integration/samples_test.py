#!/usr/bin/env python3
"""Every sample in conf/ is judged good by check, and starts."""
import json
import os
import re
import unittest

from support.agent import ROOT, Agent, run_sluice

CONF = os.path.join(ROOT, "conf")
SAMPLES = sorted(name for name in os.listdir(CONF) if re.search(r"\.(conf|properties|ya?ml)$", name)
                 ) if os.path.isdir(CONF) else []


def harmless(text, directory):
    """The sample with ports of the system's choice where it listens, and paths in the test's folder."""
    listens = re.search(r"netcat\b|netcatudp", text)
    text = re.sub(r"(\b(?:sources|outputs)\b[^\n]*\.port\s*=\s*)\d+", r"\g<1>0", text)
    if "=" not in re.sub(r"#.*", "", text):  # YAML
        text = re.sub(r"(\btype\s*:\s*netcat(?:udp)?\b[^}]*?\bport\s*:\s*)\d+", r"\g<1>0", text) if listens else text
    return re.sub(r"(?<![\w.])/(?:tmp|var)/(?=\w)", directory + "/", text)


def folders(text, directory):
    named = re.findall(r"(?:sink\.directory|spoolDir)\s*[=:]\s*(\S+?)[,}\s]", text + "\n")
    named += re.findall(r"filegroups\.\w+\s*=\s*(\S+)/[^/\s]+\s", text + "\n")
    return [path for path in named if path.startswith(directory)]


class Samples(unittest.TestCase):
    def test_there_are_samples(self):
        self.assertGreater(len(SAMPLES), 3)

    def test_check_says_that_each_runs_without_a_word_more(self):
        for name in SAMPLES:
            with self.subTest(name):
                code, out, error = run_sluice("check", "--json", "--conf-file", os.path.join(CONF, name))
                self.assertEqual(code, 0, out + error)
                report = json.loads(out)
                self.assertTrue(report["agents"])
                for agent in report["agents"]:
                    self.assertEqual(agent["verdict"], "runs")
                self.assertEqual([d for d in report["diagnostics"] if d["severity"] != "note"], [])

    def test_each_starts(self):
        for name in SAMPLES:
            with open(os.path.join(CONF, name)) as file:
                text = file.read()
            code, out, _ = run_sluice("check", "--json", "--conf-file", os.path.join(CONF, name))
            self.assertEqual(code, 0)
            for agent_name in [agent["name"] for agent in json.loads(out)["agents"]]:
                with self.subTest(name + " " + agent_name):
                    self.starts(name, text, agent_name)

    def starts(self, name, text, agent_name):
        agent = Agent("", name=agent_name, file_name=name, arguments=["-Dsluice.drain.ms=200"])
        copy = harmless(text, agent.directory)
        with open(agent.config, "w") as file:
            file.write(copy)
        for folder in folders(copy, agent.directory):
            os.makedirs(folder, exist_ok=True)
        with agent:
            agent.wait_until_running()
            self.assertNotRegex(agent.log(), r"is left out|cannot run|\[error\].*source")
            self.assertEqual(agent.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
