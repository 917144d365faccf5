#include "sinks/hdfs_target.h"

#include <algorithm>
#include <utility>

#include "core/base/letter_case.h"
#include "core/base/system_properties.h"
#include "core/base/user_name.h"

namespace sluice {
namespace {

/// "hdfs" of "hdfs://nn:8020/x"; empty for a plain path.
std::string scheme_of(std::string_view path) {
  const std::size_t colon = path.find(':');
  if (colon == path.npos || colon + 1 >= path.size() || path[colon + 1] != '/') return {};
  const auto end = path.begin() + static_cast<std::ptrdiff_t>(colon);
  const bool word = std::all_of(path.begin(), end, [](char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
  });
  return word ? lower_case(std::string(path.substr(0, colon))) : "";
}

bool is_hadoop(const std::string& scheme) {
  return scheme == "hdfs" || scheme == "webhdfs" || scheme == "swebhdfs";
}

/// What follows the file system's name.
std::string path_in_it(std::string path) {
  if (!scheme_of(path).empty()) {
    path.erase(0, path.find(':') + 1);
    if (path.starts_with("//")) path.erase(0, std::min(path.find('/', 2), path.size()));
    if (path.empty()) path = "/";
  }
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

/// Words between commas or blanks.
std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find_first_of(", \t", begin), text.size());
    if (end > begin) words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

Result<HadoopSite> site_of_machine() {
  HadoopSite site;
  for (const std::string& directory : {environment_variable("HADOOP_CONF_DIR").value_or(""),
                                       system_property("sluice.conf.dir").value_or("")}) {
    if (Status status = site.add_directory(directory); !status.ok()) return status;
  }
  return site;
}

Result<Namenodes> namenodes_of(const Settings& settings, const HadoopSite& site) {
  auto uri = parse_hdfs_uri(settings.text("hdfs.path"));
  if (!uri.ok()) return uri.status();
  return find_namenodes(*uri, words_of(settings.text("hdfs.webhdfs")), site);
}

/// Nothing where nobody asks for Kerberos, or a token says who we are.
std::shared_ptr<KerberosTickets> tickets_of(const Settings& settings, const HadoopSite& site) {
  KerberosKeys keys{settings.text("hdfs.kerberosPrincipal"), settings.text("hdfs.kerberosKeytab")};
  const bool wanted = !keys.principal.empty() ||
                      lower_case(site.value("hadoop.security.authentication")) == "kerberos";
  if (!wanted || !settings.text("hdfs.tokenFile").empty()) return nullptr;
  return std::make_shared<KerberosTickets>(std::move(keys));
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& each : words) text += (text.empty() ? "" : ", ") + each;
  return text;
}

/// As servers check it: [A-Za-z_][A-Za-z0-9._-]*[$]?
bool is_hadoop_user(std::string_view name) {
  if (name.ends_with('$')) name.remove_suffix(1);
  const auto letter = [](char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; };
  const auto fits = [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  return !name.empty() && (letter(name.front()) || name.front() == '_') &&
         std::all_of(name.begin(), name.end(), fits);
}

void judge_identity(const Settings& settings, const WebHdfs::Options& options,
                    std::vector<Finding>& findings) {
  const std::string principal = settings.text("hdfs.kerberosPrincipal");
  const std::string keytab = settings.text("hdfs.kerberosKeytab");
  if (principal.empty() != keytab.empty()) {
    findings.push_back({Severity::Error,
                        principal.empty() ? "hdfs.kerberosKeytab" : "hdfs.kerberosPrincipal",
                        "hdfs.kerberosPrincipal and hdfs.kerberosKeytab go together",
                        "hdfs.kerberosPrincipal = flume/_HOST@EXAMPLE.COM"});
  } else if (!options.token_file.empty()) {
    if (principal.empty()) return;
    findings.push_back({Severity::Warning, "hdfs.kerberosPrincipal",
                        "is not used: the token of hdfs.tokenFile says who we are"});
  } else if (options.kerberos == nullptr) {
    if (is_hadoop_user(options.user)) return;
    findings.push_back({Severity::Warning, "hdfs.user",
                        in_quotes(options.user) + " is no name of a user that Hadoop takes, unless "
                                                  "its servers were told to"});
  } else if (principal.empty()) {
    findings.push_back({Severity::Note, "hdfs.kerberosPrincipal",
                        "Hadoop's files ask for Kerberos, so the tickets that the agent finds are "
                        "used (KRB5CCNAME); they are not renewed",
                        "hdfs.kerberosPrincipal and hdfs.kerberosKeytab"});
  } else if (const Status usable = options.kerberos->check(); !usable.ok()) {
    findings.push_back({Severity::Warning, "hdfs.kerberosKeytab",
                        "no tickets for " + options.kerberos->principal() +
                            " can be had with it: " + usable.message()});
  }
}

void judge_elsewhere(const Settings& settings, std::vector<Finding>& findings) {
  const auto found = webhdfs_options(settings);
  if (!found.ok()) {
    findings.push_back({Severity::Error, "hdfs.path", found.status().message(),
                        "hdfs.webhdfs = http://namenode:9870"});
    return;
  }
  const WebHdfs::Options& options = found.value();
  const Namenodes& namenodes = options.namenodes;
  findings.push_back(
      {Severity::Note, namenodes.guessed ? "hdfs.path" : "hdfs.webhdfs",
       "files go through WebHDFS at " + joined(namenodes.servers) + " (" + namenodes.found_by + ")",
       namenodes.guessed ? "hdfs.webhdfs = http://namenode:9870 says where it is" : ""});
  findings.push_back({Severity::Note, "hdfs.path",
                      "events are gathered below the state directory, and a file is seen in Hadoop "
                      "once it is complete"});
  const std::string names = settings.text("hdfs.path") + settings.text("hdfs.filePrefix") +
                            settings.text("hdfs.fileSuffix") + settings.text("hdfs.inUsePrefix") +
                            in_use_suffix(settings);
  if (path_in_it(names).find(':') != std::string::npos || names.find("%c") != std::string::npos) {
    findings.push_back({Severity::Error, "hdfs.path", "Hadoop takes no name with a colon in it",
                        "%H-%M instead of %H:%M"});
  }
  judge_identity(settings, options, findings);
}

}  // namespace

bool is_elsewhere(const Settings& settings) {
  return is_hadoop(scheme_of(settings.text("hdfs.path")));
}

std::optional<RoundDown::Unit> round_unit(const Settings& settings) {
  const std::string text = lower_case(settings.text("hdfs.roundUnit"));
  if (text == "second") return RoundDown::Unit::Second;
  if (text == "minute") return RoundDown::Unit::Minute;
  if (text == "hour") return RoundDown::Unit::Hour;
  return std::nullopt;
}

std::string in_use_suffix(const Settings& settings) {
  return settings.boolean("hdfs.emptyInUseSuffix") ? "" : settings.text("hdfs.inUseSuffix");
}

Result<std::unique_ptr<BucketPath>> make_bucket_path(const Settings& settings) {
  auto zone = TimeZone::find(settings.text("hdfs.timeZone"));
  if (!zone.ok()) return zone.status();
  RoundDown round;
  if (settings.boolean("hdfs.round")) {
    round.unit = round_unit(settings).value_or(RoundDown::Unit::Never);
    round.value = static_cast<int>(settings.integer("hdfs.roundValue"));
  }
  const bool elsewhere = is_elsewhere(settings);
  constexpr std::size_t counter_bytes = 24;  // with its dot
  constexpr std::size_t token_bytes = 14;    // with its dot and an underscore in front of it all
  return BucketPath::make({.path = path_in_it(settings.text("hdfs.path")),
                           .prefix = settings.text("hdfs.filePrefix"),
                           .zone = *std::move(zone),
                           .round = round,
                           .local_time = settings.boolean("hdfs.useLocalTimeStamp"),
                           .bytes_beside = settings.text("hdfs.inUsePrefix").size() +
                                           in_use_suffix(settings).size() +
                                           settings.text("hdfs.fileSuffix").size() + counter_bytes +
                                           (elsewhere ? token_bytes : 0),
                           .hadoop_names = elsewhere});
}

Result<WebHdfs::Options> webhdfs_options(const Settings& settings) {
  auto site = site_of_machine();
  if (!site.ok()) return site.status();
  auto namenodes = namenodes_of(settings, *site);
  if (!namenodes.ok()) return namenodes.status();
  WebHdfs::Options options;
  options.namenodes = *std::move(namenodes);
  options.user = settings.text("hdfs.user");
  if (options.user.empty()) options.user = environment_variable("HADOOP_USER_NAME").value_or("");
  if (options.user.empty()) options.user = user_name();
  options.proxy_user = settings.text("hdfs.proxyUser");
  options.token_file = settings.text("hdfs.tokenFile");
  options.kerberos = tickets_of(settings, *site);
  options.http = {.patience = settings.duration("hdfs.callTimeout"),
                  .hosts = words_of(settings.text("hdfs.hosts")),
                  .ca_file = settings.text("hdfs.caFile"),
                  .negotiate = options.kerberos != nullptr};
  return options;
}

void judge_target(const Settings& settings, std::vector<Finding>& findings) {
  const std::string scheme = scheme_of(settings.text("hdfs.path"));
  if (!scheme.empty() && scheme != "file" && !is_hadoop(scheme)) {
    findings.push_back({Severity::Error, "hdfs.path",
                        "the file system " + scheme + ": cannot be written to",
                        "a path on a mounted file system works: file:///mnt/..."});
    return;
  }
  if (auto zone = TimeZone::find(settings.text("hdfs.timeZone")); !zone.ok()) {
    findings.push_back({Severity::Error, "hdfs.timeZone", zone.status().message()});
    return;
  }
  const auto made = make_bucket_path(settings);
  if (!made.ok()) {
    findings.push_back({Severity::Error, "hdfs.path", made.status().message()});
    return;
  }
  for (const std::string& each : made.value()->warnings()) {
    findings.push_back({Severity::Warning, "hdfs.path", each});
  }
  if (made.value()->needs_timestamp()) {
    findings.push_back({Severity::Note, "hdfs.path",
                        "it tells the time, so every event needs the header timestamp; one without "
                        "it goes to the dead letters",
                        "an interceptor of type timestamp at the source sets it, or "
                        "hdfs.useLocalTimeStamp = true takes the time of writing"});
  }
  if (is_hadoop(scheme)) judge_elsewhere(settings, findings);
}

}  // namespace sluice
