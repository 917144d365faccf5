package sluice;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/**
 * A record as a line of text: partition, offset, timestamp, key, headers, value. Key, header values and value are in
 * base64 or `-` for null, header names in base64; a header is name:value, a comma between two, `-` for none. To send, partition
 * and timestamp may be `-`, and the offset is not looked at. peers/kafka.py has the same for Python.
 */
final class RecordLines {
  private RecordLines() {}

  static String format(ConsumerRecord<byte[], byte[]> record) {
    StringBuilder line = new StringBuilder();
    line.append(record.partition()).append(' ').append(record.offset()).append(' ').append(record.timestamp());
    line.append(' ').append(encode(record.key())).append(' ');
    int start = line.length();
    for (Header header : record.headers()) {
      if (line.length() > start) {
        line.append(',');
      }
      line.append(encode(header.key().getBytes(StandardCharsets.UTF_8))).append(':').append(encode(header.value()));
    }
    if (line.length() == start) {
      line.append('-');
    }
    return line.append(' ').append(encode(record.value())).toString();
  }

  static ProducerRecord<byte[], byte[]> parse(String topic, String line) {
    String[] words = line.split(" ", -1);
    List<Header> headers = new ArrayList<>();
    if (!words[4].equals("-")) {
      for (String header : words[4].split(",")) {
        int colon = header.indexOf(':');
        headers.add(new RecordHeader(
            new String(decode(header.substring(0, colon)), StandardCharsets.UTF_8), decode(header.substring(colon + 1))));
      }
    }
    return new ProducerRecord<>(topic, words[0].equals("-") ? null : Integer.valueOf(words[0]),
        words[2].equals("-") ? null : Long.valueOf(words[2]), decode(words[3]), decode(words[5]), headers);
  }

  private static String encode(byte[] content) {
    return content == null ? "-" : Base64.getEncoder().encodeToString(content);
  }

  private static byte[] decode(String word) {
    return word.equals("-") ? null : Base64.getDecoder().decode(word);
  }
}
