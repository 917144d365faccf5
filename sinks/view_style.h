// How pages of views look.
#pragma once

#include <string_view>

namespace sluice {

inline constexpr std::string_view view_style = R"css(
:root {
  color-scheme: light dark;
  --page: #f6f7f8; --card: #ffffff; --line: #e2e5e9; --text: #1c2229; --quiet: #616b76;
  --accent: #2260b3; --hover: #f1f4f8; --good: #1d8a4e; --bad: #b3541e;
  --s0: #2260b3; --s1: #c05a12; --s2: #0f7a6c; --s3: #8b3aa8; --s4: #86700a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14181d; --card: #1c2127; --line: #303740; --text: #e4e8ec; --quiet: #97a2ae;
    --accent: #74a9ee; --hover: #232a32; --good: #55c389; --bad: #eb9560;
    --s0: #74a9ee; --s1: #ee9a57; --s2: #4fc4b2; --s3: #cf8fe6; --s4: #d5bd4f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 68rem; padding: 1.5rem 1.25rem 3rem; background: var(--page);
  color: var(--text); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
    "DejaVu Sans", sans-serif;
}
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem .75rem; }
h1 { margin: 0; font-size: 1.5rem; font-weight: 650; letter-spacing: -.01em;
  overflow-wrap: anywhere; }
h2 { margin: 0; font-size: .95rem; font-weight: 600; }
.of, .facts, .note, .axis { color: var(--quiet); }
.facts { margin: .35rem 0 1.25rem; font-size: .875rem; font-variant-numeric: tabular-nums; }
.state { margin-left: auto; display: inline-flex; align-items: center; gap: .45rem;
  font-size: .875rem; color: var(--quiet); white-space: nowrap; }
.state::before { content: ""; width: .55rem; height: .55rem; border-radius: 50%;
  background: var(--bad); }
.state.live::before { background: var(--good); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  margin-bottom: 1rem; overflow: hidden; }
.head { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem .75rem;
  padding: .75rem 1rem; }
.tools { margin-left: auto; display: flex; flex-wrap: wrap; gap: .5rem; }
button, select { font: inherit; font-size: .85rem; color: var(--text); background: var(--card);
  border: 1px solid var(--line); border-radius: 6px; padding: .2rem .65rem; cursor: pointer; }
button:hover, select:hover { border-color: var(--quiet); }
button[aria-pressed="true"] { color: var(--accent); border-color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.join { display: inline-flex; }
.join button:first-child { border-radius: 6px 0 0 6px; }
.join button:last-child { border-radius: 0 6px 6px 0; margin-left: -1px; }
.join button[aria-pressed="true"] { position: relative; }
svg { display: block; width: 100%; height: 260px; }
svg text { font-size: 12px; fill: var(--quiet); font-variant-numeric: tabular-nums; }
svg .name { fill: var(--text); }
.grid { stroke: var(--line); stroke-width: 1; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.bar { fill: var(--s0); }
.c0 { --c: var(--s0); } .c1 { --c: var(--s1); } .c2 { --c: var(--s2); } .c3 { --c: var(--s3); }
.c4 { --c: var(--s4); }
.curve { stroke: var(--c); } .dot { fill: var(--c); }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.25rem; margin: 0; padding: 0 1rem .9rem;
  list-style: none; font-size: .85rem; }
.legend li { display: inline-flex; align-items: center; gap: .45rem; min-width: 0; }
.legend li::before { content: ""; flex: none; width: .8rem; height: 3px; border-radius: 2px;
  background: var(--c); }
.legend .key { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; max-width: 16rem; }
.legend .value { color: var(--quiet); font-variant-numeric: tabular-nums; }
.rows { overflow: auto; max-height: 32rem; border-top: 1px solid var(--line); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { padding: .4rem 1rem; text-align: left; border-bottom: 1px solid var(--line);
  vertical-align: top; }
tbody tr:last-child td { border-bottom: 0; }
thead th { position: sticky; top: 0; background: var(--card); color: var(--quiet);
  font-weight: 600; font-size: .8rem; box-shadow: inset 0 -1px var(--line); border-bottom: 0; }
td { overflow-wrap: anywhere; min-width: 6rem; max-width: 34rem; white-space: pre-wrap; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap;
  overflow-wrap: normal; width: 1%; min-width: 7.5rem; }
tbody tr:hover td { background: var(--hover); }
td.none { color: var(--quiet); font-style: italic; }
.note { margin: 0; padding: .75rem 1rem; font-size: .875rem; border-top: 1px solid var(--line); }
[hidden] { display: none !important; }
a { color: var(--accent); }
ul.views { margin: 0; padding: .25rem 0; list-style: none; }
ul.views li { padding: .5rem 1rem; overflow-wrap: anywhere; }
ul.views li + li { border-top: 1px solid var(--line); }
@media (max-width: 36rem) {
  body { padding: 1rem .75rem 2rem; }
  .state { margin-left: 0; width: 100%; }
  #charts .tools { margin-left: 0; width: 100%; }
  td.number, th.number { min-width: 5rem; }
  th, td { padding: .4rem .75rem; }
  svg { height: 210px; }
}
)css";

}  // namespace sluice
