#include "agent/check.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>
#include <tuple>
#include <utility>

namespace sluice {
namespace {

constexpr std::uint32_t kLineShownMax = 160;  // characters of a source line

struct Colours {
  std::string_view error, warning, note, bold, reset;
};

constexpr Colours kPlain = {"", "", "", "", ""};
constexpr Colours kTerminal = {"\x1b[1;31m", "\x1b[1;35m", "\x1b[1;36m", "\x1b[1m", "\x1b[0m"};

std::string_view colour_of(Severity severity, const Colours& colours) {
  switch (severity) {
    case Severity::Error: return colours.error;
    case Severity::Warning: return colours.warning;
    case Severity::Note: return colours.note;
  }
  return colours.note;
}

/// Characters of UTF-8 text, each a view.
std::vector<std::string_view> characters(std::string_view text, std::size_t count_max) {
  std::vector<std::string_view> result;
  for (std::size_t i = 0; i < text.size() && result.size() < count_max;) {
    std::size_t end = i + 1;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
    result.push_back(text.substr(i, end - i));
    i = end;
  }
  return result;
}

/// Columns on a terminal. Han, Kana, Hangul and full-width forms take two: their lead bytes in
/// UTF-8 are E2 BA .. ED 9F, EF BC..BD and F0 9F and above.
std::size_t width_of(std::string_view character) {
  if (character.size() < 3) return 1;
  const auto lead = static_cast<unsigned char>(character[0]);
  const auto second = static_cast<unsigned char>(character[1]);
  const bool east_asian = (lead == 0xE2 && second >= 0xBA) || (lead > 0xE2 && lead < 0xED) ||
                          (lead == 0xED && second < 0xA0) ||
                          (lead == 0xEF && second >= 0xBC && second < 0xBE) || lead == 0xF0;
  return east_asian ? 2 : 1;
}

/// The line of the file, and under it ^~~~ from the position's column on.
void print_line(const SourceText& text, const Position& where, std::ostream& out,
                const Colours& colours, std::string_view colour) {
  const std::uint32_t first = where.column > kLineShownMax ? where.column - kLineShownMax / 2 : 1;
  const std::vector<std::string_view> all =
      characters(text.line(where.line), std::size_t{first} + kLineShownMax);
  std::string shown = first > 1 ? "..." : "";
  std::string marks(shown.size(), ' ');
  const std::uint32_t mark_end = where.column + std::max<std::uint32_t>(where.length, 1);
  for (std::uint32_t column = first; column - 1 < all.size(); ++column) {
    const std::string_view character = all[column - 1];
    const bool tab = character == "\t";
    const std::string safe = tab ? std::string(character) : printable(character);
    shown += safe;
    if (column >= mark_end) continue;
    const std::size_t width = safe.size() > character.size() ? safe.size() : width_of(character);
    if (column < where.column) {
      marks += tab ? std::string("\t") : std::string(width, ' ');
    } else {
      marks += std::string(width, '~');
      if (column == where.column) marks[marks.size() - width] = '^';
    }
  }
  if (where.column > all.size()) marks += '^';  // just behind the line's end
  out << "  " << shown << "\n  " << colour << marks << colours.reset << "\n";
}

const SourceText* find_text(const Loaded& loaded, const std::string& file) {
  for (const SourceText& text : loaded.texts) {
    if (text.file() == file) return &text;
  }
  return nullptr;
}

void print_diagnostic(const Diagnostic& diagnostic, const Loaded& loaded, std::ostream& out,
                      const Colours& colours) {
  const std::string place = to_string(diagnostic.where);
  const std::string_view colour = colour_of(diagnostic.severity, colours);
  out << colours.bold << place << (place.empty() ? "" : ": ") << colours.reset << colour
      << to_string(diagnostic.severity) << ": " << colours.reset
      << printable(diagnostic.message, 1000) << "\n";
  const SourceText* text = find_text(loaded, diagnostic.where.file);
  if (text != nullptr && diagnostic.where.line > 0) {
    print_line(*text, diagnostic.where, out, colours, colour);
  }
  if (!diagnostic.hint.empty()) out << "  = " << printable(diagnostic.hint, 2000) << "\n";
}

/// All problems in the order of the files.
std::vector<const Diagnostic*> sorted(const Report& report) {
  std::vector<const Diagnostic*> all;
  for (const Diagnostic& each : report.loaded.diagnostics) all.push_back(&each);
  for (const Plan& plan : report.plans) {
    for (const Diagnostic& each : plan.diagnostics) all.push_back(&each);
  }
  std::map<std::string_view, std::size_t> order;
  for (const SourceText& text : report.loaded.texts) order.emplace(text.file(), order.size());
  const auto rank = [&order](const Diagnostic* each) {
    const auto found = order.find(each->where.file);
    return std::tuple(found == order.end() ? 0 : found->second + 1, each->where.line,
                      each->where.column);
  };
  std::stable_sort(all.begin(), all.end(),
                   [&](const Diagnostic* a, const Diagnostic* b) { return rank(a) < rank(b); });
  return all;
}

std::string type_of(const Settings& settings) {
  const ComponentInfo& info = settings.info();
  return std::string(info.alias.empty() ? info.class_name : info.alias);
}

std::string described(const Settings& settings) {
  return printable(settings.name()) + " (" + type_of(settings) + ")";
}

void print_route(const std::vector<std::string>& channels,
                 const std::vector<std::string>& optional_channels, std::ostream& out) {
  out << " ->";
  for (const std::string& channel : channels) out << " " << printable(channel);
  for (const std::string& channel : optional_channels) {
    out << " " << printable(channel) << " (optional)";
  }
  if (channels.empty() && optional_channels.empty()) out << " nowhere";
  out << "\n";
}

void print_source(const SourcePlan& source, std::ostream& out) {
  out << "  source " << described(source.settings);
  for (const InterceptorPlan& each : source.interceptors) out << " | " << type_of(each.settings);
  if (!source.multiplexing) {
    return print_route(source.channels, source.optional_channels, out);
  }
  const MultiplexingPlan& ways = *source.multiplexing;
  out << ", by header " << printable(ways.header) << "\n";
  for (const MappingPlan& each : ways.mappings) {
    out << "    " << printable(each.value);
    print_route(each.route.channels, each.route.optional_channels, out);
  }
  out << "    otherwise";
  print_route(ways.otherwise.channels, ways.otherwise.optional_channels, out);
}

std::string seconds(std::chrono::milliseconds time) {
  std::ostringstream text;
  text << static_cast<double>(time.count()) / 1000 << " s";
  return text.str();
}

/// "2 s, doubling up to 30 s"
std::string penalty(std::chrono::milliseconds most) {
  constexpr std::chrono::milliseconds first{2000};
  return most <= first ? seconds(most) : seconds(first) + ", doubling up to " + seconds(most);
}

void print_group(const SinkGroupPlan& group, std::ostream& out) {
  out << "  " << printable(group.label, 400) << " (" << processor_name(group) << ")";
  const auto* const failover = std::get_if<FailoverPlan>(&group.processor);
  for (std::size_t i = 0; i < group.sinks.size(); ++i) {
    out << (i == 0 ? ": " : ", ") << printable(group.sinks[i]);
    if (failover != nullptr) out << " (priority " << failover->priorities[i] << ")";
  }
  out << " <- " << printable(group.channel) << "\n    ";
  if (failover != nullptr) {
    out << "the first that works gets every batch; one that fails is out for "
        << penalty(failover->penalty_max) << ", and then tried first\n";
    return;
  }
  const auto& balance = std::get<LoadBalancePlan>(group.processor);
  out << (balance.random ? "each batch goes to any of them" : "each batch goes to the next of them")
      << "; when it fails, to another one at once";
  if (balance.backoff) out << ", and it is out for " << penalty(balance.out_max);
  out << "\n";
}

void print_plan(const Plan& plan, std::ostream& out, const Colours& colours) {
  out << colours.bold << "agent " << printable(plan.agent) << ": " << to_string(plan.verdict)
      << colours.reset << "\n";
  if (plan.verdict == Verdict::Runs || plan.verdict == Verdict::RunsWithout) {
    for (const SourcePlan& source : plan.sources) print_source(source, out);
    for (const ChannelPlan& channel : plan.channels) {
      out << "  channel " << described(channel.settings) << "\n";
    }
    for (const SinkPlan& sink : plan.sinks) {
      out << "  sink " << described(sink.settings) << " <- " << printable(sink.channel);
      if (!sink.dead_letter_channel.empty()) {
        out << ", dead letters -> " << printable(sink.dead_letter_channel);
      }
      out << "\n";
    }
    for (const SinkGroupPlan& group : plan.groups) print_group(group, out);
  }
  for (const LeftOut& each : plan.left_out) {
    const std::string place = to_string(each.where);
    out << "  left out: " << printable(each.component, 400) << ", because "
        << printable(each.because, 400) << (place.empty() ? "" : " (" + place + ")") << "\n";
  }
}

using Json = nlohmann::ordered_json;

void put_position(Json& json, const Position& where) {
  json["file"] = where.file;
  json["line"] = where.line;
  json["column"] = where.column;
  json["length"] = where.length;
}

Json to_json(const Diagnostic& diagnostic) {
  Json json;
  put_position(json, diagnostic.where);
  json["severity"] = to_string(diagnostic.severity);
  json["message"] = diagnostic.message;
  json["hint"] = diagnostic.hint;
  return json;
}

Json to_json(const RoutePlan& route) {
  return {{"channels", route.channels}, {"optional_channels", route.optional_channels}};
}

Json to_json(const MultiplexingPlan& ways) {
  Json json;
  json["type"] = "multiplexing";
  json["header"] = ways.header;
  json["mappings"] = Json::array();
  for (const MappingPlan& each : ways.mappings) {
    Json mapping;
    mapping["value"] = each.value;
    mapping.update(to_json(each.route));
    json["mappings"].push_back(std::move(mapping));
  }
  json["otherwise"] = to_json(ways.otherwise);
  return json;
}

Json to_json(const SinkGroupPlan& group) {
  Json json;
  json["name"] = group.name;
  json["processor"] = processor_name(group);
  json["channel"] = group.channel;
  json["sinks"] = group.sinks;
  if (const auto* failover = std::get_if<FailoverPlan>(&group.processor)) {
    json["priorities"] = failover->priorities;
    json["penalty_max_ms"] = failover->penalty_max.count();
  } else {
    const auto& balance = std::get<LoadBalancePlan>(group.processor);
    json["selector"] = balance.random ? "random" : "round_robin";
    json["backoff"] = balance.backoff;
    json["out_max_ms"] = balance.out_max.count();
  }
  return json;
}

Json to_json(const Plan& plan) {
  Json json;
  json["name"] = plan.agent;
  json["verdict"] = to_string(plan.verdict);
  for (const char* key : {"sources", "channels", "sinks", "sink_groups", "left_out"}) {
    json[key] = Json::array();
  }
  for (const SourcePlan& source : plan.sources) {
    Json interceptors = Json::array();
    for (const InterceptorPlan& each : source.interceptors) {
      interceptors.push_back({{"name", each.settings.name()}, {"type", type_of(each.settings)}});
    }
    json["sources"].push_back({{"name", source.settings.name()},
                               {"type", type_of(source.settings)},
                               {"channels", source.channels},
                               {"optional_channels", source.optional_channels},
                               {"interceptors", std::move(interceptors)}});
    if (source.multiplexing) {
      json["sources"].back()["selector"] = to_json(*source.multiplexing);
    }
  }
  for (const ChannelPlan& channel : plan.channels) {
    json["channels"].push_back(
        {{"name", channel.settings.name()}, {"type", type_of(channel.settings)}});
  }
  for (const SinkPlan& sink : plan.sinks) {
    json["sinks"].push_back({{"name", sink.settings.name()},
                             {"type", type_of(sink.settings)},
                             {"channel", sink.channel}});
    if (!sink.dead_letter_channel.empty()) {
      json["sinks"].back()["dead_letter_channel"] = sink.dead_letter_channel;
    }
  }
  for (const SinkGroupPlan& group : plan.groups) json["sink_groups"].push_back(to_json(group));
  for (const LeftOut& each : plan.left_out) {
    Json one;
    one["component"] = each.component;
    one["because"] = each.because;
    one["not_built"] = each.not_built;
    put_position(one, each.where);
    json["left_out"].push_back(std::move(one));
  }
  return json;
}

}  // namespace

Report make_report(const LoadOptions& options, const std::string& agent, const Catalog& catalog) {
  Report report;
  report.loaded = load_files(options);
  if (report.loaded.tree.entries().empty()) return report;
  std::vector<std::string> agents = {agent};
  if (agent.empty()) agents = report.loaded.tree.agents();
  constexpr std::size_t kAgentsMax = 100;
  for (std::size_t i = 0; i < std::min(agents.size(), kAgentsMax); ++i) {
    report.plans.push_back(make_plan(report.loaded.tree, agents[i], catalog));
  }
  if (!agents.empty() && agents.size() <= kAgentsMax) return report;
  Position where;
  where.file = report.loaded.texts.front().file();
  report.loaded.diagnostics.push_back(
      {Severity::Error, where,
       agents.empty() ? "no agent is configured in it"
                      : "only the first " + std::to_string(kAgentsMax) + " agents are checked",
       agents.empty() ? "an agent begins with its lists: 'a1.sources = r1'" : ""});
  return report;
}

void print_report(const Report& report, std::ostream& out, bool colour) {
  const Colours& colours = colour ? kTerminal : kPlain;
  const std::vector<const Diagnostic*> all = sorted(report);
  for (const Diagnostic* each : all) print_diagnostic(*each, report.loaded, out, colours);
  if (!all.empty() && !report.plans.empty()) out << "\n";
  for (const Plan& plan : report.plans) print_plan(plan, out, colours);
}

void print_report_json(const Report& report, std::ostream& out) {
  Json json;
  json["readable"] = report.loaded.readable;
  json["status"] = exit_status(report);
  json["diagnostics"] = Json::array();
  json["agents"] = Json::array();
  for (const Diagnostic* each : sorted(report)) json["diagnostics"].push_back(to_json(*each));
  for (const Plan& plan : report.plans) json["agents"].push_back(to_json(plan));
  // Values from the environment need not be UTF-8.
  out << json.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
}

int exit_status(const Report& report) {
  if (!report.loaded.readable || report.plans.empty()) return 2;
  const std::vector<std::string> agents = report.loaded.tree.agents();
  int status = has_errors(report.loaded.diagnostics) ? 1 : 0;
  for (const Plan& plan : report.plans) {
    if (plan.verdict != Verdict::Runs || has_errors(plan.diagnostics)) status = 1;
    const bool there = !plan.left_out.empty() || plan.verdict == Verdict::Runs ||
                       std::find(agents.begin(), agents.end(), plan.agent) != agents.end();
    if (!there) return 2;
  }
  return status;
}

int run_check(const CommandLine& line, const Catalog& catalog, std::ostream& out, std::ostream& err,
              bool colour) {
  for (const std::string& warning : line.warnings) err << warning << "\n";
  const Report report = make_report(line.load_options(), line.agent, catalog);
  if (line.json) {
    print_report_json(report, out);
  } else {
    print_report(report, out, colour);
  }
  return exit_status(report);
}

std::string to_string(const Position& position) {
  if (position.line == 0) return printable(position.file, 4096);
  return printable(position.file, 4096) + ":" + std::to_string(position.line) + ":" +
         std::to_string(position.column);
}

}  // namespace sluice
