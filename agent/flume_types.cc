#include "agent/flume_types.h"

#include <array>

namespace sluice {
namespace {

constexpr ComponentInfo later(std::string_view alias, std::string_view class_name,
                              std::string_view meaning) {
  return {.alias = alias, .class_name = class_name, .meaning = meaning, .keys = {}, .built = false};
}

constexpr std::array kSources = {
    later("thrift", "org.apache.flume.source.ThriftSource", "Receives events over Thrift."),
    later("syslogtcp", "org.apache.flume.source.SyslogTcpSource", "Receives syslog over TCP."),
    later("syslogudp", "org.apache.flume.source.SyslogUDPSource", "Receives syslog over UDP."),
    later("multiport_syslogtcp", "org.apache.flume.source.MultiportSyslogTCPSource",
          "Receives syslog over TCP on several ports."),
    later("http", "org.apache.flume.source.http.HTTPSource", "Receives events by HTTP POST."),
    later("jms", "org.apache.flume.source.jms.JMSSource", "Reads a JMS queue or topic."),
    later("", "org.apache.flume.source.twitter.TwitterSource",
          "Read Twitter's sample stream, which exists no more."),
    later("", "org.apache.flume.source.scribe.ScribeSource", "Receives events over Scribe."),
    later("", "org.apache.flume.source.avroLegacy.AvroLegacySource",
          "Receives events from Flume 0.9 over Avro."),
    later("", "org.apache.flume.source.thriftLegacy.ThriftLegacySource",
          "Receives events from Flume 0.9 over Thrift."),
};

constexpr std::array kChannels = {
    later("jdbc", "org.apache.flume.channel.jdbc.JdbcChannel", "Keeps events in a database."),
    later("", "org.apache.flume.channel.PseudoTxnMemoryChannel",
          "A memory channel for tests, without real transactions."),
};

constexpr std::array kSinks = {
    later("thrift", "org.apache.flume.sink.ThriftSink", "Sends events over Thrift."),
    later("http", "org.apache.flume.sink.http.HttpSink", "Sends events by HTTP POST."),
    later("irc", "org.apache.flume.sink.irc.IRCSink", "Writes to an IRC channel."),
    later("kudu", "org.apache.flume.sink.kudu.KuduSink", "Writes to a Kudu table."),
    later("hbase", "org.apache.flume.sink.hbase.HBaseSink", "Writes to an HBase 1 table."),
    later("asynchbase", "org.apache.flume.sink.hbase.AsyncHBaseSink",
          "Writes to an HBase 1 table without waiting."),
    later("hbase2", "org.apache.flume.sink.hbase2.HBase2Sink", "Writes to an HBase 2 table."),
    later("hive", "org.apache.flume.sink.hive.HiveSink", "Writes to a Hive table."),
    later("elasticsearch", "org.apache.flume.sink.elasticsearch.ElasticSearchSink",
          "Writes to an Elasticsearch index."),
    later("morphline_solr", "org.apache.flume.sink.solr.morphline.MorphlineSolrSink",
          "Writes to a Solr index."),
    later("", "org.apache.flume.sink.kite.DatasetSink", "Writes to a Kite dataset."),
};

constexpr std::array kInterceptors = {
    later("search_replace", "org.apache.flume.interceptor.SearchAndReplaceInterceptor$Builder",
          "Replaces text in the body."),
    later("regex_extractor", "org.apache.flume.interceptor.RegexExtractorInterceptor$Builder",
          "Puts parts of the body into headers."),
    later("", "org.apache.flume.sink.solr.morphline.UUIDInterceptor$Builder",
          "Puts a random identifier into a header."),
    later("", "org.apache.flume.sink.solr.morphline.MorphlineInterceptor$Builder",
          "Changes events by a morphline."),
};

/// The catalog holds pointers, so that it can be put together from several places.
template <std::size_t N>
std::array<const ComponentInfo*, N> pointers(const std::array<ComponentInfo, N>& infos) {
  std::array<const ComponentInfo*, N> result{};
  for (std::size_t i = 0; i < N; ++i) result[i] = &infos[i];
  return result;
}

}  // namespace

Catalog flume_types_not_built() {
  static const auto sources = pointers(kSources);
  static const auto channels = pointers(kChannels);
  static const auto sinks = pointers(kSinks);
  static const auto interceptors = pointers(kInterceptors);
  return {sources, channels, sinks, interceptors};
}

}  // namespace sluice
