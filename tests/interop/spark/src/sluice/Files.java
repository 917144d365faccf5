package sluice;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.spark.WritableConverter;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import scala.Function0;
import scala.Tuple2;
import scala.reflect.ClassTag;

/** What is in a directory of files, by the calls that a program of Spark makes. */
final class Files {
  private Files() {}

  /**
   * count KIND PATH PARTS INTO: reads files in so many parts at least, where they can be cut. Answers RECORDS PARTS, and
   * writes a line WORD TAB COUNT for each word, sorted. Words stand between blanks, tabs, LF, VT, FF and CR; no other
   * character parts them.
   */
  static List<String> count(SparkSession spark, List<String> words) throws IOException {
    JavaRDD<String> records = read(spark, words.get(0), words.get(1), Integer.parseInt(words.get(2)));
    // In one pass: a record has the word "" in front of its own.
    SortedMap<String, Long> counts = new TreeMap<>(records
        .flatMap(text -> Stream.concat(Stream.of(""), wordsOf(text)).iterator())
        .mapToPair(word -> new Tuple2<>(word, 1L))
        .reduceByKey(Long::sum)
        .collectAsMap());
    Long count = counts.remove("");
    try (BufferedWriter out = java.nio.file.Files.newBufferedWriter(Path.of(words.get(3)))) {
      for (Map.Entry<String, Long> each : counts.entrySet()) {
        out.write(each.getKey() + "\t" + each.getValue() + "\n");
      }
    }
    return List.of((count == null ? 0 : count) + " " + records.getNumPartitions());
  }

  private static Stream<String> wordsOf(String text) {
    return Arrays.stream(text.split("[ \\t\\n\\x0B\\f\\r]+")).filter(word -> !word.isEmpty());
  }

  private static JavaRDD<String> read(SparkSession spark, String kind, String path, int parts) {
    switch (kind) {
      case "text":
        return spark.sparkContext().textFile(path, parts).toJavaRDD();
      case "Text":
        return sequence(spark, path, parts, String.class, WritableConverter.stringWritableConverterFn());
      case "Writable":
        return sequence(spark, path, parts, byte[].class, WritableConverter.bytesWritableConverterFn())
            .map(Files::text);
      case "avro":
        // These two cut files of Avro, where the others have a parameter.
        spark.conf().set("spark.sql.files.minPartitionNum", parts);
        spark.conf().set("spark.sql.files.openCostInBytes", 0);
        return avro(spark, path).map(row -> text(row.getAs("body")));
      default:
        throw new IllegalArgumentException("no such kind of files: " + kind);
    }
  }

  /** What sc.sequenceFile[Long, V](path) is in Scala: its compiler puts in the last four. */
  private static <V> JavaRDD<V> sequence(
      SparkSession spark, String path, int parts, Class<V> values, Function0<WritableConverter<V>> converter) {
    return spark.sparkContext().sequenceFile(path, parts, ClassTag.Long(), ClassTag.<V>apply(values),
        WritableConverter.longWritableConverterFn(), converter).toJavaRDD().map(Tuple2::_2);
  }

  private static JavaRDD<Row> avro(SparkSession spark, String path) {
    return spark.read().format("avro").load(path).javaRDD();
  }

  private static String text(byte[] body) {
    return new String(body, StandardCharsets.UTF_8);
  }

  /** headers KEY PATH: a line COUNT VALUE for each value that the header has in files of Avro. */
  static List<String> headers(SparkSession spark, List<String> words) {
    return spark.read().format("avro").load(words.get(1))
        .selectExpr("headers['" + words.get(0) + "'] as value").groupBy("value").count().collectAsList().stream()
        .map(row -> row.getLong(1) + " " + row.getString(0)).collect(Collectors.toList());
  }
}
