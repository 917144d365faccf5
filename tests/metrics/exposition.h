// A strict reader of Prometheus text: what it does not understand exactly is an error.
#pragma once

#include <cctype>
#include <cstdlib>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>

namespace sluice {

/// A parsed exposition.
class Exposition {
 public:
  using Labels = std::map<std::string, std::string>;
  struct Family {
    std::string help;
    std::string type;
    std::map<Labels, double> samples;
  };

  /// Throws std::runtime_error with the line that breaks format 0.0.4, or one of our own rules:
  /// HELP, TYPE and samples of a family together and in this order, counters end in _total.
  explicit Exposition(std::string_view text) {
    if (text.empty() || text.back() != '\n') throw std::runtime_error("no line feed at the end");
    while (!text.empty()) {
      const std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(line.size() + 1);
      read(line);
    }
    finish_family();
  }

  const std::map<std::string, Family>& families() const { return families_; }

  /// The sample with exactly these labels. Throws when there is none.
  double at(const std::string& family, const Labels& labels = {}) const {
    return families_.at(family).samples.at(labels);
  }
  /// Of the samples that have all these labels, whatever others they have.
  double sum(const std::string& family, const Labels& wanted = {}) const {
    double total = 0;
    for (const auto& [labels, value] : families_.at(family).samples) {
      bool matches = true;
      for (const auto& [name, text] : wanted) {
        const auto found = labels.find(name);
        matches = matches && found != labels.end() && found->second == text;
      }
      if (matches) total += value;
    }
    return total;
  }

 private:
  enum class Expect { Help, Type, Samples };

  [[noreturn]] static void fail(std::string_view line, const char* why) {
    throw std::runtime_error(std::string(why) + ": " + std::string(line));
  }

  static bool is_name(std::string_view name) {
    if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0) return false;
    for (const char c : name) {
      if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_') return false;
    }
    return true;
  }

  void read(std::string_view line) {
    constexpr std::string_view help = "# HELP ";
    constexpr std::string_view type = "# TYPE ";
    if (line.starts_with(help)) {
      finish_family();
      const std::string_view rest = line.substr(help.size());
      name_ = rest.substr(0, rest.find(' '));
      if (!is_name(name_)) fail(line, "no name");
      if (families_.contains(name_)) fail(line, "a family comes twice");
      if (rest.size() <= name_.size() + 1) fail(line, "no help");
      families_[name_].help = rest.substr(name_.size() + 1);
      expect_ = Expect::Type;
    } else if (line.starts_with(type)) {
      if (expect_ != Expect::Type) fail(line, "TYPE belongs behind HELP");
      const std::string_view rest = line.substr(type.size());
      if (!rest.starts_with(name_ + " ")) fail(line, "TYPE of another family");
      families_[name_].type = rest.substr(name_.size() + 1);
      check_type(line);
      expect_ = Expect::Samples;
    } else {
      if (expect_ != Expect::Samples) fail(line, "a sample before its TYPE");
      read_sample(line);
    }
  }

  void check_type(std::string_view line) const {
    const std::string& type = families_.at(name_).type;
    const bool total = name_.ends_with("_total");
    if (type != "counter" && type != "gauge") fail(line, "no such type");
    if (total != (type == "counter")) fail(line, "counters, and only they, end in _total");
  }

  void read_sample(std::string_view line) {
    if (!line.starts_with(name_)) fail(line, "a sample of another family");
    std::string_view rest = line.substr(name_.size());
    Labels labels;
    if (rest.starts_with("{")) rest = read_labels(line, rest.substr(1), labels);
    if (!rest.starts_with(" ")) fail(line, "no blank before the value");
    const std::string number(rest.substr(1));
    char* end = nullptr;
    const double value = std::strtod(number.c_str(), &end);
    const bool digit = !number.empty() && std::isdigit(static_cast<unsigned char>(number[0])) != 0;
    if (!digit || *end != '\0') fail(line, "no plain number");
    if (!families_[name_].samples.emplace(labels, value).second) fail(line, "a sample comes twice");
  }

  /// Returns what stands behind the closing bracket.
  static std::string_view read_labels(std::string_view line, std::string_view rest,
                                      Labels& labels) {
    for (;;) {
      const std::size_t equals = rest.find('=');
      if (equals == std::string_view::npos || !is_name(rest.substr(0, equals)))
        fail(line, "no label");
      const std::string name(rest.substr(0, equals));
      rest.remove_prefix(equals + 1);
      if (!rest.starts_with('"')) fail(line, "no opening quote");
      std::string value;
      std::size_t i = 1;
      for (; i < rest.size() && rest[i] != '"'; ++i) {
        if (rest[i] != '\\') {
          value += rest[i];
          continue;
        }
        if (++i == rest.size()) fail(line, "a lonely backslash");
        if (rest[i] != '\\' && rest[i] != '"' && rest[i] != 'n') fail(line, "no such escape");
        value += rest[i] == 'n' ? '\n' : rest[i];
      }
      if (i == rest.size()) fail(line, "no closing quote");
      if (!labels.emplace(name, value).second) fail(line, "a label comes twice");
      rest.remove_prefix(i + 1);
      if (rest.starts_with('}')) return rest.substr(1);
      if (!rest.starts_with(',')) fail(line, "no comma between labels");
      rest.remove_prefix(1);
    }
  }

  void finish_family() const {
    if (!name_.empty() && expect_ != Expect::Samples) fail(name_, "a family without TYPE");
  }

  std::map<std::string, Family> families_;
  std::string name_;
  Expect expect_ = Expect::Help;
};

}  // namespace sluice
