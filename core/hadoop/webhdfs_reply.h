// What a WebHDFS server's answer means.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace sluice {

/// What to do about an answer.
enum class WebHdfsVerdict : unsigned char {
  Done,       ///< The call did what it should.
  Elsewhere,  ///< This server does not serve now: a stand-by, one that starts, safe mode.
  Missing,    ///< There is no such file.
  Taken,      ///< There is a file of this name.
  Refused,    ///< It cannot be done now: permission, quota, no datanode. See message.
};

struct WebHdfsReply {
  WebHdfsVerdict verdict = WebHdfsVerdict::Refused;
  std::string exception = {};  ///< Hadoop's name for it: "AccessControlException".
  std::string message = {};    ///< One line for a person, with the exception's name.
};

/// Of an answer without a redirect. Decided by Hadoop's exception: the status 403 is any I/O error.
WebHdfsReply judge_webhdfs_reply(long status, std::string_view body);

/// {"boolean": ...}; nothing where the body is something else.
std::optional<bool> webhdfs_boolean(std::string_view body);

struct WebHdfsFile {
  bool directory = false;
  std::uint64_t bytes = 0;
};
/// {"FileStatus": ...}; nothing where the body is something else.
std::optional<WebHdfsFile> webhdfs_file(std::string_view body);

/// A path as it stands in a URL: everything but letters, digits and "-._~/" escaped.
std::string url_path(std::string_view path);
/// The same for a value behind "=".
std::string url_value(std::string_view value);

}  // namespace sluice
