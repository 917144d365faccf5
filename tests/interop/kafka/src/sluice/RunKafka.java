package sluice;

import java.nio.file.Files;
import java.nio.file.Path;

/** A node in one process: RunKafka PROPERTIES CLUSTER_ID LOG_DIR [SCRAM...]. Formats LOG_DIR if nobody did, then runs. */
public final class RunKafka {
  private RunKafka() {}

  public static void main(String[] arguments) throws Exception {
    if (!Files.exists(Path.of(arguments[2], "meta.properties"))) {
      String[] scram = new String[2 * (arguments.length - 3)];
      for (int i = 3; i < arguments.length; ++i) {
        scram[2 * (i - 3)] = "--add-scram";
        scram[2 * (i - 3) + 1] = arguments[i];
      }
      String[] format = {"format", "--config", arguments[0], "--cluster-id", arguments[1]};
      String[] all = java.util.Arrays.copyOf(format, format.length + scram.length);
      System.arraycopy(scram, 0, all, format.length, scram.length);
      if (kafka.tools.StorageTool.execute(all, System.err) != 0) {
        System.exit(1);
      }
    }
    kafka.Kafka.main(new String[] {arguments[0]});
  }
}
