package sluice;

import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.apache.flume.Event;
import org.apache.flume.api.RpcClient;
import org.apache.flume.api.RpcClientFactory;

/**
 * Flume's SDK client: SendEvents PROPERTIES EVENTS CALL_SIZE. Sends the events of a file of lines, CALL_SIZE by one
 * appendBatch each, or with 0 each by an append. Says how many were acknowledged; exit status 1 if not all.
 */
public final class SendEvents {
  private SendEvents() {}

  public static void main(String[] arguments) throws Exception {
    Properties properties = new Properties();
    try (InputStream file = Files.newInputStream(Paths.get(arguments[0]))) {
      properties.load(file);
    }
    List<Event> events = new ArrayList<>();
    for (String line : Files.readAllLines(Paths.get(arguments[1]), StandardCharsets.US_ASCII)) {
      events.add(EventLines.parse(line));
    }
    int callSize = Integer.parseInt(arguments[2]);
    int acknowledged = 0;
    int status = 0;
    RpcClient client = null;
    try {
      client = RpcClientFactory.getInstance(properties);
      while (acknowledged < events.size()) {
        int size = Math.min(Math.max(callSize, 1), events.size() - acknowledged);
        if (callSize == 0) {
          client.append(events.get(acknowledged));
        } else {
          client.appendBatch(events.subList(acknowledged, acknowledged + size));
        }
        acknowledged += size;
      }
    } catch (Exception error) {
      error.printStackTrace();
      status = 1;
    }
    System.out.println("acknowledged " + acknowledged);
    System.out.flush();
    if (client != null) {
      client.close();
    }
    // Netty's threads would keep the process alive for a while.
    System.exit(status);
  }
}
