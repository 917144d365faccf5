// Runs a fuzz target over files, for compilers without libFuzzer and for the seeds as a test.
//
// Arguments are files or folders. Every input is also run cut off at a few places, which costs
// nothing and finds most parsers that read past their end.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::vector<std::filesystem::path> inputs_of(const std::filesystem::path& argument) {
  if (!std::filesystem::is_directory(argument)) return {argument};
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(argument)) {
    if (entry.is_regular_file()) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// A copy of exactly the input's size, so that a sanitizer sees the first byte read beyond it.
void run(const std::string& input, std::size_t size) {
  const std::vector<std::uint8_t> exact(input.begin(),
                                        input.begin() + static_cast<std::ptrdiff_t>(size));
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t runs = 0;
  for (int i = 1; i < argc; ++i) {
    const std::filesystem::path argument = argv[i];
    if (!std::filesystem::exists(argument)) {
      std::fprintf(stderr, "%s: no such file or folder\n", argv[i]);
      return 2;
    }
    for (const auto& path : inputs_of(argument)) {
      std::ifstream file(path, std::ios::binary);
      const std::string input{std::istreambuf_iterator<char>(file), {}};
      for (const std::size_t size : {input.size(), input.size() / 2, input.size() / 3,
                                     input.size() - std::min<std::size_t>(input.size(), 1)}) {
        run(input, size);
        ++runs;
      }
    }
  }
  std::printf("%zu runs\n", runs);
  return runs > 0 ? 0 : 2;
}
