#include "core/metrics/prometheus_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <span>

namespace sluice {
namespace {

enum class Type : unsigned char { Counter, Gauge };

/// One side of an edge; becomes two families, events and bytes.
template <typename Counters>
struct FlowRow {
  std::string_view what;
  Flow Counters::*flow;
  Type type;
  std::string_view help;  ///< "Events ...": begins the sentence of both.
};

/// A single figure; `what` includes its unit.
template <typename Counters>
struct CounterRow {
  std::string_view what;
  Counter Counters::*counter;
  Type type;
  std::string_view help;
};

constexpr FlowRow<SourceCounters> source_flows[] = {
    {"made", &SourceCounters::made, Type::Counter, "read by the source, before interceptors"},
    {"copied", &SourceCounters::copied, Type::Counter,
     "copied once more, for the second and further channels"},
    {"filtered", &SourceCounters::filtered, Type::Counter, "dropped by interceptors"},
    {"unrouted", &SourceCounters::unrouted, Type::Counter, "that the selector sent nowhere"},
    {"doubles", &SourceCounters::doubles, Type::Counter,
     "that a channel on disk had taken before, by their origins"},
    {"refused", &SourceCounters::refused, Type::Counter,
     "that an optional channel had no room for"},
    {"put", &SourceCounters::put, Type::Counter, "committed into channels"},
};

constexpr CounterRow<SourceCounters> source_counters[] = {
    {"put_batches", &SourceCounters::batches, Type::Counter, "Batches committed into channels."},
    {"rejected_lines", &SourceCounters::rejected_lines, Type::Counter,
     "Input that became no event: lines that are too long or were cut off."},
    {"opened_connections", &SourceCounters::connections_opened, Type::Counter,
     "Connections accepted or made."},
    {"open_connections", &SourceCounters::connections_open, Type::Gauge, "Connections open now."},
    {"failed_reads", &SourceCounters::read_failures, Type::Counter, "Reads that failed."},
    {"failed_puts", &SourceCounters::channel_failures, Type::Counter,
     "Puts into channels that failed."},
};

constexpr FlowRow<ChannelCounters> channel_flows[] = {
    {"put", &ChannelCounters::put, Type::Counter, "put into the channel"},
    {"committed", &ChannelCounters::committed, Type::Counter,
     "that left the channel for good: taken, and the taker's commit is complete"},
    {"quarantined", &ChannelCounters::quarantined, Type::Counter, "damaged on disk and set aside"},
    {"lost", &ChannelCounters::lost, Type::Counter,
     "still in a memory channel when the agent stopped"},
    {"sent", &ChannelCounters::sent, Type::Counter,
     "put, and acknowledged by the brokers of a topic"},
    {"dead_lettered", &ChannelCounters::dead_lettered, Type::Counter,
     "put, and put aside because no broker will ever take them"},
    {"fetched", &ChannelCounters::fetched, Type::Counter, "read from a topic"},
    {"given_back", &ChannelCounters::given_back, Type::Counter,
     "read from a topic and left there for whoever reads on"},
    {"in_flight", &ChannelCounters::in_flight, Type::Gauge, "taken and not committed yet"},
    {"stored", &ChannelCounters::stored, Type::Gauge, "waiting in the channel"},
    {"kept", &ChannelCounters::kept, Type::Gauge,
     "that left the channel and are kept on disk to be replayed"},
};

constexpr CounterRow<ChannelCounters> channel_counters[] = {
    {"offered_events", &ChannelCounters::put_attempts, Type::Counter,
     "Events for which room was asked, with or without success."},
    {"put_waits", &ChannelCounters::put_waits, Type::Counter,
     "Times a source had to wait for room."},
    {"undecodable_records", &ChannelCounters::undecodable, Type::Counter,
     "Records of a topic that are no events."},
    {"failures", &ChannelCounters::failures, Type::Counter,
     "Times that reading or writing a topic failed and was tried again."},
    {"take_calls", &ChannelCounters::take_attempts, Type::Counter,
     "Times a sink asked for events, the times it got none included."},
};

constexpr FlowRow<SinkCounters> sink_flows[] = {
    {"delivered", &SinkCounters::delivered, Type::Counter,
     "that arrived where the sink sends them"},
    {"dead_lettered", &SinkCounters::dead_lettered, Type::Counter,
     "that can never be delivered and were put aside"},
    {"dead_letters_put", &SinkCounters::dead_letters_put, Type::Counter,
     "that were put into a dead-letter channel"},
};

constexpr CounterRow<SinkCounters> sink_counters[] = {
    {"offered_events", &SinkCounters::attempts, Type::Counter,
     "Events offered to the sink, retries included."},
    {"complete_batches", &SinkCounters::batches_complete, Type::Counter,
     "Takes as large as the sink's batch size."},
    {"underflow_batches", &SinkCounters::batches_underflow, Type::Counter,
     "Takes smaller than the sink's batch size."},
    {"empty_takes", &SinkCounters::batches_empty, Type::Counter,
     "Takes that found nothing in the channel."},
    {"failed_deliveries", &SinkCounters::failures, Type::Counter,
     "Deliveries that failed and are tried again."},
    {"failed_commits", &SinkCounters::channel_failures, Type::Counter,
     "Commits of takes that failed."},
    {"created_connections", &SinkCounters::connections_created, Type::Counter, "Connections made."},
    {"closed_connections", &SinkCounters::connections_closed, Type::Counter,
     "Connections that ended."},
    {"failed_connections", &SinkCounters::connections_failed, Type::Counter,
     "Connections that could not be made."},
};

constexpr CounterRow<MicrobatchCounters> microbatch_counters[] = {
    {"batches", &MicrobatchCounters::batches, Type::Counter, "Batches ended and committed."},
    {"result_rows", &MicrobatchCounters::result_rows, Type::Counter, "Rows that outputs got."},
    {"keys", &MicrobatchCounters::keys, Type::Gauge,
     "Keys that steps held as the last batch ended."},
    {"state_bytes", &MicrobatchCounters::state_bytes, Type::Gauge,
     "Memory of what steps keep beyond the last batch."},
};

struct Label {
  std::string_view name;
  std::string_view value;
};

std::string number_text(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "-Inf" : "+Inf";
  std::array<char, 40> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr;
  return std::string(buffer.data(), end);
}

/// The exposition while it grows.
class Exposition {
 public:
  /// Starts a family; its samples follow.
  void family(std::string name, Type type, std::string_view help) {
    name_ = std::move(name);
    text_.append("# HELP ").append(name_).append(" ").append(help);
    text_.append("\n# TYPE ").append(name_);
    text_.append(type == Type::Counter ? " counter\n" : " gauge\n");
  }
  void sample(const std::vector<Label>& labels, std::string_view value) {
    text_ += name_;
    char before = '{';
    for (const Label& label : labels) {
      text_ += before;
      text_.append(label.name).append("=\"").append(escape_label_value(label.value)).append("\"");
      before = ',';
    }
    if (!labels.empty()) text_ += '}';
    text_.append(" ").append(value).append("\n");
  }
  void sample(const std::vector<Label>& labels, std::uint64_t value) {
    sample(labels, std::to_string(value));
  }
  void single(std::string name, Type type, std::string_view help, double value) {
    family(std::move(name), type, help);
    sample({}, number_text(value));
  }

  std::string finish() && { return std::move(text_); }

 private:
  std::string text_;
  std::string name_;
};

std::vector<Label> labels_of(const SourceMetrics& source) {
  return {{"component", source.name}, {"type", source.type}};
}
std::vector<Label> labels_of(const ChannelMetrics& channel) {
  return {{"component", channel.name}, {"type", channel.type}};
}
std::vector<Label> labels_of(const SinkMetrics& sink) {
  return {{"component", sink.name}, {"type", sink.type}, {"channel", sink.channel}};
}

std::string family_name(std::string_view kind, std::string_view what, std::string_view unit,
                        Type type) {
  std::string name = "sluice_";
  name.append(kind).append("_").append(what);
  if (!unit.empty()) name.append("_").append(unit);
  if (type == Type::Counter) name += "_total";
  return name;
}

template <typename Metrics, typename Counters, std::size_t N>
void add_flows(Exposition& out, std::string_view kind, const std::vector<Metrics>& components,
               const FlowRow<Counters> (&rows)[N]) {
  for (const FlowRow<Counters>& row : rows) {
    const std::string sentence = std::string(row.help) + ".";
    out.family(family_name(kind, row.what, "events", row.type), row.type, "Events " + sentence);
    for (const Metrics& m : components) {
      out.sample(labels_of(m), (m.counters->*row.flow).events.get());
    }
    out.family(family_name(kind, row.what, "bytes", row.type), row.type,
               "Bytes of the bodies of events " + sentence);
    for (const Metrics& m : components) {
      out.sample(labels_of(m), (m.counters->*row.flow).bytes.get());
    }
  }
}

template <typename Metrics, typename Counters, std::size_t N>
void add_counters(Exposition& out, std::string_view kind, const std::vector<Metrics>& components,
                  const CounterRow<Counters> (&rows)[N]) {
  for (const CounterRow<Counters>& row : rows) {
    out.family(family_name(kind, row.what, "", row.type), row.type, row.help);
    for (const Metrics& m : components) out.sample(labels_of(m), (m.counters->*row.counter).get());
  }
}

template <typename Metrics>
void add_times(Exposition& out, std::string_view kind, const std::vector<Metrics>& components) {
  constexpr double ms_a_second = 1000;
  const auto add = [&](std::string_view what, std::string_view help, auto counter) {
    out.family(family_name(kind, what, "seconds", Type::Gauge), Type::Gauge, help);
    for (const Metrics& m : components) {
      const double ms = static_cast<double>((m.counters->*counter).get());
      out.sample(labels_of(m), number_text(ms / ms_a_second));
    }
  };
  using Counters = std::remove_cvref_t<decltype(*components.front().counters)>;
  add("start_time", "When it was started, since 1970 UTC; 0 before.", &Counters::start_ms);
  add("stop_time", "When it was stopped, since 1970 UTC; 0 before.", &Counters::stop_ms);
}

void add_capacities(Exposition& out, const std::vector<ChannelMetrics>& channels) {
  out.family("sluice_channel_capacity_events", Type::Gauge,
             "Events that the channel holds at most.");
  for (const ChannelMetrics& channel : channels) {
    out.sample(labels_of(channel), channel.capacity_events);
  }
}

/// Sinks that compute have counters of their own.
void add_microbatches(Exposition& out, const std::vector<SinkMetrics>& sinks) {
  std::vector<SinkMetrics> all;
  for (const SinkMetrics& sink : sinks) {
    if (sink.microbatch != nullptr) all.push_back(sink);
  }
  if (all.empty()) return;
  constexpr std::string_view kind = "microbatch";
  for (const auto& row : microbatch_counters) {
    out.family(family_name(kind, row.what, "", row.type), row.type, row.help);
    for (const SinkMetrics& sink : all) {
      out.sample(labels_of(sink), (sink.microbatch->*row.counter).get());
    }
  }
  const auto seconds = [&](std::string_view what, std::string_view help, double units, auto read) {
    out.family(family_name(kind, what, "seconds", Type::Gauge), Type::Gauge, help);
    for (const SinkMetrics& sink : all) {
      const double value = static_cast<double>((sink.microbatch->*read).get());
      out.sample(labels_of(sink), number_text(value / units));
    }
  };
  seconds("processing", "From the end of the last batch until its results were out.", 1e6,
          &MicrobatchCounters::processing_us);
  seconds("delay", "How late the last batch was ended.", 1e3, &MicrobatchCounters::delay_ms);
  seconds("batch_time", "The time of the last batch, since 1970 UTC; 0 before.", 1e3,
          &MicrobatchCounters::batch_ms);
  out.family(family_name(kind, "left_out", "rows", Type::Counter), Type::Counter,
             "Rows that do not count in results, by step and reason.");
  for (const SinkMetrics& sink : all) {
    for (const auto& [reason, rows] : sink.microbatch->left_out.counts()) {
      auto labels = labels_of(sink);
      labels.push_back({"step", reason.first});
      labels.push_back({"reason", reason.second});
      out.sample(labels, rows);
    }
  }
}

std::vector<Label> labels_of(const ResultFigures& figures) {
  std::vector<Label> labels{{"sink", figures.sink}, {"output", figures.output}};
  if (!figures.step.empty()) labels.push_back({"step", figures.step});
  return labels;
}

/// One figure of each row.
void add_figures(Exposition& out, const ResultFigures& figures, std::size_t place) {
  for (const ResultFigures::Row& row : figures.rows) {
    const ResultFigures::Value& value = row.values[place];
    if (std::holds_alternative<std::monostate>(value)) continue;
    auto labels = labels_of(figures);
    for (std::size_t i = 0; i < row.labels.size(); ++i) {
      labels.push_back({figures.label_names[i], row.labels[i]});
    }
    const auto* const whole = std::get_if<std::int64_t>(&value);
    out.sample(labels,
               whole != nullptr ? std::to_string(*whole) : number_text(std::get<double>(value)));
  }
}

/// A family may have samples of several outputs, and has to be in one piece.
void add_results(Exposition& out, const ResultGauges& results) {
  const ResultGauges::All all = results.all();
  if (all.empty()) return;
  std::map<std::string, std::vector<std::pair<const ResultFigures*, std::size_t>>> families;
  for (const auto& [name, figures] : all) {
    for (std::size_t i = 0; i < figures->value_names.size(); ++i) {
      families["sluice_result_" + figures->value_names[i]].emplace_back(figures.get(), i);
    }
  }
  for (const auto& [name, places] : families) {
    out.family(name, Type::Gauge, "A column of results, of the latest batch of each output.");
    for (const auto& [figures, place] : places) add_figures(out, *figures, place);
  }
  out.family("sluice_microbatch_unshown_rows", Type::Gauge,
             "Rows of an output's latest batch that are no gauges, because there are too many.");
  for (const auto& [name, figures] : all) out.sample(labels_of(*figures), figures->left_out);
}

void add_memory(Exposition& out, const std::vector<const MemoryAccount*>& accounts) {
  const auto add = [&](std::string name, std::string_view help, auto read) {
    out.family(std::move(name), Type::Gauge, help);
    for (const MemoryAccount* account : accounts) {
      out.sample({{"account", account->name()}}, (account->*read)());
    }
  };
  add("sluice_memory_used_bytes", "Memory that a component keeps alive now.",
      &MemoryAccount::used_bytes);
  add("sluice_memory_peak_bytes", "The most that it has kept alive at once.",
      &MemoryAccount::peak_bytes);
  add("sluice_memory_limit_bytes", "The most that it may keep alive.", &MemoryAccount::limit_bytes);
}

void add_process(Exposition& out, const ProcessStats& process) {
  const auto gauge = [&](const char* name, const char* help, std::uint64_t value) {
    out.single(name, Type::Gauge, help, static_cast<double>(value));
  };
  out.single("process_start_time_seconds", Type::Gauge, "When the process started, since 1970 UTC.",
             process.start_time_seconds);
  out.single("process_cpu_seconds_total", Type::Counter,
             "Processor time of all threads, user and system.", process.cpu_seconds);
  gauge("process_resident_memory_bytes", "Resident memory.", process.resident_bytes);
  gauge("process_virtual_memory_bytes", "Address space.", process.virtual_bytes);
  gauge("process_threads", "Threads.", process.threads);
  gauge("process_open_fds", "File descriptors open now.", process.open_files);
  gauge("process_max_fds", "File descriptors that may be open.", process.open_files_max);
}

}  // namespace

std::string escape_label_value(std::string_view value) {
  std::string escaped;
  for (const char c : value) {
    switch (c) {
      case '\\': escaped += "\\\\"; break;
      case '"': escaped += "\\\""; break;
      case '\n': escaped += "\\n"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

std::string prometheus_text(const MetricsRegistry& registry,
                            const std::optional<ProcessStats>& process) {
  Exposition out;
  out.family("sluice_build_info", Type::Gauge, "Always 1; the label says which Sluice this is.");
  out.sample({{"version", registry.version()}}, "1");
  add_flows(out, "source", registry.sources(), source_flows);
  add_counters(out, "source", registry.sources(), source_counters);
  add_times(out, "source", registry.sources());
  add_flows(out, "channel", registry.channels(), channel_flows);
  add_counters(out, "channel", registry.channels(), channel_counters);
  add_capacities(out, registry.channels());
  add_times(out, "channel", registry.channels());
  add_flows(out, "sink", registry.sinks(), sink_flows);
  add_counters(out, "sink", registry.sinks(), sink_counters);
  add_times(out, "sink", registry.sinks());
  add_microbatches(out, registry.sinks());
  if (registry.results() != nullptr) add_results(out, *registry.results());
  add_memory(out, registry.accounts());
  if (process) add_process(out, *process);
  return std::move(out).finish();
}

}  // namespace sluice
