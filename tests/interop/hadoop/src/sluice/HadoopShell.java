package sluice;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.security.PrivilegedExceptionAction;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.fs.SafeModeAction;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.hdfs.DistributedFileSystem;
import org.apache.hadoop.hdfs.MiniDFSCluster;
import org.apache.hadoop.hdfs.MiniDFSNNTopology;
import org.apache.hadoop.hdfs.protocol.OpenFileEntry;
import org.apache.hadoop.hdfs.protocol.OpenFilesIterator.OpenFilesType;
import org.apache.hadoop.hdfs.security.token.delegation.DelegationTokenIdentifier;
import org.apache.hadoop.hdfs.server.datanode.DataNode;
import org.apache.hadoop.minikdc.MiniKdc;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.security.token.Token;

/**
 * Hadoop's own HDFS and its own readers, one process for a whole test. Reads commands from stdin, a line each, the words of
 * which are encoded as in a URL; answers each with lines that start with a blank, then with `ok` or `error WHY`.
 */
public final class HadoopShell {
  private final List<String> answer = new ArrayList<>();
  private final List<String> datanodes = new ArrayList<>();
  private final Map<String, MiniDFSCluster.DataNodeProperties> stopped = new HashMap<>();
  private final Configuration conf = new Configuration();
  private MiniKdc kdc;
  private MiniDFSCluster cluster;
  private int active;

  private HadoopShell() {}

  public static void main(String[] arguments) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    HadoopShell shell = new HadoopShell();
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      System.out.print(shell.answerTo(decode(line.split(" "))));
      System.out.flush();
    }
    System.exit(0);  // Threads of HDFS would keep the process.
  }

  private static String[] decode(String[] words) {
    String[] plain = new String[words.length];
    for (int i = 0; i < words.length; ++i) {
      plain[i] = URLDecoder.decode(words[i], StandardCharsets.UTF_8);
    }
    return plain;
  }

  private static String encode(String word) {
    return URLEncoder.encode(word, StandardCharsets.UTF_8);
  }

  private String answerTo(String[] words) {
    answer.clear();
    String end = "ok";
    try {
      run(words[0], words);
    } catch (Exception | LinkageError error) {
      end = "error " + error.toString().replace('\n', ' ');
    }
    return answer.stream().map(line -> " " + line + "\n").collect(Collectors.joining()) + end + "\n";
  }

  private void run(String command, String[] words) throws Exception {
    switch (command) {
      case "kerberos":
        kerberos(new File(words[1]), Arrays.copyOfRange(words, 2, words.length));
        break;
      case "site":
        // Hadoop looks for its files with it: those of this folder are found.
        Thread.currentThread().setContextClassLoader(new URLClassLoader(new URL[] {new File(words[1]).toURI().toURL()}));
        conf.setClassLoader(Thread.currentThread().getContextClassLoader());
        break;
      case "token":
        token(words[1], words[2]);
        break;
      case "cancel":
        cancel(words[1]);
        break;
      case "start":
        start(words);
        break;
      case "datanodes":
        for (DataNode each : cluster.getDataNodes()) {
          answer.add(each.getInfoPort() + "");
        }
        break;
      case "kill-datanode":
        stopped.put(words[1], cluster.stopDataNode(datanodes.get(Integer.parseInt(words[1]))));
        break;
      case "restart-datanode":
        cluster.restartDataNode(stopped.remove(words[1]), true);
        cluster.waitDatanodeFullyStarted(cluster.getDataNodes().get(cluster.getDataNodes().size() - 1), 30_000);
        break;
      case "kill-namenode":
        cluster.shutdownNameNode(Integer.parseInt(words[1]));
        break;
      case "restart-namenode":
        restartNamenode(Integer.parseInt(words[1]));
        break;
      case "activate":
        cluster.transitionToActive(active = Integer.parseInt(words[1]));
        break;
      case "stand-by":
        cluster.transitionToStandby(Integer.parseInt(words[1]));
        break;
      case "safe-mode":
        files().setSafeMode(words[1].equals("on") ? SafeModeAction.ENTER : SafeModeAction.LEAVE);
        break;
      case "mkdirs":
        answer.add("" + files().mkdirs(new Path(words[1])));
        break;
      case "delete":
        answer.add("" + files().delete(new Path(words[1]), true));
        break;
      case "chmod":
        files().setPermission(new Path(words[2]), new FsPermission(words[1]));
        break;
      case "chown":
        files().setOwner(new Path(words[3]), words[1], words[2]);
        break;
      case "quota":
        files().setQuota(new Path(words[3]), Long.parseLong(words[1]), Long.parseLong(words[2]));
        break;
      case "list":
        list(files().getFileStatus(new Path(words[1])));
        break;
      case "open-files":
        openFiles();
        break;
      case "put":
        files().copyFromLocalFile(new Path("file://" + words[1]), new Path(words[2]));
        break;
      case "get":
        files().copyToLocalFile(false, new Path(words[1]), new Path("file://" + words[2]), true);
        break;
      case "read":
        read(new Path(words[1]), java.nio.file.Path.of(words[2]));
        break;
      default:
        throw new IllegalArgumentException("no such command: " + command);
    }
  }

  /** kerberos DIR USER...: a KDC, a keytab of the servers and one of the users; what follows is of that realm. Answers: krb5.conf. */
  private void kerberos(File directory, String[] users) throws Exception {
    kdc = new MiniKdc(MiniKdc.createConf(), directory);
    kdc.start();
    File servers = new File(directory, "servers.keytab");
    kdc.createPrincipal(servers, "hdfs/localhost", "HTTP/localhost");
    kdc.createPrincipal(new File(directory, "users.keytab"), users);
    String hdfs = "hdfs/localhost@" + kdc.getRealm();
    conf.set("hadoop.security.authentication", "kerberos");
    conf.set("hadoop.http.authentication.type", "kerberos");
    for (String each : new String[] {"hadoop.http", "dfs.web"}) {
      conf.set(each + ".authentication.kerberos.principal", "HTTP/localhost@" + kdc.getRealm());
      conf.set(each + ".authentication.kerberos.keytab", servers.getPath());
    }
    for (String each : new String[] {"namenode", "datanode"}) {
      conf.set("dfs." + each + ".kerberos.principal", hdfs);
      conf.set("dfs." + each + ".keytab.file", servers.getPath());
    }
    conf.setBoolean("dfs.block.access.token.enable", true);
    conf.setBoolean("ignore.secure.ports.for.testing", true);
    UserGroupInformation.setConfiguration(conf);
    UserGroupInformation.loginUserFromKeytab(hdfs, servers.getPath());
    answer.add(kdc.getKrb5conf().getPath());
  }

  /** token DIR USER: a delegation token of the user's, as WebHDFS gives it to one who has shown a key in DIR. */
  private void token(String directory, String name) throws Exception {
    UserGroupInformation user = UserGroupInformation.loginUserFromKeytabAndReturnUGI(
        name + "@" + kdc.getRealm(), new File(directory, "users.keytab").getPath());
    URI address = URI.create("webhdfs://localhost:" + cluster.getNameNode(active).getHttpAddress().getPort());
    answer.add(user.doAs((PrivilegedExceptionAction<String>) () ->
        FileSystem.newInstance(address, conf).getDelegationToken("hdfs").encodeToUrlString()));
  }

  private void cancel(String text) throws Exception {
    Token<DelegationTokenIdentifier> token = new Token<>();
    token.decodeFromUrlString(text);
    cluster.getNameNodeRpc(active).cancelDelegationToken(token);
  }

  /**
   * start DIR NAMENODES DATANODES [KEY=VALUE...]: a cluster on loopback, of two namenodes with the first active if there are two.
   * A line a namenode: RPC port, HTTP or HTTPS port.
   */
  private void start(String[] words) throws Exception {
    for (int i = 4; i < words.length; ++i) {
      conf.set(words[i].substring(0, words[i].indexOf('=')), words[i].substring(words[i].indexOf('=') + 1));
    }
    boolean two = words[2].equals("2");
    MiniDFSCluster.Builder builder = new MiniDFSCluster.Builder(conf, new File(words[1]))
        .numDataNodes(Integer.parseInt(words[3])).storagesPerDatanode(1);
    if (two) {
      builder.nnTopology(MiniDFSNNTopology.simpleHATopology());
    }
    cluster = builder.build();
    if (two) {
      cluster.transitionToActive(0);
    }
    cluster.waitActive();
    for (DataNode each : cluster.getDataNodes()) {
      datanodes.add(each.getDatanodeId().getXferAddr());
    }
    for (int i = 0; i < cluster.getNumNameNodes(); ++i) {
      InetSocketAddress http = cluster.getNameNode(i).getHttpAddress();
      InetSocketAddress https = cluster.getNameNode(i).getHttpsAddress();
      answer.add(cluster.getNameNodePort(i) + " " + (http == null ? https : http).getPort());
    }
  }

  private void restartNamenode(int number) throws Exception {
    cluster.restartNameNode(number, false);
    try {
      files().getFileStatus(new Path("/"));
    } catch (IOException oldConnection) {
      files().getFileStatus(new Path("/"));
    }
  }

  private DistributedFileSystem files() throws Exception {
    return cluster.getFileSystem(active);
  }

  /** A line a file or directory, this one first: TYPE LENGTH OWNER GROUP PERMISSION PATH. */
  private void list(FileStatus status) throws Exception {
    answer.add((status.isDirectory() ? "d " : "f ") + status.getLen() + " " + encode(status.getOwner()) + " "
        + encode(status.getGroup()) + " " + Integer.toOctalString(status.getPermission().toShort()) + " "
        + encode(status.getPath().toUri().getPath()));
    if (status.isDirectory()) {
      for (FileStatus each : files().listStatus(status.getPath())) {
        list(each);
      }
    }
  }

  /** Those that somebody writes, or that somebody left. */
  private void openFiles() throws Exception {
    RemoteIterator<OpenFileEntry> open = files().listOpenFiles(EnumSet.of(OpenFilesType.ALL_OPEN_FILES), "/");
    while (open.hasNext()) {
      answer.add(encode(open.next().getFilePath()));
    }
  }

  private void read(Path path, java.nio.file.Path out) throws Exception {
    FileSystem system = path.toUri().getScheme() == null ? files() : path.getFileSystem(conf);
    answer.add(FileContent.write(system, system.makeQualified(path), conf, out));
  }
}
