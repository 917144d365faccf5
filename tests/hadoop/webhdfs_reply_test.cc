// Answers as a Hadoop 3.4 gives them, and such as nobody should.

#include "core/hadoop/webhdfs_reply.h"

#include "tests/catch.h"

namespace sluice {
namespace {

std::string exception(const std::string& name, const std::string& message) {
  return R"({"RemoteException":{"exception":")" + name +
         R"(","javaClassName":"org.apache.hadoop.)" + name + R"(","message":")" + message +
         R"("}})";
}

WebHdfsVerdict verdict(const std::string& name, const std::string& message = "x") {
  return judge_webhdfs_reply(403, exception(name, message)).verdict;
}

TEST_CASE("the exception decides, and not the status") {
  CHECK(judge_webhdfs_reply(200, "").verdict == WebHdfsVerdict::Done);
  CHECK(judge_webhdfs_reply(201, "").verdict == WebHdfsVerdict::Done);
  CHECK(verdict("StandbyException") == WebHdfsVerdict::Elsewhere);
  CHECK(verdict("RetriableException") == WebHdfsVerdict::Elsewhere);
  CHECK(verdict("SafeModeException") == WebHdfsVerdict::Elsewhere);
  CHECK(verdict("FileNotFoundException") == WebHdfsVerdict::Missing);
  CHECK(verdict("FileAlreadyExistsException") == WebHdfsVerdict::Taken);
  for (const char* const name : {"AccessControlException", "NSQuotaExceededException",
                                 "DSQuotaExceededException", "IOException", "EOFException"}) {
    CHECK(verdict(name) == WebHdfsVerdict::Refused);
  }
}

TEST_CASE("a message is one line of Hadoop's, with the name of the exception") {
  const WebHdfsReply reply = judge_webhdfs_reply(
      403, exception("AccessControlException", "Permission denied: user=joe\\n\\tat a.b.C"));
  CHECK(reply.message == "AccessControlException: Permission denied: user=joe");
  CHECK(judge_webhdfs_reply(403, exception("X", std::string(5000, 'x'))).message.size() < 400);
  // Hadoop prints some of them with blanks, and in another order.
  const WebHdfsReply pretty = judge_webhdfs_reply(403, R"({
  "RemoteException" : {
    "message" : "User: hdfs is not allowed to impersonate joe",
    "exception" : "AuthorizationException" } })");
  CHECK(pretty.exception == "AuthorizationException");
  CHECK(pretty.verdict == WebHdfsVerdict::Refused);
}

TEST_CASE("answers of somebody else") {
  CHECK(judge_webhdfs_reply(404, "<html>").verdict == WebHdfsVerdict::Refused);
  CHECK(judge_webhdfs_reply(404, "<html>").message.find("WebHDFS") != std::string::npos);
  CHECK(judge_webhdfs_reply(401, "").message.find("Kerberos") != std::string::npos);
  CHECK(judge_webhdfs_reply(302, "").verdict == WebHdfsVerdict::Refused);
  CHECK(judge_webhdfs_reply(502, "").verdict == WebHdfsVerdict::Elsewhere);
  for (const char* const body :
       {"[]", "{\"RemoteException\":7}", "{\"RemoteException\":{}}", "\xff",
        "{\"RemoteException\":{\"exception\":[],\"message\":{}}}"}) {
    INFO(body);
    CHECK(judge_webhdfs_reply(400, body).verdict == WebHdfsVerdict::Refused);
  }
}

TEST_CASE("booleans and files are read, and nothing else is taken for them") {
  CHECK(webhdfs_boolean("{\"boolean\":true}") == true);
  CHECK(webhdfs_boolean("{\"boolean\": false}") == false);
  for (const char* const body : {"", "{}", "true", "{\"boolean\":1}", "{\"boolean\":"}) {
    CHECK_FALSE(webhdfs_boolean(body).has_value());
  }
  const auto file = webhdfs_file(
      R"({"FileStatus":{"accessTime":1,"blockSize":134217728,"length":24930,"type":"FILE"}})");
  REQUIRE(file.has_value());
  CHECK(file->bytes == 24930);
  CHECK_FALSE(file->directory);
  CHECK(webhdfs_file(R"({"FileStatus":{"length":0,"type":"DIRECTORY"}})")->directory);
  for (const char* const body :
       {"", "{}", "{\"FileStatus\":{}}", "{\"FileStatus\":{\"length\":-1}}",
        "{\"FileStatus\":{\"length\":\"7\"}}", "{\"FileStatus\":[]}"}) {
    CHECK_FALSE(webhdfs_file(body).has_value());
  }
}

TEST_CASE("a path keeps its slashes in a URL, and nothing of it is read as anything else") {
  CHECK(url_path("/a b/%41?#&;+=\xe4\xb8\xad~-._") ==
        "/a%20b/%2541%3F%23%26%3B%2B%3D%E4%B8%AD~-._");
  CHECK(url_value("joe&op=DELETE") == "joe%26op%3DDELETE");
  CHECK(url_path(std::string_view("\r\n\0", 3)) == "%0D%0A%00");
}

}  // namespace
}  // namespace sluice
