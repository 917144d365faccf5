// Analyses in one line.
#include "sinks/batch_query.h"

#include <string>

#include "tests/catch.h"

namespace sluice {
namespace {

/// "key = value" a line, or what is wrong: "offset: message".
std::string written_out(std::string_view query) {
  std::vector<Finding> findings;
  const auto all = write_out_query(query, findings);
  std::string text;
  for (const Finding& finding : findings) {
    CHECK(finding.key == "query");
    text += std::to_string(finding.offset) + ": " + finding.message + "\n";
  }
  CHECK((findings.empty() || all.empty()));
  for (const LongForm& each : all) {
    CHECK(each.offset <= query.size());
    text += each.key + " = " + each.value + "\n";
  }
  return text;
}

TEST_CASE("query: a word count") {
  CHECK(written_out("split whitespace | count by word | top 10 | print") ==
        "steps.split.type = split\n"
        "steps.split.on = whitespace\n"
        "steps.aggregate.type = aggregate\n"
        "steps.aggregate.by = word\n"
        "steps.aggregate.agg.n = count()\n"
        "steps.top.type = top\n"
        "steps.top.n = 10\n"
        "steps.top.order = -n word\n"
        "outputs.print.type = print\n"
        "outputs.print.input = top\n"
        "steps = split aggregate top\n"
        "outputs = print\n");
}

TEST_CASE("query: statistics of an access log by event time") {
  CHECK(written_out("parse combined extra=latency:double | where status >= 500 and path != '|' | "
                    "window 1m slide 10s on (time + 0) delay=5s | count as hits, "
                    "quantile(latency, 0.99), avg(bytes), distinct(ip) as visitors by status "
                    "method | having hits > 1 | sort -hits | limit 5 | channel c2 csv") ==
        "steps.parse.type = parse\n"
        "steps.parse.format = combined\n"
        "steps.parse.extra = latency:double\n"
        "steps.filter.type = filter\n"
        "steps.filter.where = status >= 500 and path != '|'\n"
        "steps.window.type = window\n"
        "steps.window.delay = 5s\n"
        "steps.window.slide = 10s\n"
        "steps.window.time = event\n"
        "steps.window.timestamp = (time + 0)\n"
        "steps.window.length = 1m\n"
        "steps.aggregate.type = aggregate\n"
        "steps.aggregate.agg.hits = count()\n"
        "steps.aggregate.agg.p99 = quantile(latency, 0.99)\n"
        "steps.aggregate.agg.avg_bytes = avg(bytes)\n"
        "steps.aggregate.by = status method\n"
        "steps.aggregate.agg.visitors = distinct(ip)\n"
        "steps.having.type = having\n"
        "steps.having.where = hits > 1\n"
        "steps.sort.type = sort\n"
        "steps.sort.order = -hits\n"
        "steps.limit.type = limit\n"
        "steps.limit.n = 5\n"
        "outputs.channel.type = channel\n"
        "outputs.channel.input = limit\n"
        "outputs.channel.channel = c2\n"
        "outputs.channel.format = csv\n"
        "steps = parse filter window aggregate having sort limit\n"
        "outputs = channel\n");
}

TEST_CASE("query: columns, running totals, windows of keys, several outputs") {
  CHECK(written_out("parse regex '(?<a>.) (?<b>.)' | set c = a + '=' | rename c d | drop a b | "
                    "session 30m on t | count, max(t) by d | running timeout=1h | print python 5 | "
                    "file \"/tmp/my results\"") ==
        "steps.parse.type = parse\n"
        "steps.parse.format = regex\n"
        "steps.parse.pattern = (?<a>.) (?<b>.)\n"
        "steps.map.type = map\n"
        "steps.map.set.c = a + '='\n"
        "steps.map2.type = map\n"
        "steps.map2.rename.c = d\n"
        "steps.map3.type = map\n"
        "steps.map3.drop = a b\n"
        "steps.window.type = window\n"
        "steps.window.kind = session\n"
        "steps.window.time = event\n"
        "steps.window.timestamp = t\n"
        "steps.window.gap = 30m\n"
        "steps.aggregate.type = aggregate\n"
        "steps.aggregate.agg.n = count()\n"
        "steps.aggregate.by = d\n"
        "steps.aggregate.agg.max_t = max(t)\n"
        "steps.state.type = state\n"
        "steps.state.mode = running\n"
        "steps.state.timeout = 1h\n"
        "steps.state.merge.n = sum\n"
        "steps.state.merge.max_t = max\n"
        "outputs.print.type = print\n"
        "outputs.print.input = state\n"
        "outputs.print.style = python\n"
        "outputs.print.num = 5\n"
        "outputs.file.type = file\n"
        "outputs.file.input = state\n"
        "outputs.file.prefix = /tmp/my results\n"
        "steps = parse map map2 map3 window aggregate state\n"
        "outputs = print file\n");
}

TEST_CASE("query: what is wrong is told with its place") {
  CHECK(written_out("split | cuont by word | print") == "8: no stage is called 'cuont'\n");
  CHECK(written_out("split || print") == "7: a stage of the query is empty\n");
  CHECK(written_out("") == "0: a stage of the query is empty\n");
  CHECK(written_out("split \"white | count | print") == "6: this quote is not closed\n");
  CHECK(written_out("split | where w = 'it\\'s | count | print") ==
        "18: this quote is not closed\n");
  CHECK(written_out("print | count") == "8: no step comes behind an output\n");
  CHECK(written_out("top 5") == "0: it needs the columns to order by\n");
  CHECK(written_out("count | avg(x), mean(y)") == "16: there is no aggregate function 'mean'\n");
  CHECK(written_out("avg(x) by k | running") ==
        "14: results of avg of several batches do not make one of all\n");
  CHECK(written_out("running") == "0: 'running' goes on with what an aggregation has counted\n");
  CHECK(written_out("count by word, max(t)") ==
        "14: columns behind 'by' are separated by blanks\n");
  CHECK(written_out("count by") == "6: columns are missing behind 'by'\n");
  CHECK(written_out("split space word") == "12: nothing is known of 'word'\n");
  CHECK(written_out("window slide 5s") == "0: window needs to know how long\n");
  CHECK(written_out("set = 5") == "0: set needs a name and an expression\n");
  CHECK(written_out("drop") == "0: drop needs the columns that go\n");
  CHECK(written_out("set c =") == "0: set needs a name and an expression\n");
  CHECK(written_out("sum(len(a)), sum(b + 1)") == "13: two results are called 'sum'\n");
  CHECK(written_out("where") == "0: a condition is missing\n");
}

TEST_CASE("query: whatever is written, there is an answer") {
  const std::string all = "split | count(a), by x as 'q | top \"n | print (( )) = 5 window on |";
  for (std::size_t begin = 0; begin < all.size(); ++begin) {
    for (std::size_t end = begin; end <= all.size(); ++end) {
      written_out(std::string_view(all).substr(begin, end - begin));
    }
  }
}

}  // namespace
}  // namespace sluice
