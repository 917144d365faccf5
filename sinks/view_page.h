// What a browser gets of a view.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// Text inside of an element or of an attribute in double quotes.
std::string html_text(std::string_view text);

/// The page of one view, which asks for `base`data.json and `base`events. A document that needs
/// nothing else; its scripts and styles carry `nonce`.
std::string view_page(std::string_view sink, std::string_view view, std::string_view base,
                      std::string_view nonce);

/// A page of links.
struct ViewLink {
  std::string href;
  std::string text;
};
std::string view_list_page(const std::vector<ViewLink>& links, std::string_view nonce);

}  // namespace sluice
