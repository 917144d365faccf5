package sluice;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import org.apache.flume.ChannelException;
import org.apache.flume.Context;
import org.apache.flume.Event;
import org.apache.flume.EventDeliveryException;
import org.apache.flume.FlumeException;
import org.apache.flume.source.AbstractPollableSource;

/** A Flume source: the events of `file`, once, `batchSize` in a transaction; a batch that is refused comes again. */
public final class EventLinesSource extends AbstractPollableSource {
  private Path file;
  private int batchSize;
  private BufferedReader lines;
  private final List<Event> batch = new ArrayList<>();

  @Override
  protected void doConfigure(Context context) {
    file = Paths.get(context.getString("file"));
    batchSize = context.getInteger("batchSize", 100);
  }

  @Override
  protected void doStart() {
    try {
      lines = Files.newBufferedReader(file, StandardCharsets.US_ASCII);
    } catch (IOException error) {
      throw new FlumeException(error);
    }
  }

  @Override
  protected Status doProcess() throws EventDeliveryException {
    try {
      String line;
      while (batch.size() < batchSize && (line = lines.readLine()) != null) {
        batch.add(EventLines.parse(line));
      }
    } catch (IOException error) {
      throw new EventDeliveryException(error);
    }
    if (batch.isEmpty()) {
      return Status.BACKOFF;
    }
    try {
      getChannelProcessor().processEventBatch(batch);
    } catch (ChannelException full) {
      return Status.BACKOFF;
    }
    batch.clear();
    return Status.READY;
  }

  @Override
  protected void doStop() {
    try {
      lines.close();
    } catch (IOException error) {
      throw new FlumeException(error);
    }
  }
}
