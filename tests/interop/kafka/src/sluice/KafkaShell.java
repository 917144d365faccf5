package sluice;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.InputStreamReader;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Kafka's own clients, one process for a whole test: KafkaShell BOOTSTRAP. Reads commands from stdin, a line each;
 * answers each with lines that start with a blank, then with `ok` or `error WHY`.
 */
public final class KafkaShell implements AutoCloseable {
  private final String bootstrap;
  private final Admin admin;
  private final List<String> answer = new ArrayList<>();

  private KafkaShell(String bootstrap) {
    this.bootstrap = bootstrap;
    this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
  }

  public static void main(String[] arguments) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try (KafkaShell shell = new KafkaShell(arguments[0])) {
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        System.out.print(shell.answerTo(line.split(" ")));
        System.out.flush();
      }
    }
  }

  @Override
  public void close() {
    admin.close(Duration.ZERO);
  }

  private String answerTo(String[] words) {
    answer.clear();
    String end = "ok";
    try {
      run(words[0], words);
    } catch (Exception error) {
      Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
      end = "error " + cause.toString().replace('\n', ' ');
    }
    return answer.stream().map(line -> " " + line + "\n").collect(Collectors.joining()) + end + "\n";
  }

  private void run(String command, String[] words) throws Exception {
    switch (command) {
      case "create":
        create(words);
        break;
      case "delete":
        admin.deleteTopics(List.of(words[1])).all().get();
        break;
      case "grow":
        admin.createPartitions(Map.of(words[1], NewPartitions.increaseTo(Integer.parseInt(words[2])))).all().get();
        break;
      case "set":
        set(words);
        break;
      case "topics":
        answer.addAll(admin.listTopics().names().get());
        break;
      case "describe":
        describe(words[1]);
        break;
      case "groups":
        groups();
        break;
      case "group":
        group(words[1]);
        break;
      case "members":
        answer.add("" + admin.describeConsumerGroups(List.of(words[1])).all().get().get(words[1]).members().size());
        break;
      case "ends":
        ends(words[1], words[2]);
        break;
      case "read":
        read(words[1], words[2], Path.of(words[3]));
        break;
      case "produce":
        produce(words[1], Path.of(words[2]), words);
        break;
      default:
        throw new IllegalArgumentException("no such command: " + command);
    }
  }

  /** The words key=value from that one on, the values encoded as in a URL. */
  private static Map<String, String> pairs(String[] words, int first) {
    Map<String, String> pairs = new HashMap<>();
    for (String word : Arrays.copyOfRange(words, first, words.length)) {
      String value = word.substring(word.indexOf('=') + 1);
      pairs.put(word.substring(0, word.indexOf('=')), URLDecoder.decode(value, StandardCharsets.UTF_8));
    }
    return pairs;
  }

  /** create TOPIC PARTITIONS REPLICATION [KEY=VALUE...] */
  private void create(String[] words) throws Exception {
    NewTopic topic = new NewTopic(words[1], Optional.of(Integer.valueOf(words[2])), Optional.of(Short.valueOf(words[3])));
    admin.createTopics(List.of(topic.configs(pairs(words, 4)))).all().get();
  }

  /** set TOPIC KEY=VALUE... */
  private void set(String[] words) throws Exception {
    Collection<AlterConfigOp> changes = new ArrayList<>();
    pairs(words, 2).forEach((key, value) ->
        changes.add(new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET)));
    admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.TOPIC, words[1]), changes)).all().get();
  }

  /** A line a partition: PARTITION LEADER REPLICAS IN_SYNC, the leader -1 for none. */
  private void describe(String topic) throws Exception {
    for (TopicPartitionInfo info : admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions()) {
      answer.add(info.partition() + " " + (info.leader() == null ? -1 : info.leader().id()) + " " + ids(info.replicas())
          + " " + ids(info.isr()));
    }
  }

  private static String ids(List<Node> nodes) {
    return nodes.stream().map(Node::idString).collect(Collectors.joining(","));
  }

  /** The names of all groups. What Kafka 4 has in the place of this call Kafka 3.9 has not. */
  @SuppressWarnings({"deprecation", "removal"})
  private void groups() throws Exception {
    admin.listConsumerGroups().all().get().forEach(each -> answer.add(each.groupId()));
  }

  /** A line a partition that a group committed: TOPIC PARTITION OFFSET METADATA. */
  private void group(String group) throws Exception {
    Map<TopicPartition, OffsetAndMetadata> offsets =
        admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
    offsets.forEach((partition, offset) -> answer.add(
        partition.topic() + " " + partition.partition() + " " + offset.offset() + " " + offset.metadata()));
  }

  private KafkaConsumer<byte[], byte[]> consumer(String isolation) {
    return new KafkaConsumer<>(Map.of("bootstrap.servers", bootstrap, "isolation.level", isolation, "enable.auto.commit", "false",
        "auto.offset.reset", "earliest"), new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  private static List<TopicPartition> partitions(KafkaConsumer<byte[], byte[]> consumer, String topic) {
    return consumer.partitionsFor(topic).stream().map(info -> new TopicPartition(topic, info.partition()))
        .sorted((a, b) -> a.partition() - b.partition()).collect(Collectors.toList());
  }

  /** ends TOPIC ISOLATION: a line a partition: PARTITION FIRST END. */
  private void ends(String topic, String isolation) {
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(isolation)) {
      List<TopicPartition> partitions = partitions(consumer, topic);
      Map<TopicPartition, Long> first = consumer.beginningOffsets(partitions);
      Map<TopicPartition, Long> end = consumer.endOffsets(partitions);
      for (TopicPartition each : partitions) {
        answer.add(each.partition() + " " + first.get(each) + " " + end.get(each));
      }
    }
  }

  /** read TOPIC ISOLATION FILE: all records that are there now, as lines; answers with their number. */
  private void read(String topic, String isolation, Path file) throws Exception {
    long count = 0;
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(isolation);
        BufferedWriter out = Files.newBufferedWriter(file, StandardCharsets.US_ASCII)) {
      List<TopicPartition> partitions = partitions(consumer, topic);
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> end = consumer.endOffsets(partitions);
      while (partitions.stream().anyMatch(each -> consumer.position(each) < end.get(each))) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
          if (record.offset() < end.get(new TopicPartition(topic, record.partition()))) {
            out.write(RecordLines.format(record));
            out.write('\n');
            ++count;
          }
        }
      }
    }
    answer.add("" + count);
  }

  /**
   * produce TOPIC FILE [KEY=VALUE...]: the file's records, in its order; the keys are the producer's. With a
   * transactional.id all of it is a transaction, which `end=abort` aborts and `end=none` leaves open.
   */
  private void produce(String topic, Path file, String[] words) throws Exception {
    Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "acks", "all"));
    settings.putAll(pairs(words, 3));
    Object end = settings.remove("end");
    boolean transaction = settings.containsKey("transactional.id");
    List<Future<?>> sent = new ArrayList<>();
    try (KafkaProducer<byte[], byte[]> producer =
        new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
      if (transaction) {
        producer.initTransactions();
        producer.beginTransaction();
      }
      for (String line : Files.readAllLines(file, StandardCharsets.US_ASCII)) {
        sent.add(producer.send(RecordLines.parse(topic, line)));
      }
      producer.flush();
      for (Future<?> each : sent) {
        each.get();
      }
      if (transaction && end == null) {
        producer.commitTransaction();
      } else if ("abort".equals(end)) {
        producer.abortTransaction();
      }
    }
    answer.add("" + sent.size());
  }
}
