"""Flume's Kafka components as configurations, which both Flume and our agent read."""

CHANNEL = "capacity = 30000\ntransactionCapacity = 10000\n"


def kafka_sink(cluster, topic, more="", listener="PLAINTEXT"):
    return "type = org.apache.flume.sink.kafka.KafkaSink\nkafka.bootstrap.servers = %s\nkafka.topic = %s\n%s" % (
        cluster.bootstrap(listener), topic, more)


def kafka_source(cluster, topics, more="", listener="PLAINTEXT"):
    """From the beginning of the topics."""
    return ("type = org.apache.flume.source.kafka.KafkaSource\nkafka.bootstrap.servers = %s\nkafka.topics = %s\n"
            "kafka.consumer.auto.offset.reset = earliest\n%s" % (cluster.bootstrap(listener), topics, more))


def kafka_channel(cluster, topic, more="", listener="PLAINTEXT"):
    return "kafka.bootstrap.servers = %s\nkafka.topic = %s\nkafka.consumer.auto.offset.reset = earliest\n%s" % (
        cluster.bootstrap(listener), topic, more)


def through_kafka_channel(text):
    """A flow whose channel c1 is Flume's Kafka channel instead of a memory channel."""
    return text.replace("c1.type = memory", "c1.type = org.apache.flume.channel.kafka.KafkaChannel")
