// What the page of a view does in the browser.
#pragma once

#include <string_view>

namespace sluice {

// Data go into the page as text and as attributes of shapes, never as markup.
inline constexpr std::string_view view_script = R"js(
'use strict';
const base = document.body.dataset.base;
const at = id => document.getElementById(id);
const SERIES = 5, BARS = 12, MOST_BATCHES = 2000, SVG = 'http://www.w3.org/2000/svg';
let plan = null, value = -1, mode = 'time', paused = false, hover = null, colours = new Map();
// What is known, what is on the page (while it is paused), and what came while load() waits.
let batches = [], drawn = [], late = [];
// What byKey() has made of batches, and whether a drawing is asked for.
let figured = new WeakMap(), drawing = false;

// ---- what there is

function isNumber(column) { return column.type === 'int' || column.type === 'double'; }
function isTime(column) { return column.name === 'window_start' || column.name === 'window_end'; }

// Columns that name a row: texts; where there are none, the first of several.
function keys() {
  const columns = plan.columns;
  const named = columns.map((_, i) => i).filter(i => !isNumber(columns[i]));
  if (named.length > 0) return named;
  const others = columns.map((_, i) => i).filter(i => !isTime(columns[i]));
  return others.length > 1 ? [others[0]] : [];
}
function figures() {
  const named = keys();
  return plan.columns.map((_, i) => i)
    .filter(i => isNumber(plan.columns[i]) && !isTime(plan.columns[i]) && !named.includes(i));
}
function figure(row) {
  const number = Number(row[value]);
  return row[value] === null || !Number.isFinite(number) ? null : number;
}
// Rows of the same name, of several windows say, are one: the last of them.
function byKey(batch) {
  if (!figured.has(batch)) figured.set(batch, rowsByKey(batch));
  return figured.get(batch);
}
function rowsByKey(batch) {
  const named = keys(), all = new Map();
  for (const row of batch.rows) {
    const number = figure(row);
    if (number === null) continue;
    all.set(named.map(i => shown(row[i])).join(' · ') || plan.columns[value].name, number);
  }
  return all;
}

// ---- how it is written

const plain = new Intl.NumberFormat(undefined, {maximumFractionDigits: 4});
const short = new Intl.NumberFormat(undefined, {notation: 'compact', maximumFractionDigits: 1});
function shown(cell, column) {
  if (cell === null) return 'null';
  if (column && isTime(column)) return clock(cell);
  return typeof cell === 'number' ? plain.format(cell) : String(cell);
}
function clock(ms) {
  return new Date(ms).toLocaleTimeString(undefined, {hour12: false}) +
    (plan.interval_ms % 1000 ? '.' + String(ms % 1000).padStart(3, '0') : '');
}
function span(ms) { return ms % 60000 === 0 && ms ? ms / 60000 + ' min' : ms / 1000 + ' s'; }
function make(tag, text, kind) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
}
function shape(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const name in attributes) element.setAttribute(name, attributes[name]);
  if (text !== undefined) element.textContent = text;
  return element;
}

// ---- the chart

function steps(most) {
  const raw = (most || 1) / 3, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find(n => n * power >= raw) * power;
  const all = [];
  for (let n = 0; n < most + step * .999; n += step) all.push(n);
  return all;
}
// The keys with the largest sums; each keeps its colour as long as it is among them.
function leaders(maps) {
  const sums = new Map();
  for (const map of maps) {
    for (const [key, n] of map) sums.set(key, (sums.get(key) || 0) + Math.abs(n));
  }
  const first = [...sums].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
    .slice(0, SERIES).map(each => each[0]);
  const kept = new Map(first.filter(k => colours.has(k)).map(k => [k, colours.get(k)]));
  const free = [0, 1, 2, 3, 4].filter(c => ![...kept.values()].includes(c));
  for (const key of first) if (!kept.has(key)) kept.set(key, free.shift());
  colours = kept;
  return first;
}
function drawTime(svg, width, height) {
  const maps = drawn.map(each => byKey(each)), first = leaders(maps);
  const end = drawn[drawn.length - 1].time;
  const least_span = Math.max(plan.interval_ms, Math.min(plan.remember_ms, 10 * plan.interval_ms));
  const start = Math.min(drawn[0].time, end - least_span);
  let most = 0, least = 0;
  for (const map of maps) {
    for (const key of first) {
      const n = map.get(key) || 0;
      most = Math.max(most, n);
      least = Math.min(least, n);
    }
  }
  const ticks = steps(most), top = ticks[ticks.length - 1] || 1;
  const left = 52, right = width - 16, bottom = height - 28, up = 14;
  const x = t => left + (right - left) * (t - start) / (end - start || 1);
  const y = n => bottom - (bottom - up) * (n - least) / (top - least || 1);
  for (const n of least < 0 ? [least, ...ticks] : ticks) {
    svg.append(shape('line', {class: 'grid', x1: left, x2: right, y1: y(n), y2: y(n)}));
    svg.append(shape('text', {x: left - 8, y: y(n) + 4, 'text-anchor': 'end'},
      short.format(n)));
  }
  const labels = Math.max(2, Math.min(6, Math.floor((right - left) / 110)));
  for (let i = 0; i < labels; ++i) {
    const t = start + (end - start) * i / (labels - 1);
    svg.append(shape('text', {x: x(t), y: height - 8,
      'text-anchor': i === 0 ? 'start' : i === labels - 1 ? 'end' : 'middle'},
      new Date(t).toLocaleTimeString(undefined, {hour12: false})));
  }
  const place = hover !== null && hover < drawn.length ? hover : drawn.length - 1;
  if (hover !== null) {
    const px = x(drawn[place].time);
    svg.append(shape('line', {class: 'grid', x1: px, x2: px, y1: up, y2: bottom}));
  }
  for (const key of [...first].reverse()) drawCurve(svg, maps, key, x, y, place);
  svg.onpointermove = event => {
    const px = event.clientX - svg.getBoundingClientRect().left;
    const away = i => Math.abs(x(drawn[i].time) - px);
    const near = drawn.reduce((best, _, i) => away(i) < away(best) ? i : best, 0);
    if (near !== hover) { hover = near; drawChart(); }
  };
  svg.onpointerleave = () => { hover = null; drawChart(); };
  for (const key of first) {
    const item = make('li', undefined, 'c' + colours.get(key)), n = maps[place].get(key);
    item.append(make('span', key, 'key'));
    item.append(make('span', n === undefined ? '–' : plain.format(n), 'value'));
    at('legend').append(item);
  }
}
// Where a batch has no such row there is a gap; what stands alone is a dot.
function drawCurve(svg, maps, key, x, y, place) {
  const colour = 'c' + colours.get(key);
  let path = '', pen = false;
  maps.forEach((map, i) => {
    if (!map.has(key)) { pen = false; return; }
    const px = x(drawn[i].time).toFixed(1), py = y(map.get(key)).toFixed(1);
    path += (pen ? 'L' : 'M') + px + ' ' + py;
    const alone = !pen && !(maps[i + 1] && maps[i + 1].has(key));
    if (alone || i === place) {
      svg.append(shape('circle', {class: 'dot ' + colour, cx: px, cy: py, r: 3}));
    }
    pen = true;
  });
  svg.append(shape('path', {class: 'curve ' + colour, d: path}));
}
function drawBars(svg, width, height) {
  const all = [...byKey(drawn[drawn.length - 1])]
    .sort((a, b) => b[1] - a[1]).slice(0, BARS);
  svg.onpointermove = svg.onpointerleave = null;
  const most = Math.max(...all.map(e => Math.abs(e[1])), 0) || 1;
  const gap = height / Math.max(all.length, 6), right = width - 84;
  const left = Math.min(200, width * .32);
  all.forEach(([key, n], i) => {
    const middle = gap * (i + .5), room = Math.max(6, Math.floor(left / 7.4));
    const name = [...key].length > room ? [...key].slice(0, room - 1).join('') + '…' : key;
    svg.append(shape('text', {class: 'name', x: left - 10, y: middle + 4, 'text-anchor': 'end'},
      name));
    const length = Math.max(1, (right - left) * Math.abs(n) / most);
    svg.append(shape('rect', {class: 'bar', x: left, y: middle - gap * .34, width: length,
      height: gap * .68, rx: 2}));
    svg.append(shape('text', {x: left + length + 8, y: middle + 4}, plain.format(n)));
  });
}
function drawChart() {
  const svg = at('chart'), choice = figures();
  at('charts').hidden = choice.length === 0 || drawn.length === 0;
  if (at('charts').hidden) return;
  const box = svg.getBoundingClientRect();
  svg.setAttribute('viewBox', '0 0 ' + box.width + ' ' + box.height);
  svg.setAttribute('aria-label',
    plan.columns[value].name + (mode === 'time' ? ' over time' : ', largest rows'));
  svg.replaceChildren();
  at('legend').replaceChildren();
  (mode === 'time' ? drawTime : drawBars)(svg, box.width, box.height);
}

// ---- the table

function drawTable() {
  const last = drawn[drawn.length - 1], columns = plan.columns;
  const line = make('tr');
  for (const column of columns) {
    line.append(make('th', column.name, isNumber(column) ? 'number' : ''));
  }
  at('columns').replaceChildren(line);
  const rows = (last ? last.rows : []).map(row => {
    const each = make('tr');
    row.forEach((cell, i) => {
      const kind = (isNumber(columns[i]) ? 'number' : '') + (cell === null ? ' none' : '');
      each.append(make('td', shown(cell, columns[i]), kind));
    });
    return each;
  });
  at('body').replaceChildren(...rows);
  const missing = last ? last.left : 0;
  at('note').textContent = !last ? 'The first batch has not ended yet.'
    : last.rows.length === 0 ? 'This batch has no rows.'
    : missing > 0 ? plain.format(missing) + ' more rows are not shown.' : '';
  at('note').hidden = at('note').textContent === '';
}
function draw() {
  if (!plan) return;
  if (!paused) drawn = batches;
  const last = drawn[drawn.length - 1];
  const count = last ? last.rows.length + last.left : 0;
  const latest = last ? 'Batch of ' + clock(last.time) + ' · ' + plain.format(count) +
    (count === 1 ? ' row' : ' rows') + ' · ' : '';
  at('facts').textContent = latest + 'every ' + span(plan.interval_ms) + ' · ' +
    span(plan.remember_ms) + ' kept';
  drawChart();
  drawTable();
}

// ---- what comes

// Of batches in their order those that are kept; the list itself may be on the page and stays.
function trimmed(list) {
  const oldest = list.length ? list[list.length - 1].time - plan.remember_ms : 0;
  return list.filter((each, i) => i === list.length - 1 || each.time > oldest).slice(-MOST_BATCHES);
}
// Where names of batches have begun anew, those behind this one are of before.
function add(batch) {
  batches = trimmed(batches.filter(each => each.time < batch.time).concat([batch]));
}
// Once, however many have come before the browser gets to it.
function drawSoon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => { drawing = false; draw(); });
}
function choose() {
  figured = new WeakMap();
  const choice = figures(), select = at('value');
  select.replaceChildren(...choice.map(i => {
    const option = make('option', plan.columns[i].name);
    option.value = i;
    return option;
  }));
  value = choice.includes(value) ? value : choice.length ? choice[0] : -1;
  select.value = value;
  select.hidden = choice.length < 2;
  at('what').textContent = choice.length === 1 ? plan.columns[choice[0]].name : '';
}
// All that the agent remembers, what came in the meantime, and before it what this page knew.
async function load() {
  late = [];
  const answer = await fetch(base + 'data.json', {cache: 'no-store'});
  if (!answer.ok) throw new Error('status ' + answer.status);
  const now = await answer.json();
  const same = plan && JSON.stringify(plan.columns) === JSON.stringify(now.columns);
  if (!same) drawn = [];
  plan = now;
  const first = now.batches.length ? now.batches[0].time : Infinity;
  const last = now.batches.length ? now.batches[now.batches.length - 1].time : -Infinity;
  const all = new Map();
  for (const each of same ? batches : []) if (each.time < first) all.set(each.time, each);
  for (const each of now.batches) all.set(each.time, each);
  for (const each of late) if (each.time > last) all.set(each.time, each);
  batches = trimmed([...all.values()].sort((a, b) => a.time - b.time));
  late = null;
  choose();
  draw();
}
function tell(text, live) {
  at('state').textContent = text;
  at('state').classList.toggle('live', live);
}
function again(source) {
  source.close();
  setTimeout(connect, 2000);
}
function connect() {
  const source = new EventSource(base + 'events');
  source.onopen = () => load().then(() => tell('Live', true), () => again(source));
  source.onmessage = event => {
    const batch = JSON.parse(event.data);
    if (late) late.push(batch);
    if (!plan) return;
    add(batch);
    drawSoon();
  };
  source.onerror = () => {
    tell('Reconnecting…', false);
    if (source.readyState === EventSource.CLOSED) again(source);
  };
}

at('value').onchange = () => {
  value = Number(at('value').value);
  figured = new WeakMap();
  colours = new Map();
  draw();
};
for (const name of ['time', 'top']) at(name).onclick = () => {
  mode = name;
  for (const other of ['time', 'top']) {
    at(other).setAttribute('aria-pressed', String(other === name));
  }
  draw();
};
at('pause').onclick = () => {
  paused = !paused;
  at('pause').setAttribute('aria-pressed', String(paused));
  draw();
};
new ResizeObserver(() => { if (plan) drawChart(); }).observe(at('chart'));
connect();
)js";

}  // namespace sluice
