// Where the WebHDFS of a Hadoop file system is reached.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/hadoop/hadoop_site.h"

namespace sluice {

/// The parts of "hdfs://nn:8020/events/%Y". Lower-case scheme; the path begins with a slash or is
/// empty.
struct HdfsUri {
  std::string scheme;
  std::string authority;
  std::string path;
};
/// Any URI with a scheme of hdfs, webhdfs or swebhdfs; "hdfs:/x" and "hdfs:///x" have no authority.
/// Errors: Invalid.
Result<HdfsUri> parse_hdfs_uri(std::string_view text);

/// Servers that answer for one file system.
struct Namenodes {
  /// "hdfs://nn:8020": what names of files in logs and in the book begin with.
  std::string file_system;
  /// "http://nn:9870", in the order in which they are tried; maybe in a stand-by, or not there.
  std::vector<std::string> servers;
  /// How they were found, for `check`: "hdfs-site.xml", "hdfs.webhdfs", ...
  std::string found_by;
  /// Nothing but Hadoop's default ports says that somebody listens there.
  bool guessed = false;
};

/// `addresses` are the user's own ("http://nn:9870" or "nn:9870"), and win over everything. Then
/// the site's: name services with their namenodes, addresses of web servers, the default file
/// system for a URI without an authority. Then the default ports. Errors: Invalid.
Result<Namenodes> find_namenodes(const HdfsUri& uri, const std::vector<std::string>& addresses,
                                 const HadoopSite& site);

}  // namespace sluice
