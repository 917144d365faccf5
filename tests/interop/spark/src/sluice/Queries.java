package sluice;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.window;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.execution.streaming.MemoryStream;
import org.apache.spark.sql.streaming.DataStreamWriter;
import org.apache.spark.sql.streaming.StreamingQuery;
import scala.Option;
import scala.collection.JavaConverters;

/** SQL over files, and Structured Streaming over files that come one after the other. */
final class Queries {
  private Queries() {}

  /** sql PATH STATEMENT INTO: asks the view `lines`, of a column `value`, which are the lines of a file; INTO gets JSON. */
  static List<String> sql(SparkSession spark, List<String> words) throws IOException {
    spark.read().text(words.get(0)).createOrReplaceTempView("lines");
    // Dataset.toJSON() wants Arrow, which is not fetched.
    List<String> rows = spark.sql(words.get(1)).selectExpr("to_json(struct(*))").as(Encoders.STRING()).collectAsList();
    java.nio.file.Files.write(Path.of(words.get(2)), rows);
    return List.of();
  }

  /**
   * windows FOLDER LENGTH SLIDE DELAY INTO: counts by window of event time and key in append mode. A file is a batch, and
   * Spark makes one without data behind it; its lines are TIME,KEY. INTO gets lines BATCH START END KEY COUNT, times in
   * milliseconds.
   */
  static List<String> windows(SparkSession spark, List<String> words) throws Exception {
    MemoryStream<String> lines = stream(spark);
    Dataset<Row> counts = lines.toDF()
        .selectExpr("timestamp_millis(cast(split(value, ',')[0] as bigint)) as time", "split(value, ',')[1] as key")
        .withWatermark("time", words.get(3) + " milliseconds")
        .groupBy(window(col("time"),
            words.get(1) + " milliseconds", words.get(2) + " milliseconds"), col("key"))
        .count()
        .selectExpr("unix_millis(window.start) as start", "unix_millis(window.end) as end", "key", "count");
    List<String> found = Collections.synchronizedList(new ArrayList<>());
    DataStreamWriter<Row> writer = counts.writeStream().outputMode("append").foreachBatch((rows, id) -> {
      for (Row row : rows.collectAsList()) {
        found.add(row.getLong(0) + " " + row.getLong(1) + " " + row.getString(2) + " " + row.getLong(3));
      }
    });
    List<String> out = new ArrayList<>();
    feed(writer, lines, Path.of(words.get(0)), batch -> {
      found.forEach(row -> out.add(batch + " " + row));
      found.clear();
    });
    java.nio.file.Files.write(Path.of(words.get(4)), out);
    return List.of();
  }

  /** console FOLDER STATEMENT MODE ROWS INTO: a query of the view `lines` to the console; INTO gets what was printed. */
  static List<String> console(SparkSession spark, List<String> words) throws Exception {
    MemoryStream<String> lines = stream(spark);
    lines.toDF().createOrReplaceTempView("lines");
    DataStreamWriter<Row> writer = spark.sql(words.get(1)).writeStream().outputMode(words.get(2)).format("console")
        .option("numRows", words.get(3));
    feed(writer, lines, Path.of(words.get(0)), batch -> { });
    SparkShell.writePrinted(words.get(4));
    return List.of();
  }

  private static MemoryStream<String> stream(SparkSession spark) {
    return new MemoryStream<>(1, spark.sqlContext(), Option.empty(), Encoders.STRING());
  }

  /** Behind each batch. */
  private interface Done {
    void run(int batch);
  }

  /** The files of a folder, in the order of their names. */
  private static void feed(DataStreamWriter<Row> writer, MemoryStream<String> lines, Path folder, Done done) throws Exception {
    List<Path> paths;
    try (Stream<Path> files = java.nio.file.Files.list(folder)) {
      paths = files.sorted().collect(Collectors.toList());
    }
    // A part is a file of state a batch.
    SparkSession.active().conf().set("spark.sql.shuffle.partitions", 1);
    StreamingQuery query = writer.start();
    try {
      for (int batch = 0; batch < paths.size(); ++batch) {
        List<String> content = java.nio.file.Files.readAllLines(paths.get(batch));
        lines.addData(JavaConverters.asScalaBuffer(content));
        query.processAllAvailable();
        done.run(batch);
      }
    } finally {
      query.stop();
    }
  }
}
