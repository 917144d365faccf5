package sluice;

import java.io.IOException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.spark.HashPartitioner;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.Optional;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.streaming.Duration;
import org.apache.spark.streaming.State;
import org.apache.spark.streaming.StateSpec;
import org.apache.spark.streaming.api.java.JavaDStream;
import org.apache.spark.streaming.api.java.JavaMapWithStateDStream;
import org.apache.spark.streaming.api.java.JavaPairDStream;
import org.apache.spark.streaming.api.java.JavaStreamingContext;
import org.apache.spark.streaming.scheduler.StreamingListener;
import org.apache.spark.streaming.scheduler.StreamingListenerBatchCompleted;
import org.apache.spark.util.ManualClock;
import scala.Tuple2;
import scala.Tuple4;

/** Programs of Spark Streaming as its guide has them, over batches that a test has made; what they print is what they say. */
@SuppressWarnings("deprecation")  // Spark's own word for all of Spark Streaming.
final class Streams {
  private static final int ALL = 1_000_000;
  private static final long PATIENCE_S = 100;
  private static final Set<String> WANT_CHECKPOINTS = Set.of("inverse", "lines-in-window", "running", "idle", "changes");

  private Streams() {}

  /**
   * batches FOLDER INTERVAL SLIDE INTO PROGRAM NUMBER...: runs a program over the files of a folder. A file is a batch,
   * its name ends in the batch's time, and each of its lines is a record; batches that have no file are empty. The first
   * one is one in which windows of that slide end. INTO gets what was printed.
   */
  static List<String> batches(SparkSession spark, List<String> words) throws Exception {
    TreeMap<Long, List<String>> content = read(Path.of(words.get(0)));
    long interval = Long.parseLong(words.get(1));
    long slide = Long.parseLong(words.get(2));
    long zero = (content.firstKey() - interval) / slide * slide;
    try (Run run = new Run(spark, interval, zero)) {
      Queue<JavaRDD<String>> queue = new ArrayDeque<>();
      for (long time = zero + interval; time <= content.lastKey(); time += interval) {
        queue.add(run.spark.parallelize(content.getOrDefault(time, List.of()), 1));
      }
      if (WANT_CHECKPOINTS.contains(words.get(4))) {
        run.context.checkpoint(java.nio.file.Files.createTempDirectory("checkpoints").toString());
      }
      JavaDStream<String> lines = run.context.queueStream(queue, true);
      define(words.get(4), lines, words.subList(5, words.size()).stream().map(Long::valueOf).collect(Collectors.toList()));
      // A batch in which no window ends would not be told of when it is complete: it has no job.
      lines.foreachRDD(records -> { });
      run.until(content.lastKey());
    }
    SparkShell.writePrinted(words.get(3));
    return List.of();
  }

  private static TreeMap<Long, List<String>> read(Path folder) throws IOException {
    TreeMap<Long, List<String>> content = new TreeMap<>();
    try (Stream<Path> files = java.nio.file.Files.list(folder)) {
      for (Path file : files.collect(Collectors.toList())) {
        String name = file.getFileName().toString();
        String text = java.nio.file.Files.readString(file);
        // Every line ends in a line feed, so behind the last one there is none.
        List<String> lines = new ArrayList<>(Arrays.asList(text.split("\n", -1)));
        lines.remove(lines.size() - 1);
        content.put(Long.valueOf(name.substring(name.lastIndexOf('-') + 1)), lines);
      }
    }
    return content;
  }

  /** socket PORT INTERVAL LINES INTO: counts words of socketTextStream() until so many lines have come. */
  static List<String> socket(SparkSession spark, List<String> words) throws Exception {
    try (Run run = new Run(spark, Long.parseLong(words.get(1)), System.currentTimeMillis())) {
      JavaDStream<String> lines = run.context.socketTextStream("127.0.0.1", Integer.parseInt(words.get(0)));
      pairs(lines).reduceByKey(Integer::sum).print(ALL);
      run.untilCame(lines, Long.parseLong(words.get(2)), () -> { });
    }
    SparkShell.writePrinted(words.get(3));
    return List.of();
  }

  /**
   * directory FOLDER NEW INTERVAL LINES INTO: counts words of textFileStream(), to which a new file is moved after the
   * third batch, until so many lines have come.
   */
  static List<String> directory(SparkSession spark, List<String> words) throws Exception {
    Path file = Path.of(words.get(1));
    try (Run run = new Run(spark, Long.parseLong(words.get(2)), System.currentTimeMillis())) {
      JavaDStream<String> lines = run.context.textFileStream("file://" + words.get(0));
      pairs(lines).reduceByKey(Integer::sum).print(ALL);
      AtomicLong batch = new AtomicLong();
      run.untilCame(lines, Long.parseLong(words.get(3)), () -> {
        if (batch.incrementAndGet() == 3) {
          java.nio.file.Files.setLastModifiedTime(
              file, FileTime.fromMillis(run.clock().getTimeMillis() + 1));
          java.nio.file.Files.move(file, Path.of(words.get(0)).resolve(file.getFileName()), StandardCopyOption.ATOMIC_MOVE);
        }
      });
    }
    SparkShell.writePrinted(words.get(4));
    return List.of();
  }

  // The programs

  private static void define(String program, JavaDStream<String> lines, List<Long> numbers) {
    switch (program) {
      case "lines":
        lines.print();
        break;
      case "words":
        words(lines).print();
        break;
      case "pairs":
        pairs(lines).print();
        break;
      case "values":
        lines.map(Streams::values).print(ALL);
        break;
      case "count":
        pairs(lines).reduceByKey(Integer::sum).print(ALL);
        break;
      case "ascii":
        lines.flatMap(line -> Arrays.asList(line.toLowerCase().split("\\W+")).iterator()).filter(word -> !word.isEmpty())
            .mapToPair(word -> new Tuple2<>(word, 1)).reduceByKey(Integer::sum).print(ALL);
        break;
      case "window":
        pairs(lines).reduceByKeyAndWindow(Integer::sum, new Duration(numbers.get(0)), new Duration(numbers.get(1))).print(ALL);
        break;
      case "inverse":
        pairs(lines).reduceByKeyAndWindow(Integer::sum, (a, b) -> a - b, new Duration(numbers.get(0)),
            new Duration(numbers.get(1)), 2, pair -> pair._2() != 0).print(ALL);
        break;
      case "longest":
        // Java's characters are halves where ours are whole.
        words(lines).mapToPair(word -> new Tuple2<>(
                word.codePoints().limit(1).mapToObj(Character::toString).collect(Collectors.joining()),
                word.codePointCount(0, word.length())))
            .reduceByKeyAndWindow(Math::max, new Duration(numbers.get(0)), new Duration(numbers.get(1))).print(ALL);
        break;
      case "lines-in-window":
        lines.countByWindow(new Duration(numbers.get(0)), new Duration(numbers.get(1))).print();
        break;
      case "running":
        running(pairs(lines)).print(ALL);
        break;
      case "idle":
        idle(pairs(lines), numbers.get(0)).print(ALL);
        break;
      case "changes":
        changes(pairs(lines), numbers.get(0), numbers.get(1));
        break;
      default:
        throw new IllegalArgumentException("no such program: " + program);
    }
  }

  private static JavaDStream<String> words(JavaDStream<String> lines) {
    return lines.flatMap(line -> Arrays.asList(line.split(" ")).iterator());
  }

  private static JavaPairDStream<String, Integer> pairs(JavaDStream<String> lines) {
    return words(lines).mapToPair(word -> new Tuple2<>(word, 1));
  }

  /** text,long,double,boolean; an empty field is null. */
  private static Tuple4<String, Long, Double, Boolean> values(String line) {
    String[] fields = line.split(",", -1);
    return new Tuple4<>(fields[0].isEmpty() ? null : fields[0], fields[1].isEmpty() ? null : Long.valueOf(fields[1]),
        fields[2].isEmpty() ? null : Double.valueOf(fields[2]), fields[3].isEmpty() ? null : Boolean.valueOf(fields[3]));
  }

  /** stateful_network_wordcount of the examples: it begins with some words. */
  private static JavaPairDStream<String, Integer> running(JavaPairDStream<String, Integer> pairs) {
    JavaSparkContext spark = JavaSparkContext.fromSparkContext(pairs.context().sparkContext());
    JavaPairRDD<String, Integer> initial = spark.parallelizePairs(List.of(new Tuple2<>("hello", 1), new Tuple2<>("world", 1)));
    return pairs.updateStateByKey(
        (List<Integer> values, Optional<Integer> state) ->
            Optional.of(state.orElse(0) + values.stream().mapToInt(Integer::intValue).sum()),
        new HashPartitioner(2), initial);
  }

  /** A key that did not come in so many batches goes. */
  private static JavaPairDStream<String, Integer> idle(JavaPairDStream<String, Integer> pairs, long batches) {
    return pairs.updateStateByKey((List<Integer> values, Optional<Tuple2<Integer, Integer>> state) -> {
      int idle = values.isEmpty() ? state.get()._2() + 1 : 0;
      int sum = (state.isPresent() ? state.get()._1() : 0) + values.stream().mapToInt(Integer::intValue).sum();
      return idle >= batches ? Optional.<Tuple2<Integer, Integer>>empty() : Optional.of(new Tuple2<>(sum, idle));
    }).mapValues(Tuple2::_1);
  }

  /** A key goes when it did not come for so long; it is told once more then. */
  private static void changes(JavaPairDStream<String, Integer> pairs, long timeout, long interval) {
    JavaMapWithStateDStream<String, Integer, Integer, Tuple2<String, Integer>> stream =
        pairs.reduceByKey(Integer::sum).mapWithState(StateSpec.function(Streams::update).timeout(new Duration(timeout)));
    // Only where it makes a checkpoint Spark looks for such keys, which is every tenth batch of itself.
    stream.checkpoint(new Duration(interval));
    stream.print(ALL);
  }

  private static Tuple2<String, Integer> update(String word, Optional<Integer> count, State<Integer> state) {
    int sum = count.orElse(0) + (state.exists() ? state.get() : 0);
    if (!state.isTimingOut()) {
      state.update(sum);
    }
    return new Tuple2<>(word, sum);
  }

  // Running them

  /** Something that may fail. */
  private interface Action {
    void run() throws Exception;
  }

  /** A context of streams, the clock of which stands still but for until(). */
  private static final class Run implements AutoCloseable {
    final JavaSparkContext spark;
    final JavaStreamingContext context;
    private final long interval;
    private final long zero;

    Run(SparkSession session, long interval, long start) {
      spark = JavaSparkContext.fromSparkContext(session.sparkContext());
      context = new JavaStreamingContext(spark, new Duration(interval));
      this.interval = interval;
      zero = start / interval * interval;
      clock().setTime(zero);
    }

    ManualClock clock() {
      return (ManualClock) context.ssc().scheduler().clock();
    }

    /** Begins, and makes all batches up to that time. */
    void until(long time) throws Exception {
      CountDownLatch left = completed((int) ((time - zero) / interval));
      context.start();
      clock().setTime(time);
      await(left);
    }

    /** Begins, and makes one batch after the other until so many records came. */
    void untilCame(JavaDStream<String> stream, long wanted, Action before) throws Exception {
      // In one process tasks see what the program sees.
      COUNTED.set(0);
      stream.foreachRDD(records -> {
        COUNTED.addAndGet(records.count());
      });
      context.start();
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_S);
      while (COUNTED.get() < wanted && System.nanoTime() < end) {
        before.run();
        CountDownLatch one = completed(1);
        clock().advance(interval);
        await(one);
      }
      if (COUNTED.get() != wanted) {
        throw new IllegalStateException("so many records came: " + COUNTED.get());
      }
    }

    private CountDownLatch completed(int batches) {
      CountDownLatch left = new CountDownLatch(batches);
      context.addStreamingListener(new StreamingListener() {
        @Override
        public void onBatchCompleted(StreamingListenerBatchCompleted batch) {
          left.countDown();
        }
      });
      return left;
    }

    /** Throws what a batch threw. */
    private void await(CountDownLatch left) throws Exception {
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_S);
      while (!left.await(20, TimeUnit.MILLISECONDS)) {
        context.awaitTerminationOrTimeout(1);
        if (System.nanoTime() > end) {
          throw new IllegalStateException("batches that are missing: " + left.getCount());
        }
      }
    }

    @Override
    public void close() {
      context.stop(false, false);
    }
  }

  private static final AtomicLong COUNTED = new AtomicLong();
}
