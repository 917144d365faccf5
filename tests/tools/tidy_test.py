#!/usr/bin/env python3
"""tools/tidy: for each rule a tree that passes and one that does not."""
import importlib.machinery
import importlib.util
import os
import tempfile
import textwrap
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOOL = os.path.join(HERE, "..", "..", "tools", "tidy")


def load_tool():
    loader = importlib.machinery.SourceFileLoader("tidy", TOOL)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy", loader))
    loader.exec_module(module)
    return module


tidy = load_tool()


def findings(files):
    """[(path, line, rule, what)] for a tree made of {path: text}."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "wb") as file:
                file.write(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
        return tidy.findings_of(root)[0]


def found(files, rule):
    return [(path, line) for path, line, name, _ in findings(files) if name == rule]


class Behaviours(unittest.TestCase):
    def rows(self, *cells):
        table = "| Flume's test | Behaviour | Ours |\n|---|---|---|\n"
        return found({
            "tests/flume_behaviours.md": table + "".join("| T | it works | %s |\n" % cell for cell in cells),
            "tests/x_test.cc": 'TEST_CASE("one") {}\nTEST_CASE(\n    "two, too") {}\n',
            "tests/x_test.py": "class X:\n    def test_it(self):\n        pass\n"}, "behaviours")

    def test_tests_that_exist_and_reasons_pass(self):
        self.assertEqual(self.rows('`tests/x_test.cc`: "one", "two, too"; `tests/x_test.py`: "test_it"',
                                   "not built: x", "not here: why"), [])

    def test_a_test_that_is_not_there_and_a_row_without_one_are_found(self):
        path = "tests/flume_behaviours.md"
        self.assertEqual(self.rows('`tests/x_test.cc`: "one", "three"', '`tests/y_test.cc`: "one"', "some day"),
                         [(path, 3), (path, 4), (path, 5)])


class Layers(unittest.TestCase):
    HEADERS = {"%s/a.h" % room: "" for room in tidy.LAYERS}

    def include(self, room, target):
        return found({**self.HEADERS, room + "/x.cc": '#include "%s/a.h"\n' % target}, "layers")

    def test_every_pair_of_rooms(self):
        core = {"core/base", "core/event", "core/config", "core/metrics", "core/wire", "core/net", "core/store",
                "core/kafka", "core/topics", "core/hadoop"}
        middle = {"interceptors", "channels", "analytics"}
        allowed = {
            "core/base": set(), "core/event": {"core/base"},
            "core/config": {"core/base", "core/event"}, "core/metrics": {"core/base", "core/event"},
            "core/wire": {"core/base", "core/event"},
            "core/net": {"core/base", "core/event", "core/metrics"},
            "core/store": {"core/base", "core/event", "core/metrics"},
            "core/kafka": {"core/base", "core/event", "core/metrics"},
            "core/hadoop": {"core/base"},
            "core/topics": {"core/base", "core/event", "core/config", "core/metrics", "core/wire", "core/kafka"},
            "interceptors": core, "channels": core,
            "analytics": core - {"core/net", "core/store", "core/kafka", "core/topics", "core/hadoop"},
            "sources": core | middle, "sinks": core | middle,
            "agent": core | middle | {"sources", "sinks"},
        }
        self.assertEqual(set(allowed), set(tidy.LAYERS))
        for room, may in allowed.items():
            for target in allowed:
                wanted = [] if target == room or target in may else [(room + "/x.cc", 1)]
                self.assertEqual(self.include(room, target), wanted, "%s -> %s" % (room, target))

    def test_tests_may_include_all(self):
        self.assertEqual(self.include("tests/core/base", "agent"), [])
        self.assertEqual(self.include("bench", "sinks"), [])

    def test_a_commented_include_is_none(self):
        self.assertEqual(found({**self.HEADERS, "core/base/x.cc": '// #include "agent/a.h"\n'}, "layers"), [])

    def test_code_lives_in_a_room(self):
        self.assertEqual(found({"utils/x.cc": "\n"}, "layers"), [("utils/x.cc", 1)])
        self.assertEqual(found({"core/x.cc": "\n"}, "layers"), [("core/x.cc", 1)])

    def test_includes_start_at_the_root(self):
        files = {"sinks/a.h": "", "sinks/b.cc": '#include "a.h"\n'}
        self.assertEqual(found(files, "include-path"), [("sinks/b.cc", 1)])
        files["sinks/b.cc"] = '#include "sinks/a.h"\n'
        self.assertEqual(found(files, "include-path"), [])

    def test_a_generated_header_has_a_template(self):
        files = {"agent/b.cc": '#include "version.h"\n', "agent/version.h.in": "\n"}
        self.assertEqual(found(files, "include-path"), [])

    def test_a_library_has_one_room(self):
        for header, owner in (("boost/asio/ip/tcp.hpp", "core/net"), ("boost/beast.hpp", "core/net"),
                              ("rocksdb/db.h", "core/store"), ("librdkafka/rdkafka.h", "core/kafka"),
                              ("yaml-cpp/yaml.h", "core/config"), ("spdlog/spdlog.h", "core/base")):
            for room in tidy.LAYERS:
                wanted = [] if room == owner else [(room + "/x.cc", 1)]
                self.assertEqual(found({room + "/x.cc": "#include <%s>\n" % header}, "library"), wanted)


class OwnHeader(unittest.TestCase):
    def test_comes_first(self):
        files = {"sinks/a.h": "", "sinks/a.cc": '// Says why.\n#include "sinks/a.h"\n\n#include <string>\n'}
        self.assertEqual(found(files, "own-header"), [])
        files["sinks/a.cc"] = '#include <string>\n#include "sinks/a.h"\n'
        self.assertEqual(found(files, "own-header"), [("sinks/a.cc", 1)])
        files["sinks/a.cc"] = "int a;\n"
        self.assertEqual(found(files, "own-header"), [("sinks/a.cc", 1)])

    def test_of_a_test_is_that_of_what_it_tests(self):
        for test in ("tests/core/base/a_test.cc", "tests/base/a_test.cc"):
            files = {"core/base/a.h": "", test: '#include "core/base/a.h"\n'}
            self.assertEqual(found(files, "own-header"), [])
            files[test] = '#include <string>\n#include "core/base/a.h"\n'
            self.assertEqual(found(files, "own-header"), [(test, 1)])

    def test_a_file_without_header_is_free(self):
        self.assertEqual(found({"sinks/null_sink.cc": "#include <string>\n"}, "own-header"), [])


class Sizes(unittest.TestCase):
    def test_files(self):
        self.assertEqual(found({"agent/a.cc": "\n" * 800}, "file-size"), [])
        self.assertEqual(found({"agent/a.cc": "\n" * 801}, "file-size"), [("agent/a.cc", 801)])
        self.assertEqual(found({"tools/a.py": "\n" * 801}, "file-size"), [("tools/a.py", 801)])
        self.assertEqual(found({"docs/a.md": "\n" * 900}, "file-size"), [])

    def function(self, head, lines, before="", after=""):
        body = "{\n" + "  x();\n" * (lines - 2) + "}\n"
        return found({"agent/a.cc": before + head + " " + body + after}, "function-size")

    def test_functions_of_all_shapes(self):
        for head in ("void f()", "int A::f(int x, B b = {}) const noexcept", "auto f() -> std::vector<int>",
                     "template <typename T>\nvoid f(T t)", 'TEST_CASE("a sentence { with a brace")',
                     "A::A() : b_(1), c_{2}, d_{{3}}", "A::A(int x) noexcept : b_{x}", "bool operator==(const A& a)",
                     "[[nodiscard]] static Status f()", "A::~A()", "void f(int x = int{3}, A a = A{})"):
            extra = head.count("\n")
            self.assertEqual(self.function(head, 70 - extra), [], head)
            self.assertEqual(len(self.function(head, 71 - extra)), 1, head)

    def test_inside_classes_and_name_spaces(self):
        for before, after in (("namespace a {\nnamespace {\n", "}\n}\n"), ("class A final : public B<C> {\n public:\n", "};\n"),
                              ('extern "C" {\n', "}\n"), ("struct alignas(64) A {\n", "};\n"),
                              ("namespace a {\nconst int t[] = {{1}, {2}};\nenum class E : int { A, B };\n", "}\n")):
            self.assertEqual(self.function("void f()", 70, before, after), [], before)
            self.assertEqual(len(self.function("void f()", 71, before, after)), 1, before)

    def test_the_line_is_that_of_the_head(self):
        self.assertEqual(self.function("void f()", 80, "int a;\n\n// Why.\n"), [("agent/a.cc", 4)])

    def test_functions_in_a_row_are_counted_apart(self):
        one = "void f() {\n" + "  x();\n" * 40 + "}\n\n"
        self.assertEqual(found({"agent/a.cc": one * 3}, "function-size"), [])

    def test_a_lambda_counts_with_its_function(self):
        lambda_body = "  auto g = [](int x) {\n" + "  x();\n" * 66 + "  };\n"
        self.assertEqual(len(found({"agent/a.cc": "void f() {\n" + lambda_body + "}\n"}, "function-size")), 0)
        self.assertEqual(len(found({"agent/a.cc": "void f() {\n  y();\n" + lambda_body + "}\n"}, "function-size")), 1)

    def test_tables_are_no_functions(self):
        self.assertEqual(found({"agent/a.cc": "const Key keys[] = {\n" + "    {f(1)},\n" * 90 + "};\n"}, "function-size"), [])

    def test_braces_in_text_and_comments_do_not_count(self):
        noise = 'const char* a = "}{{";\n// } {\n/* {{{ */\nconst char b = \'{\';\nconst char* c = R"x({{)x";\nint d = 1\'000;\n'
        self.assertEqual(self.function("void f()", 70, noise), [])
        self.assertEqual(len(self.function("void f()", 71, noise)), 1)

    def test_macros_are_skipped(self):
        macro = "#define OPEN(x) \\\n  if (x) { \\\n  call()\n"
        self.assertEqual(len(self.function("void f()", 71, macro)), 1)

    def test_python_functions(self):
        self.assertEqual(found({"tools/a.py": "def f():\n" + "    x()\n" * 69}, "function-size"), [])
        self.assertEqual(len(found({"tools/a.py": "def f():\n" + "    x()\n" * 70}, "function-size")), 1)


class Calls(unittest.TestCase):
    BAD_IO = ("int f = ::open(p, 0);", "FILE* f = fopen(p, m);", "auto f = std::fopen(p, m);", "std::ofstream out(p);",
              "std::ifstream in(p);", "std::fstream io(p);", "int s = socket(AF_INET, 1, 0);", "::bind(s, a, n);",
              "::connect(s, a, n);", "::recv(s, b, n, 0);", "::send(s, b, n, 0);", "epoll_wait(e, v, n, t);",
              "::poll(p, n, t);", "std::filesystem::remove(p);", "std::filesystem::create_directories(p);",
              "namespace fs = std::filesystem;\nauto x = fs::exists(p);", "#include <fcntl.h>", "#include <sys/socket.h>",
              "#include <unistd.h>", "#include <fstream>", "fsync(fd);", "::unlink(p);", "::rename(a, b);",
              "std::rename(a, b);", "inotify_add_watch(f, p, m);", "pwritev(f, v, n, o);", "::fork();", "fork();")
    GOOD_IO = ("file.open(p);", "file->fsync();", "channel.send(x);", "Status open(Context& c) override;",
               "Status status = sink->open(c);", "std::filesystem::path p;", "namespace fs = std::filesystem;\nfs::path p;",
               "// ::open(p) is not called\n", 'log::info("fopen() failed");', "reader.read(b);", "std::bind(f, x);",
               "poll(x);", "Connection::connect(x);", "v.remove(x);", "auto it = std::remove(b, e, x);", "#include <ctime>",
               "my_socket(x);", "socket_.close();", "net::socket(x);")
    BAD_CLOCK = ("auto t = std::chrono::steady_clock::now();", "system_clock::now();", "clock_gettime(c, &t);",
                 "gettimeofday(&t, nullptr);", "time(nullptr);", "std::time(nullptr);", "::time(NULL);", "time(0);",
                 "auto t = SteadyTime::clock::now();", "#include <sys/time.h>", "high_resolution_clock::now();")
    GOOD_CLOCK = ("clock.wall_ms();", "clock_.steady();", "auto t = roll_time(0);", "settings.time(x);",
                  'log::info("steady_clock::now()");', "std::chrono::steady_clock::time_point t;", "localtime_r(&t, &tm);")

    def check_each(self, rule, bad, good):
        for room in ("agent", "sources", "core/wire", "core/event", "channels"):
            for line in bad:
                where = [(room + "/x.cc", line.count("\n") + 1)]
                self.assertEqual(found({room + "/x.cc": line + "\n"}, rule), where, line)
            for line in good:
                self.assertEqual(found({room + "/x.cc": line + "\n"}, rule), [], line)

    # Written out, so that a name that falls out of the tool's lists is missed here.
    CLEAR = """fopen freopen fdopen tmpfile popen opendir openat mkstemp mkdtemp fsync fdatasync ftruncate pread pwrite
        preadv pwritev readv writev socket socketpair accept4 setsockopt getsockopt getaddrinfo recvfrom recvmsg recvmmsg
        sendto sendmsg sendmmsg sendfile splice epoll_create1 epoll_ctl epoll_wait inotify_init1 inotify_add_watch eventfd
        timerfd_create posix_spawn posix_spawnp execve execvp fork vfork pipe2 mmap ioctl"""
    SHARED = """open creat close read write lseek stat lstat fstat access unlink rename remove mkdir rmdir link symlink bind
        listen accept connect recv send poll select shutdown pipe dup dup2 chmod truncate flock kill waitpid"""

    def test_io(self):
        self.check_each("io", self.BAD_IO, self.GOOD_IO)

    def test_every_system_call(self):
        for name in self.CLEAR.split() + self.SHARED.split():
            self.assertEqual(len(found({"agent/x.cc": "::%s(a);\n" % name}, "io")), 1, name)
        for name in self.CLEAR.split():
            self.assertEqual(len(found({"agent/x.cc": "int r = %s(a);\n" % name}, "io")), 1, name)
        for name in self.SHARED.split():
            self.assertEqual(found({"agent/x.cc": "int r = %s(a);\n" % name}, "io"), [], name)

    def test_clock(self):
        self.check_each("clock", self.BAD_CLOCK, self.GOOD_CLOCK)

    def test_the_two_rooms_and_tests_are_free(self):
        for room in ("core/base", "core/net", "tests/sinks", "bench", "fuzz"):
            for line in self.BAD_IO + self.BAD_CLOCK:
                for rule in ("io", "clock"):
                    self.assertEqual(found({room + "/x.cc": line + "\n"}, rule), [], line)

    def test_an_exception_covers_its_file_and_rule_only(self):
        good = {"core/config/read_file.cc": "std::ifstream in(p);\n"}
        self.assertEqual(findings(good), [])
        self.assertEqual(len(found({"core/config/other.cc": "std::ifstream in(p);\n"}, "io")), 1)
        self.assertEqual(len(found({"core/config/read_file.cc": "std::ifstream in(p);\ntime(nullptr);\n"}, "clock")), 1)

    def test_an_exception_nobody_needs_is_a_finding(self):
        self.assertEqual(len(found({"core/config/read_file.cc": "int a;\n"}, "allowed")), 1)

    def test_every_exception_has_a_reason(self):
        for reason in tidy.ALLOWED_CALLS.values():
            self.assertGreater(len(reason.split()), 3)


class Sleeps(unittest.TestCase):
    def test_in_code_and_tests(self):
        for line in ("std::this_thread::sleep_for(x);", "std::this_thread::sleep_until(x);", "usleep(5);", "::usleep(5);",
                     "sleep(1);", "::sleep(1);", "nanosleep(&t, nullptr);"):
            for path in ("core/base/x.cc", "sinks/x.cc", "tests/sinks/x_test.cc", "bench/x_bench.cc"):
                self.assertEqual(found({path: line + "\n"}, "sleep"), [(path, 1)], line)
        for line in ("// sleep_for is not used", "wake.wait_for(lock, x);", "runner.sleep(1);", "int asleep(1);"):
            self.assertEqual(found({"sinks/x.cc": line + "\n"}, "sleep"), [], line)

    def test_in_scripts_only_a_wait_helper_polls(self):
        good = "import time\ndef wait_until(f):\n    while not f():\n        time.sleep(0.01)\n"
        self.assertEqual(found({"tests/integration/a_test.py": good}, "sleep"), [])
        bad = "import time\ndef test_a():\n    time.sleep(1)\n"
        self.assertEqual(found({"tests/integration/a_test.py": bad}, "sleep"), [("tests/integration/a_test.py", 3)])


class Components(unittest.TestCase):
    SOURCE = """\
        constexpr Key keys[] = {
            {.name = "bind", .type = KeyType::Text, .required = true},
            {.name = "max-line-length", .type = KeyType::Integer, .default_value = "512"},
        };
        constexpr ComponentInfo info = {
            .alias = "netcat",
            .class_name = "org.apache.flume.source.NetcatSource",
            .keys = keys,
        };
        """
    GOOD = {
        "sources/netcat_source.cc": SOURCE,
        "sources/catalog.cc": "Registration netcat_source();\n",
        "docs/components/source-netcat.md": "| `bind` | | \n| `max-line-length` | |\n",
        "conf/quickstart.conf": "a1.sources.r1.type = netcat\na1.channels.c1.type = memory\na1.sinks.k1.type = logger\n",
        "conf/exec-logger.conf": "a1.sources.r1.command = tail -F /tmp/data.log\na1.channels.c1.type = memory\n"
                                 "a1.sinks.k1.type = logger\n",
        "conf/quickstart.yaml": "sources:\n  r1: {type: netcat}\nchannels: {c1: {type: memory}}\nsinks: {k1: {type: logger}}\n",
        "tests/sources/netcat_source_test.cc": "\n",
    }

    def changed(self, rule, **changes):
        """Findings of `rule` with files replaced (text) or removed (None); keys are path parts."""
        files = dict(self.GOOD)
        for key, text in changes.items():
            path = next(p for p in self.GOOD if key in p.replace(".", "_").replace("-", "_").replace("/", "_"))
            if text is None:
                del files[path]
            else:
                files[path] = text
        return found(files, rule)

    def test_the_good_tree_passes(self):
        wanted = ("catalogue", "docs", "sample", "test")
        self.assertEqual([f for f in findings(self.GOOD) if f[2] in wanted], [])

    def test_registered(self):
        self.assertEqual(len(self.changed("catalogue", sources_catalog_cc="\n")), 1)
        self.assertEqual(len(self.changed("catalogue", sources_catalog_cc=None)), 1)
        self.assertEqual(len(self.changed("catalogue", sources_catalog_cc="Registration netcat_sources();\n")), 1)

    def test_described(self):
        self.assertEqual(len(self.changed("docs", source_netcat_md=None)), 1)
        self.assertEqual(len(self.changed("docs", source_netcat_md="`bind` and max-line-length\n")), 1)
        self.assertEqual(len(self.changed("docs", source_netcat_md="nothing\n")), 2)

    def test_described_where_the_table_is_shared(self):
        with_table = textwrap.dedent(self.SOURCE).replace(".keys = keys", ".keys = joined_keys(keys, tls_keys)")
        files = {**self.GOOD, "sources/netcat_source.cc": '#include "core/config/tls_keys.h"\n' + with_table,
                 "core/config/tls_keys.h": "#pragma once\ninline constexpr Key tls_keys[] = {\n    {.name = \"ssl\"},\n};\n"}
        self.assertEqual(found(files, "docs"), [("docs/components/source-netcat.md", 1)])
        files["docs/components/source-netcat.md"] += "`ssl`\n"
        self.assertEqual(found(files, "docs"), [])

    def test_a_page_of_nothing(self):
        files = {**self.GOOD, "docs/components/sink-gone.md": "\n"}
        self.assertEqual(found(files, "docs"), [("docs/components/sink-gone.md", 1)])

    def test_sampled(self):
        self.assertEqual(self.changed("sample", conf_quickstart_yaml=None), [("conf", 1)])
        only_yaml = {"conf_quickstart_conf": "a1.sinks.k1.type = netcat\n"}
        self.assertEqual([p for p, _ in self.changed("sample", **only_yaml)], ["conf"])
        none = dict(only_yaml, conf_quickstart_yaml="type: memory, type: logger\n")
        self.assertIn("sources/netcat_source.cc", [p for p, _ in self.changed("sample", **none)])

    def test_tested(self):
        self.assertEqual(len(self.changed("test", tests_sources_netcat=None)), 1)
        files = {p: t for p, t in self.GOOD.items() if not p.startswith("tests/")}
        files["tests/integration/flow_test.py"] = "CONF = 'a1.sources.r1.type = netcat'\n"
        self.assertEqual(found(files, "test"), [])
        files["tests/integration/flow_test.py"] = "CONF = 'a1.sources.r1.type = netcatudp'\n"
        self.assertEqual(len(found(files, "test")), 1)

    def test_positional_alias_and_unbuilt_entries(self):
        files = {"sinks/null_sink.cc": 'constexpr ComponentInfo info{"null", "org.x"};\n'}
        self.assertEqual(len(found(files, "catalogue")), 1)
        files = {"sinks/hdfs_sink.cc": 'constexpr ComponentInfo info{.alias = "hdfs", .built = false};\n'}
        self.assertEqual(found(files, "catalogue"), [])

    def test_each_tutorial_has_its_sample(self):
        for name in ("conf_quickstart_conf", "conf_exec_logger_conf", "conf_quickstart_yaml"):
            self.assertIn(("conf", 1), self.changed("sample", **{name: None}), name)

    def test_the_file_that_dev_run_starts_is_there(self):
        files = {p.replace("quickstart.conf", "netcat.conf"): t for p, t in self.GOOD.items()}
        self.assertEqual(found(files, "sample"), [("conf", 1)])


class Links(unittest.TestCase):
    def test_links_and_named_samples(self):
        good = {"README.md": "[guide](docs/a.md) [b](docs/a.md#x) [out](https://x.org/a.md) conf/a.conf\n",
                "docs/a.md": "[home](../README.md) conf/example.conf\n", "conf/a.conf": "\n"}
        self.assertEqual(found(good, "link"), [])
        self.assertEqual(found({"README.md": "x\n[guide](docs/a.md)\n"}, "link"), [("README.md", 2)])
        self.assertEqual(found({"docs/a.md": "conf/gone.conf\n"}, "link"), [("docs/a.md", 1)])


class Text(unittest.TestCase):
    def one(self, path, text, rule="text"):
        return found({path: text}, rule)

    def test_blanks_tabs_line_ends(self):
        for path in ("agent/x.cc", "docs/x.md", "conf/x.conf", "tests/CMakeLists.txt"):
            self.assertEqual(self.one(path, b"a\nb\n"), [])
            for bad in (b"a\nb \n", b"a\nb\r\n", b"a\n\tb\n", b"a\nb"):
                self.assertEqual(self.one(path, bad), [(path, 2)], bad)

    def test_columns(self):
        self.assertEqual(self.one("agent/x.cc", "/" * 100 + "\n"), [])
        self.assertEqual(self.one("agent/x.cc", "/" * 101 + "\n"), [("agent/x.cc", 1)])
        self.assertEqual(self.one("docs/x.md", "/" * 200 + "\n"), [])

    def test_columns_are_characters(self):
        self.assertEqual(self.one("agent/x.cc", "\u00e9" * 100 + "\n"), [])

    def test_unfinished(self):
        # Put together here, so that this file passes the rule itself.
        for word in ("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK", "not implem" + "ented", "Unimplem" + "ented"):
            for path in ("agent/x.cc", "docs/x.md", "tools/x.py"):
                self.assertEqual(self.one(path, "# %s: later\n" % word, "unfinished"), [(path, 1)], word)
        for text in ("todos los dias", "a shack", "XXXXXX", "hack the planet", "implemented"):
            self.assertEqual(self.one("docs/x.md", text + "\n", "unfinished"), [], text)

    def test_data_may_be_odd(self):
        for path in ("docs/picture.png", "tests/data/x.conf", "tests/core/wire/data/x.txt", "fuzz/corpus/p/x.conf"):
            self.assertEqual(self.one(path, b"a \r\n\tb"), [])


class CommandLine(unittest.TestCase):
    def test_exit_status_says_whether_anything_was_found(self):
        with tempfile.TemporaryDirectory() as root:
            self.assertEqual(tidy.main(["tidy", root]), 0)
            with open(os.path.join(root, "x.md"), "w") as file:
                file.write("a \n")
            self.assertEqual(tidy.main(["tidy", root]), 1)


if __name__ == "__main__":
    unittest.main(buffer=True)
