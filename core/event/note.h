// What a component asks to be kept with a commit.
#pragma once

#include <boost/container/small_vector.hpp>
#include <string>

namespace sluice {

/// A small value of a component (a position, a file and its length) that becomes true with a
/// commit.
struct Note {
  std::string key;
  std::string value;  ///< Empty: there is no such note any more.
};

using Notes = boost::container::small_vector<Note, 1>;

}  // namespace sluice
