#include "core/hadoop/webhdfs_reply.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace sluice {
namespace {

constexpr std::size_t message_bytes_max = 300;

nlohmann::json parsed(std::string_view body) {
  return nlohmann::json::parse(body.begin(), body.end(), nullptr, false);
}

std::string text_of(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

/// Java's messages go on with whole stacks.
std::string first_line(std::string_view text) {
  text = text.substr(0, std::min({text.find('\n'), text.find('\r'), message_bytes_max}));
  return std::string(text);
}

WebHdfsVerdict verdict_of(std::string_view exception) {
  constexpr std::string_view elsewhere[] = {"StandbyException", "RetriableException",
                                            "SafeModeException", "ServerNotActiveException"};
  if (std::find(std::begin(elsewhere), std::end(elsewhere), exception) != std::end(elsewhere)) {
    return WebHdfsVerdict::Elsewhere;
  }
  if (exception == "FileNotFoundException") return WebHdfsVerdict::Missing;
  if (exception == "FileAlreadyExistsException") return WebHdfsVerdict::Taken;
  return WebHdfsVerdict::Refused;
}

std::string escaped(std::string_view text, std::string_view plain) {
  constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool alnum =
        (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
    if (alnum || plain.find(c) != plain.npos) {
      out += c;
    } else {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}

}  // namespace

WebHdfsReply judge_webhdfs_reply(long status, std::string_view body) {
  if (status >= 200 && status < 300) return {.verdict = WebHdfsVerdict::Done};
  if (status >= 300 && status < 400) {
    return {.message = "it sends us on (status " + std::to_string(status) + ")"};
  }
  const nlohmann::json json = parsed(body);
  const auto remote = json.is_object() ? json.find("RemoteException") : json.end();
  WebHdfsReply reply;
  if (json.is_object() && remote != json.end() && remote->is_object()) {
    reply.exception = text_of(*remote, "exception");
    reply.message = reply.exception + ": " + first_line(text_of(*remote, "message"));
    reply.verdict = verdict_of(reply.exception);
    // A name of Hadoop's may stand in front of the exception that counts.
    if (reply.message.find("StandbyException") != std::string::npos) {
      reply.verdict = WebHdfsVerdict::Elsewhere;
    }
    return reply;
  }
  reply.message = "the answer has the status " + std::to_string(status);
  if (status == 401) reply.message += ": it wants to know who we are (Kerberos or a token)";
  if (status == 404) reply.message += ": is WebHDFS switched off there, or another server?";
  // A proxy, or a server that is about to end.
  if (status >= 500) reply.verdict = WebHdfsVerdict::Elsewhere;
  return reply;
}

std::optional<bool> webhdfs_boolean(std::string_view body) {
  const nlohmann::json json = parsed(body);
  if (!json.is_object()) return std::nullopt;
  const auto found = json.find("boolean");
  if (found == json.end() || !found->is_boolean()) return std::nullopt;
  return found->get<bool>();
}

std::optional<WebHdfsFile> webhdfs_file(std::string_view body) {
  const nlohmann::json json = parsed(body);
  if (!json.is_object()) return std::nullopt;
  const auto found = json.find("FileStatus");
  if (found == json.end() || !found->is_object()) return std::nullopt;
  const auto length = found->find("length");
  if (length == found->end() || !length->is_number_unsigned()) return std::nullopt;
  return WebHdfsFile{.directory = text_of(*found, "type") == "DIRECTORY",
                     .bytes = length->get<std::uint64_t>()};
}

std::string url_path(std::string_view path) { return escaped(path, "-._~/"); }
std::string url_value(std::string_view value) { return escaped(value, "-._~/:"); }

}  // namespace sluice
