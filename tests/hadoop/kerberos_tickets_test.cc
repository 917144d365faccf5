#include "core/hadoop/kerberos_tickets.h"

#include <catch2/catch.hpp>

#include "core/base/host_name.h"
#include "core/base/letter_case.h"
#include "tests/catch.h"

namespace sluice {
namespace {

std::string principal_of(const std::string& text) {
  return KerberosTickets({.principal = text, .keytab = "/k"}).principal();
}

TEST_CASE("_HOST is this machine's name, where Hadoop takes it for that") {
  const std::string host = lower_case(local_host_name());
  CHECK(principal_of("flume/_HOST@EXAMPLE.COM") == "flume/" + host + "@EXAMPLE.COM");
  CHECK(principal_of("flume/_HOST") == "flume/" + host);
  CHECK(principal_of("flume/_HOSTS@EXAMPLE.COM") == "flume/_HOSTS@EXAMPLE.COM");
  CHECK(principal_of("_HOST@EXAMPLE.COM") == "_HOST@EXAMPLE.COM");
  CHECK(principal_of("flume@EXAMPLE.COM") == "flume@EXAMPLE.COM");
}

TEST_CASE("a keytab that gives no tickets is named, with the library's reason") {
  const std::string absent = "/nothing/is/here.keytab";
  KerberosTickets tickets({.principal = "flume@EXAMPLE.COM", .keytab = absent});
  CHECK(tickets.check().code() == Code::Invalid);
  CHECK(tickets.check().message().find(absent) != std::string::npos);
  const Status taken = tickets.take();
  CHECK(taken.code() == Code::Retry);
  CHECK(taken.message().find("flume@EXAMPLE.COM") != std::string::npos);
  CHECK(taken.message().find(absent) != std::string::npos);

  KerberosTickets unreadable({.principal = "a@b@c", .keytab = absent});
  CHECK(unreadable.check().code() == Code::Invalid);
  CHECK(unreadable.take().code() == Code::Retry);
}

TEST_CASE("without a principal the process's own tickets are taken, which nobody asks for here") {
  KerberosTickets tickets({});
  CHECK(tickets.check().ok());
  CHECK(tickets.take().ok());
}

}  // namespace
}  // namespace sluice
