// Word counts: the splitter and the table of the micro-batch stage against a plain unordered_map.
//
// Both read the same lines of Zipf text, in slabs as they come from a channel, in one process.
// `--write FILE MB WORDS` writes such a text instead, for benchmarks of the agent.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "analytics/key_table.h"
#include "analytics/word_splitter.h"
#include "core/base/assert.h"

namespace {

using namespace sluice;
using namespace sluice::analytics;

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// Lines of 6 to 19 words, each of a rank drawn by Zipf's law; words are of 3 to 12 letters.
std::string zipf_text(std::size_t bytes, std::size_t distinct, double s) {
  std::mt19937_64 random(1);
  std::vector<std::string> words(distinct);
  std::vector<double> sums(distinct);
  double sum = 0;
  for (std::size_t i = 0; i < distinct; ++i) {
    std::string word = std::to_string(i * 7919 % distinct);
    for (char& digit : word) digit = static_cast<char>('a' + (digit - '0'));
    const std::size_t letters = 3 + random() % 10;
    while (word.size() < letters) word += static_cast<char>('k' + random() % 16);
    words[i] = word;
    sum += 1 / std::pow(static_cast<double>(i + 1), s);
    sums[i] = sum;
  }
  std::uniform_real_distribution<double> at(0, sum);
  std::string text;
  text.reserve(bytes + 512);
  while (text.size() < bytes) {
    const std::size_t count = 6 + random() % 14;
    for (std::size_t i = 0; i < count; ++i) {
      const auto rank = std::lower_bound(sums.begin(), sums.end(), at(random)) - sums.begin();
      text += words[std::min(static_cast<std::size_t>(rank), distinct - 1)];
      text += i + 1 < count ? ' ' : '\n';
    }
  }
  return text;
}

struct Counts {
  std::uint64_t words = 0;
  std::uint64_t distinct = 0;
  std::uint64_t check = 0;  ///< Of the counts, whatever their order.
};

Counts naive(std::string_view text) {
  std::unordered_map<std::string, int> counts;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t line_end = text.find('\n', at);
    const std::string_view line = text.substr(at, line_end - at);
    for (std::size_t begin = 0; begin <= line.size();) {
      const std::size_t end = std::min(line.find(' ', begin), line.size());
      ++counts[std::string(line.substr(begin, end - begin))];
      begin = end + 1;
    }
    at = line_end + 1;
  }
  Counts sum;
  for (const auto& [word, n] : counts) {
    const auto count = static_cast<std::uint64_t>(n);
    sum.words += count;
    sum.check += count * count;
  }
  sum.distinct = counts.size();
  return sum;
}

Counts folded(std::string_view text, KeyTable& table) {
  auto made = WordSplitter::make("space");
  WordSplitter& splitter = std::get<WordSplitter>(made);
  std::vector<Cell> words(Rows::chunk);
  std::vector<std::uint64_t*> counts(Rows::chunk);
  constexpr std::size_t slab = 500'000;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = at + slab < text.size() ? text.rfind('\n', at + slab) + 1 : text.size();
    auto cursor = WordSplitter::begin_lines(text.substr(at, end - at));
    while (!cursor.done) {
      const std::size_t n = splitter.cut(cursor, words.data(), words.size());
      table.find_or_add(std::span(words.data(), n), {}, std::span(counts.data(), n));
      for (std::size_t i = 0; i < n; ++i) ++*counts[i];
    }
    at = end;
  }
  Counts sum;
  sum.distinct = table.size();
  for (std::size_t i = 0; i < table.size(); ++i) {
    const std::uint64_t count = *table.entry(i).word;
    sum.words += count;
    sum.check += count * count;
  }
  return sum;
}

void compare(std::size_t distinct, double s, std::size_t megabytes) {
  const std::string text = zipf_text(megabytes * 1'000'000, distinct, s);
  const auto size = static_cast<double>(text.size());
  double plain_takes = 1e9;
  double ours_takes = 1e9;
  std::size_t bytes = 0;
  Counts plain;
  for (int run = 0; run < 3; ++run) {
    double begin = cpu_seconds();
    plain = naive(text);
    plain_takes = std::min(plain_takes, cpu_seconds() - begin);
    KeyTable table(42);
    begin = cpu_seconds();
    const Counts ours = folded(text, table);
    ours_takes = std::min(ours_takes, cpu_seconds() - begin);
    bytes = table.bytes();
    SLUICE_ASSERT(
        ours.words == plain.words && ours.check == plain.check && ours.distinct == plain.distinct,
        "two ways to count differ");
  }
  std::printf(
      "fold: %zu MB, %lu words, %lu distinct: %.0f MB/s, %.1f M words/s, %.0f bytes a word; "
      "unordered_map %.0f MB/s; ratio %.1f\n",
      megabytes, plain.words, plain.distinct, size / ours_takes / 1e6,
      static_cast<double>(plain.words) / ours_takes / 1e6,
      static_cast<double>(bytes) / static_cast<double>(plain.distinct), size / plain_takes / 1e6,
      plain_takes / ours_takes);
}

}  // namespace

int main(int arguments, char** values) {
  if (arguments == 5 && std::string_view(values[1]) == "--write") {
    const std::string text = zipf_text(std::strtoull(values[3], nullptr, 10) * 1'000'000,
                                       std::strtoull(values[4], nullptr, 10), 1.05);
    std::FILE* const file = std::fopen(values[2], "wb");
    const bool written =
        file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
    return file != nullptr && std::fclose(file) == 0 && written ? 0 : 1;
  }
  compare(200'000, 1.05, 300);
  compare(20'000, 1.05, 300);
}
