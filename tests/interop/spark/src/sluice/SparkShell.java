package sluice;

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.spark.sql.SparkSession;

/**
 * Spark in one process for a whole test: SparkShell DIRECTORY, which it may fill. Reads commands from stdin, a line each,
 * the words of which are encoded as in a URL; answers each with lines that start with a blank, then with `ok` or
 * `error WHY`.
 */
public final class SparkShell {
  /** Gets the words behind the command's name, and gives the lines of its answer. */
  interface Command {
    List<String> run(SparkSession spark, List<String> words) throws Exception;
  }

  private static final Map<String, Command> COMMANDS = Map.of(
      "version", (spark, words) -> List.of(spark.version(), org.apache.hadoop.util.VersionInfo.getVersion()),
      "count", Files::count,
      "headers", Files::headers,
      "batches", Streams::batches,
      "socket", Streams::socket,
      "directory", Streams::directory,
      "windows", Queries::windows,
      "console", Queries::console,
      "sql", Queries::sql);

  /** What Spark prints: the other output is for answers. */
  private static final ByteArrayOutputStream PRINTED = new ByteArrayOutputStream();

  private SparkShell() {}

  public static void main(String[] arguments) throws Exception {
    PrintStream answers = System.out;
    // Before Scala's Console is loaded, which keeps what it finds.
    System.setOut(new PrintStream(PRINTED, true, StandardCharsets.UTF_8));
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try (SparkSession spark = start(arguments[0])) {
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        answers.print(answerTo(spark, line));
        answers.flush();
      }
    }
    System.exit(0);  // Threads of Spark would keep the process.
  }

  /** What a command printed goes into a file. */
  static void writePrinted(String path) throws IOException {
    try (OutputStream out = java.nio.file.Files.newOutputStream(Path.of(path))) {
      PRINTED.writeTo(out);
    }
  }

  private static SparkSession start(String directory) {
    SparkSession spark = SparkSession.builder().appName("sluice").master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.local.dir", directory)
        .config("spark.sql.warehouse.dir", directory + "/warehouse")
        // For some megabytes: its own default is 200 tasks a shuffle.
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.default.parallelism", "2")
        // To compile Java takes longer than what is asked here, and wants Arrow, which is not fetched.
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
        // Batches of streams end when a test says so, see Streams.
        .config("spark.streaming.clock", "org.apache.spark.util.ManualClock")
        .getOrCreate();
    spark.sparkContext().setLogLevel("ERROR");
    return spark;
  }

  private static String answerTo(SparkSession spark, String line) {
    List<String> words = new ArrayList<>();
    for (String word : line.split(" ")) {
      words.add(URLDecoder.decode(word, StandardCharsets.UTF_8));
    }
    PRINTED.reset();
    try {
      Command command = COMMANDS.get(words.get(0));
      if (command == null) {
        throw new IllegalArgumentException("no such command: " + words.get(0));
      }
      return command.run(spark, words.subList(1, words.size())).stream()
          .map(each -> " " + each + "\n").collect(Collectors.joining()) + "ok\n";
    } catch (Exception | LinkageError error) {
      return "error " + error.toString().replace('\n', ' ') + "\n";
    }
  }
}
