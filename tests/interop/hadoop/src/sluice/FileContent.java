package sluice;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Base64;
import org.apache.avro.file.DataFileReader;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.AvroFSInput;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.io.BytesWritable;
import org.apache.hadoop.io.LongWritable;
import org.apache.hadoop.io.SequenceFile;
import org.apache.hadoop.io.Text;
import org.apache.hadoop.io.Writable;
import org.apache.hadoop.io.compress.CompressionCodec;
import org.apache.hadoop.io.compress.CompressionCodecFactory;
import org.apache.hadoop.util.ReflectionUtils;

/** What is in a file, by the readers that `hadoop fs -text` and MapReduce take for it. */
final class FileContent {
  private FileContent() {}

  /**
   * Of a SequenceFile a line a record, KEY VALUE, the value in base64; of an Avro container a line of JSON a record; of what else
   * there is its bytes, decompressed if the file's name says by what. Says in a line how it was read.
   */
  static String write(FileSystem files, Path path, Configuration conf, java.nio.file.Path into) throws Exception {
    byte[] magic = new byte[3];
    try (InputStream in = files.open(path)) {
      in.readNBytes(magic, 0, magic.length);
    }
    try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(into))) {
      switch (new String(magic, StandardCharsets.ISO_8859_1)) {
        case "SEQ":
          return sequence(path, conf, out);
        case "Obj":
          return avro(files, path, out);
        default:
          return stream(files, path, conf, out);
      }
    }
  }

  private static String sequence(Path path, Configuration conf, OutputStream out) throws IOException {
    try (SequenceFile.Reader reader = new SequenceFile.Reader(conf, SequenceFile.Reader.file(path))) {
      LongWritable key = new LongWritable();
      Writable value = (Writable) ReflectionUtils.newInstance(reader.getValueClass(), conf);
      while (reader.next(key, value)) {
        out.write((key.get() + " " + Base64.getEncoder().encodeToString(bytes(value)) + "\n").getBytes(StandardCharsets.US_ASCII));
      }
      return "sequence " + reader.getCompressionType() + " " + name(reader.getCompressionCodec()) + " "
          + reader.getKeyClass().getSimpleName() + " " + value.getClass().getSimpleName();
    }
  }

  private static byte[] bytes(Writable value) {
    return value instanceof Text ? ((Text) value).copyBytes() : ((BytesWritable) value).copyBytes();
  }

  private static String avro(FileSystem files, Path path, OutputStream out) throws IOException {
    try (DataFileReader<GenericRecord> reader = new DataFileReader<>(
        new AvroFSInput(files.open(path), files.getFileStatus(path).getLen()), new GenericDatumReader<GenericRecord>())) {
      while (reader.hasNext()) {
        out.write((reader.next() + "\n").getBytes(StandardCharsets.UTF_8));
      }
      return "avro " + reader.getMetaString("avro.codec") + " " + reader.getSchema().getFullName();
    }
  }

  private static String stream(FileSystem files, Path path, Configuration conf, OutputStream out) throws IOException {
    CompressionCodec codec = new CompressionCodecFactory(conf).getCodec(path);
    try (FSDataInputStream plain = files.open(path);
        InputStream in = codec == null ? plain : codec.createInputStream(plain)) {
      in.transferTo(out);
    }
    return "stream " + name(codec);
  }

  private static String name(CompressionCodec codec) {
    return codec == null ? "none" : codec.getClass().getSimpleName();
  }
}
