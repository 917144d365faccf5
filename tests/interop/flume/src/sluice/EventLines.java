package sluice;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import org.apache.flume.Event;
import org.apache.flume.event.EventBuilder;

/**
 * An event as a line of text: the headers, a blank, the body. All in base64, a header as key:value, a comma between
 * two; so nothing that a header or a body may hold is lost or mistaken. peers/flume.py has the same for Python.
 */
final class EventLines {
  private EventLines() {}

  static String format(Event event) {
    StringBuilder line = new StringBuilder();
    for (Map.Entry<String, String> header : event.getHeaders().entrySet()) {
      if (line.length() > 0) {
        line.append(',');
      }
      line.append(encode(header.getKey())).append(':').append(encode(header.getValue()));
    }
    return line.append(' ').append(Base64.getEncoder().encodeToString(event.getBody())).toString();
  }

  static Event parse(String line) {
    int blank = line.indexOf(' ');
    Map<String, String> headers = new HashMap<>();
    if (blank > 0) {
      for (String header : line.substring(0, blank).split(",")) {
        int colon = header.indexOf(':');
        headers.put(decode(header.substring(0, colon)), decode(header.substring(colon + 1)));
      }
    }
    return EventBuilder.withBody(Base64.getDecoder().decode(line.substring(blank + 1)), headers);
  }

  private static String encode(String text) {
    return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
  }

  private static String decode(String text) {
    return new String(Base64.getDecoder().decode(text), StandardCharsets.UTF_8);
  }
}
