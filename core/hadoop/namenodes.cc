#include "core/hadoop/namenodes.h"

#include <algorithm>
#include <utility>

#include "core/base/letter_case.h"

namespace sluice {
namespace {

std::string host_of(std::string_view authority) {
  const std::size_t colon = authority.rfind(':');
  const std::size_t bracket = authority.rfind(']');  // of an IPv6 address
  if (colon == authority.npos || (bracket != authority.npos && bracket > colon)) {
    return std::string(authority);
  }
  return std::string(authority.substr(0, colon));
}

std::string port_of(std::string_view authority) {
  const std::string host = host_of(authority);
  return host.size() == authority.size() ? "" : std::string(authority.substr(host.size() + 1));
}

/// "nn:9870" with another host where it says that it listens everywhere.
std::string reachable(std::string address, const std::string& host) {
  const std::string own = host_of(address);
  if (own == "0.0.0.0" || own == "[::]" || own.empty()) return host + ":" + port_of(address);
  return address;
}

/// The web servers that a site names for a namenode; `of` is ".ns.nn1", or nothing.
class WebAddresses {
 public:
  WebAddresses(const HadoopSite& site, bool tls)
      : site_(site), tls_(tls || site.value("dfs.http.policy") == "HTTPS_ONLY") {}

  std::string scheme() const { return tls_ ? "https://" : "http://"; }
  std::string of(const std::string& suffix) const {
    return site_.value((tls_ ? "dfs.namenode.https-address" : "dfs.namenode.http-address") +
                       suffix);
  }
  /// Hadoop 3, then Hadoop 2.
  std::vector<std::string> by_default(const std::string& host) const {
    if (tls_) return {scheme() + host + ":9871", scheme() + host + ":50470"};
    return {scheme() + host + ":9870", scheme() + host + ":50070"};
  }

 private:
  const HadoopSite& site_;
  const bool tls_;
};

Result<Namenodes> of_name_service(const std::string& service, const WebAddresses& web,
                                  const HadoopSite& site, Namenodes found) {
  for (const std::string& id : site.values("dfs.ha.namenodes." + service)) {
    const std::string suffix = "." + service + "." + id;
    const std::string host = host_of(site.value("dfs.namenode.rpc-address" + suffix));
    const std::string address = web.of(suffix);
    if (!address.empty()) {
      found.servers.push_back(web.scheme() + reachable(address, host));
    } else if (!host.empty()) {
      for (std::string& each : web.by_default(host)) found.servers.push_back(std::move(each));
    }
  }
  if (found.servers.empty()) {
    return Invalid("hdfs-site.xml names no address for the namenodes of " + service);
  }
  found.found_by = "hdfs-site.xml";
  return found;
}

Result<Namenodes> of_user(const std::vector<std::string>& addresses, bool tls, Namenodes found) {
  for (std::string address : addresses) {
    while (address.ends_with('/')) address.pop_back();
    if (address.find("://") == address.npos) address.insert(0, tls ? "https://" : "http://");
    const bool http = address.starts_with("http://") || address.starts_with("https://");
    if (!http || address.find('/', address.find("://") + 3) != address.npos) {
      return Invalid("\"" + address + "\" is no address of a web server, such as http://nn:9870");
    }
    found.servers.push_back(std::move(address));
  }
  found.found_by = "hdfs.webhdfs";
  return found;
}

}  // namespace

Result<HdfsUri> parse_hdfs_uri(std::string_view text) {
  const std::size_t colon = text.find(':');
  HdfsUri uri;
  uri.scheme = text.substr(0, std::min(colon, text.size()));
  for (char& c : uri.scheme) c = lower_case(c);
  const bool known = uri.scheme == "hdfs" || uri.scheme == "webhdfs" || uri.scheme == "swebhdfs";
  if (colon == text.npos || !known) {
    return Invalid("\"" + std::string(text) + "\" is no address of a Hadoop file system");
  }
  text.remove_prefix(colon + 1);
  if (text.starts_with("//")) {
    text.remove_prefix(2);
    const std::size_t slash = std::min(text.find('/'), text.size());
    uri.authority = text.substr(0, slash);
    text.remove_prefix(slash);
  }
  uri.path = text;
  if (uri.authority.find_first_of("%$@{} ") != uri.authority.npos) {
    return Invalid("the host of " + uri.scheme + "://" + uri.authority + " is no name of a host");
  }
  return uri;
}

Result<Namenodes> find_namenodes(const HdfsUri& uri, const std::vector<std::string>& addresses,
                                 const HadoopSite& site) {
  std::string authority = uri.authority;
  const bool by_site = authority.empty();
  if (by_site) {
    const auto other = parse_hdfs_uri(site.value("fs.defaultFS"));
    if (other.ok()) authority = other.value().authority;
  }
  const bool tls = uri.scheme == "swebhdfs";
  Namenodes found{.file_system = uri.scheme + "://" + authority, .servers = {}, .found_by = {}};
  if (!addresses.empty()) return of_user(addresses, tls, std::move(found));
  if (authority.empty()) {
    return Invalid(
        "it names no namenode, and no core-site.xml names the default one (fs.defaultFS)");
  }
  const WebAddresses web(site, tls);
  const std::vector<std::string> services = site.values("dfs.nameservices");
  if (std::find(services.begin(), services.end(), authority) != services.end()) {
    return of_name_service(authority, web, site, std::move(found));
  }
  const std::string host = host_of(authority);
  if (uri.scheme != "hdfs" && !port_of(authority).empty()) {
    found.servers.push_back(web.scheme() + authority);
    found.found_by = "hdfs.path";
    return found;
  }
  const auto own = parse_hdfs_uri(site.value("fs.defaultFS"));
  if (const std::string address = web.of("");
      !address.empty() && own.ok() && host_of(own.value().authority) == host) {
    found.servers.push_back(web.scheme() + reachable(address, host));
    found.found_by = "hdfs-site.xml";
    return found;
  }
  found.servers = web.by_default(host);
  found.found_by = "Hadoop's default ports";
  found.guessed = true;
  return found;
}

}  // namespace sluice
