#include "sinks/view_page.h"

#include <map>

#include "sinks/view_script.h"
#include "sinks/view_style.h"

namespace sluice {
namespace {

constexpr std::string_view page = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{{view}} of {{sink}} - Sluice</title>
<style nonce="{{nonce}}">{{style}}</style>
</head>
<body data-base="{{base}}">
<header>
<h1>{{view}}</h1><span class="of">sink {{sink}}</span>
<span class="state" id="state" role="status">Connecting…</span>
</header>
<p class="facts" id="facts">&nbsp;</p>
<section id="charts" aria-labelledby="charts-name">
<div class="head"><h2 id="charts-name">Chart</h2><span class="of" id="what"></span>
<div class="tools">
<select id="value" aria-label="Column"></select>
<span class="join"><button id="time" type="button" aria-pressed="true">Over time</button>
<button id="top" type="button" aria-pressed="false">Largest</button></span>
</div></div>
<svg id="chart" role="img"></svg>
<ul class="legend" id="legend"></ul>
</section>
<section aria-labelledby="rows-name">
<div class="head"><h2 id="rows-name">Latest batch</h2>
<div class="tools"><button id="pause" type="button" aria-pressed="false">Pause</button></div></div>
<div class="rows" tabindex="0" aria-labelledby="rows-name"><table>
<thead id="columns"></thead><tbody id="body"></tbody></table></div>
<p class="note" id="note" hidden></p>
</section>
<noscript><p class="note">This page needs JavaScript; data.json has the same.</p></noscript>
<script nonce="{{nonce}}">{{script}}</script>
</body>
</html>
)html";

constexpr std::string_view list = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Views - Sluice</title>
<style nonce="{{nonce}}">{{style}}</style>
</head>
<body>
<header><h1>Views</h1></header>
<p class="facts">Results of this agent as they come</p>
<section>{{links}}</section>
</body>
</html>
)html";

/// Puts values into a text; what they hold is not looked at again.
std::string filled(std::string_view text, const std::map<std::string_view, std::string>& values) {
  std::string out;
  std::size_t open;
  while ((open = text.find("{{")) != std::string_view::npos) {
    const std::size_t close = text.find("}}", open);
    out += text.substr(0, open);
    out += values.at(text.substr(open + 2, close - open - 2));
    text.remove_prefix(close + 2);
  }
  return out.append(text);
}

}  // namespace

std::string html_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string view_page(std::string_view sink, std::string_view view, std::string_view base,
                      std::string_view nonce) {
  return filled(page, {{"sink", html_text(sink)},
                       {"view", html_text(view)},
                       {"base", html_text(base)},
                       {"nonce", html_text(nonce)},
                       {"style", std::string(view_style)},
                       {"script", std::string(view_script)}});
}

std::string view_list_page(const std::vector<ViewLink>& links, std::string_view nonce) {
  std::string items;
  for (const ViewLink& link : links) {
    items += "<li><a href=\"" + html_text(link.href) + "\">" + html_text(link.text) + "</a></li>\n";
  }
  const std::string none = "<p class=\"note\">There is none: no output is of type view.</p>";
  return filled(list,
                {{"nonce", html_text(nonce)},
                 {"style", std::string(view_style)},
                 {"links", items.empty() ? none : "<ul class=\"views\">\n" + items + "</ul>"}});
}

}  // namespace sluice
