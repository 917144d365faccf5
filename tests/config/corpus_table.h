// Forty-odd real configurations, read by a person: the verdict, and one place with what stands
// there.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice {

struct CheckedByHand {
  const char* file;
  std::string_view verdict;  ///< Of the first agent.
  std::uint32_t line;
  std::uint32_t column;
  const char* message;  ///< Part of the message; empty: runs whole, the place of its source type.
};

inline constexpr CheckedByHand kCheckedByHand[] = {
    {"NikhilShrivastava__Apcahe-flume__netcat.conf", "runs", 7, 35, ""},
    {"Stratio__ingestion__conf_flume-conf.properties.conf", "runs", 29, 32, ""},
    {"Stratio__ingestion__examples_get-started_conf_flume-conf.conf", "runs", 7, 22, ""},
    {"hunter95671__Flume_job__file-flume-logger.conf", "runs", 7, 22, ""},
    {"viadeo__docker-flume__conf_flume_2.conf", "runs", 34, 33, ""},
    {"yuezhiyong__vagrant-setup__sh_flume_conf_exec_memeory_sink.conf", "runs", 5, 34, ""},
    {"0xqq__FlumeSpooldirToHdfs__flume.conf", "runs", 15, 30, "other than in Flume files"},
    {"2393494020__bigdata__flume_flume-conf.conf", "runs", 5, 31, ""},
    {"AlexKbit__bot-detector__flume_flume.conf", "runs", 19, 19,
     "'kafka.flumeBatchSize' is the old name of 'flumeBatchSize'"},
    {"Cloudera-Boot-Camps__blue-march-2017__flume_flume.conf", "runs without", 7, 24,
     "sink sink2 is listed, but nothing"},
    {"Cloudera-Boot-Camps__blue-march-2017__flume_kafka_channel.conf", "runs", 26, 25,
     "'auto.offset.reset' is the old name"},
    {"Cloudera-Boot-Camps__blue-march-2017__flume_kafkachhannel.conf", "runs", 8, 1,
     "property ignored: 'No'"},
    {"LP1991__flume-logs__conf_flume.conf", "runs without", 20, 1, "rollInterval' is set twice"},
    {"LzyLsq__flume-sqoop-source__flume_flume.conf", "runs without", 6, 22,
     "unknown source type 'com.wenchen.flume"},
    {"MakeUpForeverForMe__flume__flume-avro_sink.conf", "runs without", 23, 59,
     "interceptor type 'regex_extractor'"},
    {"MakeUpForeverForMe__flume__flume.conf", "runs without", 83, 1,
     "sink group g1 is configured, but not listed"},
    {"NikhilShrivastava__Apcahe-flume__seq_gen.conf", "runs", 11, 31, "other than in Flume files"},
    {"NikhilShrivastava__Apcahe-flume__spool.conf", "runs without", 2, 16,
     "sink dtasource1 is listed, but nothing"},
    {"Stratio__ingestion__detector_conf_flume-conf-local.conf", "not built yet", 25, 19,
     "StratioStreamingSink' of sink snk1"},
    {"Stratio__ingestion__detector_conf_flume-load-raw-conf.conf", "not built yet", 18, 6,
     "channels.checkpointDir"},
    {"Stratio__ingestion__examples_apache-logs_conf_flume-conf-elasticsearch.conf", "not built yet",
     44, 1, "channel decisionChannel is configured, but not listed"},
    {"Stratio__ingestion__examples_decision_conf_flume-conf.conf", "not built yet", 18, 56,
     "MorphlineInterceptor$Builder'"},
    {"Stratio__ingestion__examples_irc_conf_flume-conf.conf", "runs without", 7, 20,
     "unknown source type"},
    {"Stratio__ingestion__examples_jdbc_conf_flume-conf.conf", "not built yet", 33, 26,
     "${header.id:int} is not known"},
    {"Stratio__ingestion__examples_multiplexing_conf_flume-conf.conf", "not built yet", 18, 24,
     "unknown key 'intercepts.morphline.morphlineId'"},
    {"Stratio__ingestion__examples_orders-demo_conf_flume-agent1.conf", "runs without", 10, 1,
     "source spoolSource is configured, but not listed"},
    {"Stratio__ingestion__examples_orders-demo_conf_flume-agent2.conf", "runs without", 25, 59,
     "unknown interceptor type"},
    {"Stratio__ingestion__examples_orders-demo_conf_flume-morph.conf", "runs without", 21, 64,
     "MorphlineInterceptor$Builder'"},
    {"Stratio__ingestion__examples_orders_conf_flume-agent1.conf", "runs without", 25, 28,
     "StratioDecisionSink' of sink decisionSink"},
    {"Stratio__ingestion__examples_orders_conf_flume-agent2.conf", "runs without", 66, 32,
     "no source that runs writes to channel loggerChannel"},
    {"Stratio__ingestion__testsAT_src_test_resources_features_test0-REST_mongo_conf_flume-conf-"
     "mongo.conf",
     "nothing to run", 7, 30, "RestSource' of source followers"},
    {"Stratio__ingestion__testsAT_src_test_resources_features_test1-REST_Cassandra_conf_flume-conf-"
     "cassandra.conf",
     "nothing to run", 19, 18, "CassandraSink' of sink snk"},
    {"Stratio__ingestion__testsAT_src_test_resources_features_test5-Redis_HDFS_conf_flume-conf."
     "conf",
     "runs without", 25, 1, "hdfs-sink.channel' is set twice"},
    {"ahars__hdp-flume-sandbox__conf_flume_2.conf", "runs without", 26, 61,
     "interceptor type 'regex_extractor'"},
    {"ahars__hdp-flume-sandbox__local_conf_flume_5.conf", "runs without", 15, 25,
     "unknown key 'serializer' of sink dest_1_sk"},
    {"codeing__flume-Interceptor__flume.conf", "nothing to run", 14, 38,
     "TransformFieldsInterceptor$Builder'"},
    {"fanyunfeng__flume-agents__server_192.168.060.062.conf", "runs without", 10, 31,
     "unknown selector type"},
    {"gerrywen__flume-study__config_demo_flume-study-mysource.conf", "runs without", 15, 13,
     "unknown key 'sink.directory' of sink k1 (logger)"},
    {"hunter95671__Flume_job__dir-flume-hdfs.conf", "runs", 10, 1, "agent 'a3' has no list"},
    {"hunter95671__Flume_job__group3_flume1.conf", "runs", 8, 22, ""},
    {"jrnz__flume__conf_avrosource.conf", "runs", 49, 16, "'checkpointDir' has no meaning here"},
    {"jrnz__flume__conf_httpsource.conf", "not built yet", 38, 13,
     "unknown key 'hdfs.path' of sink k1"},
    {"kakiCode__docker-flume__docker_conf_flume.conf", "runs without", 13, 6, "sinks.kafka"},
    {"kakiCode__docker-flume__docker_percentage_files_flume.conf", "runs without", 11, 1,
     "sink percentages-file is configured, but not listed"},
    {"mross462__Flume-Elasticsearch__flume.conf", "runs without", 15, 18,
     "channel log_channel, is listed, but nothing"},
    {"petere__logging-hooks-presentation__flume-conf.conf", "runs without", 28, 1,
     "sink k1 is configured, but not listed"},
};

}  // namespace sluice
