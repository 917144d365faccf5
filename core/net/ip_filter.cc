#include "core/net/ip_filter.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/base/host_name.h"

namespace sluice {
namespace {

constexpr std::string_view localhost = "localhost";

/// `*` and `?`, over the whole text; linear in space, never worse than pattern times text.
bool fits(std::string_view pattern, std::string_view text) noexcept {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& each : result) {
    if (each >= 'A' && each <= 'Z') each = static_cast<char>(each - 'A' + 'a');
  }
  return result;
}

std::string_view trimmed(std::string_view text) noexcept {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// "fe80:0:0:0:0:0:0:1", as Java writes it; nothing for version 4.
std::string long_text(const SocketAddress& address) {
  if (address.family() != AF_INET6) return {};
  const auto& bytes = reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_addr.s6_addr;
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (int i = 0; i < 16; i += 2) {
    const unsigned group = static_cast<unsigned>(bytes[i] << 8 | bytes[i + 1]);
    if (i > 0) text += ':';
    bool begun = false;
    for (int shift = 12; shift >= 0; shift -= 4) {
      const unsigned digit = group >> shift & 0xf;
      begun = begun || digit != 0 || shift == 0;
      if (begun) text += digits[digit];
    }
  }
  return text;
}

}  // namespace

IpFilter::IpFilter(std::vector<Rule> rules, std::shared_ptr<PeerNames> names,
                   std::string own_address)
    : rules_(std::move(rules)), names_(std::move(names)), own_address_(std::move(own_address)) {}

Result<IpFilter::Rule> IpFilter::parse_rule(std::string_view text) {
  const auto wrong = [&] {
    return Invalid("ipFilterRules: '" + std::string(text) +
                   "' is not allow|deny:ip|name:pattern, such as allow:ip:10.0.*");
  };
  const std::size_t first = text.find(':');
  const std::size_t second = first == std::string_view::npos ? first : text.find(':', first + 1);
  if (second == std::string_view::npos) return wrong();
  const std::string access = lower(trimmed(text.substr(0, first)));
  const std::string kind = lower(trimmed(text.substr(first + 1, second - first - 1)));
  const std::string_view pattern = trimmed(text.substr(second + 1));
  if (access != "allow" && access != "deny") return wrong();
  if (kind != "ip" && kind != "name") return wrong();
  if (pattern.empty()) return wrong();
  return Rule{.allow = access == "allow", .by_name = kind == "name", .pattern = lower(pattern)};
}

Result<std::shared_ptr<IpFilter>> IpFilter::parse(std::string_view text,
                                                  std::shared_ptr<PeerNames> names) {
  // Java's split(), which Flume reads them with, passes over commas at the end, too.
  text = trimmed(text);
  while (text.ends_with(',')) text = trimmed(text.substr(0, text.size() - 1));
  if (text.empty()) return Invalid("ipFilter = true needs ipFilterRules, such as allow:ip:10.0.*");
  std::vector<Rule> rules;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    auto rule = parse_rule(trimmed(text.substr(begin, comma - begin)));
    if (!rule.ok()) return rule.status();
    rules.push_back(*std::move(rule));
    begin = comma + 1;
  }
  const bool about_us = std::any_of(rules.begin(), rules.end(), [](const Rule& each) {
    return each.by_name && each.pattern == localhost;
  });
  std::string own = about_us ? local_address() : std::string();
  return std::shared_ptr<IpFilter>(
      new IpFilter(std::move(rules), std::move(names), std::move(own)));
}

bool IpFilter::is_this_machine(std::string_view address) const {
  return address.starts_with("127.") || address == "::1" ||
         (!own_address_.empty() && address == own_address_);
}

IpFilter::Answer IpFilter::ask(const SocketAddress& peer) {
  const std::string address = peer.host_text();
  const std::string long_address = long_text(peer);
  std::optional<std::string> name;
  for (const Rule& rule : rules_) {
    bool fitting = false;
    if (!rule.by_name) {
      fitting = fits(rule.pattern, address) || fits(rule.pattern, long_address);
    } else if (rule.pattern == localhost) {
      fitting = is_this_machine(address);
    } else {
      if (!name) name = names_->find(peer);
      if (!name) return Answer::AskAgain;
      fitting = fits(rule.pattern, lower(*name));
    }
    if (fitting) return rule.allow ? Answer::Accept : Answer::Refuse;
  }
  return Answer::Accept;
}

}  // namespace sluice
