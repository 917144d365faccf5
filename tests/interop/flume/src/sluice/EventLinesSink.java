package sluice;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import org.apache.flume.Channel;
import org.apache.flume.Context;
import org.apache.flume.Event;
import org.apache.flume.EventDeliveryException;
import org.apache.flume.FlumeException;
import org.apache.flume.Transaction;
import org.apache.flume.conf.Configurable;
import org.apache.flume.sink.AbstractSink;

/**
 * A Flume sink: each event is a line at the end of `file`, written out before the transaction ends; one event a
 * transaction. With `gate` it takes nothing until that file exists. It waits in the channel only, so never long.
 */
public final class EventLinesSink extends AbstractSink implements Configurable {
  private Path file;
  private Path gate;
  private BufferedWriter lines;

  @Override
  public void configure(Context context) {
    file = Paths.get(context.getString("file"));
    gate = context.getString("gate") == null ? null : Paths.get(context.getString("gate"));
  }

  @Override
  public synchronized void start() {
    try {
      lines = Files.newBufferedWriter(file, StandardCharsets.US_ASCII, StandardOpenOption.CREATE,
          StandardOpenOption.APPEND);
    } catch (IOException error) {
      throw new FlumeException(error);
    }
    super.start();
  }

  @Override
  public Status process() throws EventDeliveryException {
    if (gate != null && !Files.exists(gate)) {
      return Status.BACKOFF;
    }
    Channel channel = getChannel();
    Transaction transaction = channel.getTransaction();
    transaction.begin();
    try {
      Event event = channel.take();
      if (event != null) {
        lines.append(EventLines.format(event)).append('\n');
        lines.flush();
      }
      transaction.commit();
      return Status.READY;
    } catch (IOException error) {
      transaction.rollback();
      throw new EventDeliveryException(error);
    } finally {
      transaction.close();
    }
  }

  @Override
  public synchronized void stop() {
    try {
      lines.close();
    } catch (IOException error) {
      throw new FlumeException(error);
    }
    super.stop();
  }
}
