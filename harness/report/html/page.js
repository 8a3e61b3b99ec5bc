'use strict';
// The page of one result. Names, messages and logs come from programs that nobody vouches for: they become text nodes,
// and nothing here ever makes HTML or code of text.
const data = JSON.parse(document.getElementById('data').textContent);
const $ = id => document.getElementById(id);

// An element: make('td', {class: 'good', onclick: f}, 'text', otherElement)
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter(child => child !== null && child !== undefined && child !== ''));
  return element;
}

// ---- State, which the address keeps ---------------------------------------------------------------------------------

const state = {q: '', o: '', v: '', s: '', job: '', run: '', theme: ''};

function readState() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const key of Object.keys(state)) state[key] = given.get(key) || '';
}

function keepState() {
  const kept = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) if (value) kept.set(key, value);
  const hash = kept.toString();
  if (hash !== location.hash.slice(1)) history.replaceState(null, '', hash ? '#' + hash : location.pathname + location.search);
}

// ---- The matrix -----------------------------------------------------------------------------------------------------

const OUTCOMES = ['error', 'fail', 'xpass', 'xfail', 'pass', 'skipped'];
const TONES = {error: 'bad', fail: 'bad', pass: 'good', xfail: '', xpass: 'warn', skipped: 'dim'};
const SIGNS = {error: '‼', fail: '✗', pass: '✓', xfail: '✓', xpass: '!', skipped: '–'};
const rank = (list, value) => { const i = list.indexOf(value); return i < 0 ? list.length : i; };

// Columns that stand in the table only where some job has something for them.
const columns = [
  {name: 'job', key: job => job.id},
  {name: 'outcome', key: job => rank(OUTCOMES, job.outcome), cell: job => [TONES[job.outcome] || '', (SIGNS[job.outcome] || '') + ' ' + job.outcome]},
  {name: 'verdict', key: job => job.verdict, cell: job => ['text', job.judged]},
  {name: 'run to run', key: job => job.cells[0][1], cell: job => job.cells[0]},
  ...data.columns.map((name, i) => ({name, key: job => toneRank(job.cells[i + 1]), cell: job => job.cells[i + 1]})),
  {name: 'worst difference', key: job => number(job.ulp), cell: job => ['text', job.worst], least: true},
  {name: 'error vs f64', key: job => parseFloat(job.accuracy) || 0, cell: job => ['text', job.accuracy], least: true},
  {name: 'cost of det.', key: job => job.cost_of.times || 0, cell: job => ['text', job.cost], least: true},
  {name: 'evidence', key: job => job.bound === null ? 2 : job.bound, cell: job => ['dim', job.evidence]},
].filter(column => !column.least || data.jobs.some(job => column.cell(job)[1]));

function number(value) { return value === 'inf' ? Infinity : value || 0; }
function toneRank(cell) { return rank(['bad', 'warn', 'good', 'dim'], cell[1] ? cell[0] : ''); }

const rows = new Map(); // job → its row
let order = [];         // jobs as they stand, those that are shown

function makeRow(job) {
  const row = make('tr', {onclick: () => { at(job); if (isOpen(job)) close(); else open(job); }},
    make('th', {scope: 'row', title: job.id, 'aria-expanded': 'false', 'aria-controls': 'details'}, job.id));
  for (const column of columns.slice(1)) {
    const [tone, text] = column.cell(job);
    row.append(make('td', {class: text ? tone : ''}, text));
  }
  return row;
}

function makeTable() {
  const heading = make('tr');
  for (const column of columns)
    heading.append(make('th', {scope: 'col', tabindex: 0, onclick: () => sortBy(column.name),
      onkeydown: event => { if (event.key === 'Enter') sortBy(column.name); }}, column.name));
  document.querySelector('#matrix thead').append(heading);
  for (const job of data.jobs) rows.set(job, makeRow(job));
}

function sortBy(name) {
  state.s = state.s === name ? '-' + name : state.s === '-' + name ? '' : name;
  arrange();
}

function matches(job) {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const name = job.id.toLowerCase();
  return words.every(word => name.includes(word)) && (!state.o || state.o.split(',').includes(job.outcome)) &&
    (!state.v || job.verdict === state.v);
}

// Puts the rows that match into the order that is wanted.
function arrange() {
  const descending = state.s.startsWith('-');
  const column = columns.find(one => one.name === state.s.slice(descending ? 1 : 0));
  order = data.jobs.filter(matches);
  if (column) {
    const keys = new Map(order.map(job => [job, column.key(job)]));
    const sign = descending ? -1 : 1;
    order.sort((a, b) => { const x = keys.get(a), y = keys.get(b); return x < y ? -sign : x > y ? sign : 0; });
  }
  document.querySelector('#matrix tbody').replaceChildren(...order.map(job => rows.get(job)));
  document.querySelectorAll('#matrix thead th').forEach((heading, i) => {
    if (columns[i] === column) heading.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
    else heading.removeAttribute('aria-sort');
  });
  $('shown').textContent = order.length === data.jobs.length ? '' : `${order.length} of ${data.jobs.length} jobs`;
  keepState();
}

function makeFilters() {
  const count = outcome => data.jobs.filter(job => job.outcome === outcome).length;
  for (const outcome of OUTCOMES.filter(count))
    $('outcomes').append(make('button', {type: 'button', 'data-outcome': outcome, class: TONES[outcome],
      onclick: () => toggle(outcome)}, `${SIGNS[outcome]} ${outcome} ${count(outcome)}`));
  $('verdict').append(make('option', {value: ''}, 'every verdict'));
  for (const verdict of [...new Set(data.jobs.map(job => job.verdict))].sort())
    $('verdict').append(make('option', {value: verdict}, verdict));
  $('search').addEventListener('input', () => { state.q = $('search').value; arrange(); });
  $('verdict').addEventListener('change', () => { state.v = $('verdict').value; arrange(); });
}

function toggle(outcome) {
  const chosen = new Set(state.o ? state.o.split(',') : []);
  if (!chosen.delete(outcome)) chosen.add(outcome);
  state.o = [...chosen].join(',');
  showFilters();
  arrange();
}

function showFilters() {
  const chosen = state.o.split(',');
  for (const button of $('outcomes').children) button.setAttribute('aria-pressed', chosen.includes(button.dataset.outcome));
  $('search').value = state.q;
  $('verdict').value = state.v;
}

// ---- One job --------------------------------------------------------------------------------------------------------

const runId = n => 'r' + String(n).padStart(5, '0');
const letters = g => g < 0 ? '✗' : g < 26 ? String.fromCharCode(65 + g) : letters(Math.floor(g / 26) - 1) + letters(g % 26);
const hue = g => (210 + g * 137.5) % 360;
const quoted = word => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
const plain = value => value === null || value === undefined ? '–' : typeof value === 'object' ? JSON.stringify(value) : String(value);

function pairs(entries) {
  const list = make('dl', {class: 'pairs'});
  for (const [name, value] of entries)
    if (value !== null && value !== undefined && value !== '') list.append(make('dt', {}, name), make('dd', {}, value));
  return list;
}

function command(...words) {
  const text = words.map(quoted).join(' ');
  const button = make('button', {type: 'button', title: 'copy', onclick: () => copy(text, button)}, 'copy');
  return make('div', {class: 'command'}, make('code', {}, text), button);
}

async function copy(text, button) {
  try { await navigator.clipboard.writeText(text); button.textContent = 'copied'; }
  catch { button.textContent = 'select it'; }
}

function axesTable(job) {
  const table = make('table', {class: 'small'}, make('tr', {}, ...['axis', 'levels', 'observed', 'effect'].map(name => make('th', {}, name))));
  for (const axis of job.axes) {
    const classes = axis.compared === false || !axis.classes || !axis.classes.length ? axis.levels.join(', ')
      : axis.classes.map(members => members.join(' = ')).join('  |  ');
    table.append(make('tr', {}, make('td', {}, axis.name), make('td', {class: 'mono'}, classes),
      make('td', {class: 'mono'}, (axis.observed || []).map(plain).join(', ')), make('td', {}, axis.unavailable || axis.effect)));
  }
  return table;
}

function runsGrid(job) {
  const grid = make('div', {class: 'runs'});
  const witness = job.witness ? [job.witness.a, job.witness.b] : [];
  const cells = job.levels.map((cell, i) => [cell, i]).sort((a, b) => a[0].localeCompare(b[0], 'en', {numeric: true}));
  for (const [cell, i] of cells) {
    const row = make('div', {class: 'row'});
    for (const run of job.runs) {
      if (run[1] !== i) continue;
      const id = runId(run[0]), group = run[4];
      const status = data.statuses[run[3]];
      row.append(make('button', {type: 'button', 'data-run': id,
        class: 'run' + (group < 0 ? ' none' : '') + (witness.includes(id) ? ' wit' : '') + (state.run === id ? ' chosen' : ''),
        title: `${id}  ${status}`, 'aria-label': `${id} ${status}`,
        onclick: () => choose(job, run)}, letters(group)));
      row.lastChild.style.setProperty('--hue', group === 0 ? 165 : hue(group));
    }
    grid.append(make('div', {class: 'cell'}, cell || 'all runs'), row);
  }
  return grid;
}

function runDetails(job, run) {
  const id = runId(run[0]);
  const box = make('div', {id: 'run'}, make('h3', {}, 'Run ', make('span', {class: 'id'}, id)), pairs([
    ['status', data.statuses[run[3]]], ['cell', job.levels[run[1]]], ['repeat', String(run[2])],
    ['result', run[4] < 0 ? null : `${letters(run[4])}  ${job.groups[run[4]][0]}`],
    ['wall, CPU', `${run[5].toFixed(3)} s, ${run[6].toFixed(3)} s`], ['memory', `${(run[7] / 1024).toFixed(1)} MiB`],
    ['message', run[8]]]));
  if (data.directory) box.append(command(data.program, 'rerun', data.directory, id));
  if (data.logs[id] !== undefined) box.append(make('h3', {}, 'End of its log'), make('pre', {}, data.logs[id]));
  return box;
}

// Logarithmic both ways: buckets are powers of two, and counts differ by as much.
function histogram(buckets) {
  const most = Math.log1p(Math.max(...buckets));
  const bars = make('div', {class: 'bars'}), labels = make('div', {class: 'axis'});
  buckets.forEach((count, i) => {
    const label = i === 0 ? '0' : i === 1 ? '1' : `2${[...String(i - 1)].map(digit => '⁰¹²³⁴⁵⁶⁷⁸⁹'[digit]).join('')}`;
    const bar = make('div', {title: `${count} elements, ${i === 0 ? 'equal' : 'from ' + 2 ** (i - 1) + ' ULP'}`});
    bar.style.height = count ? 100 * Math.log1p(count) / most + '%' : '0';
    if (!count) bar.style.minHeight = '0';
    bars.append(bar);
    labels.append(make('span', {}, buckets.length <= 16 || i % 4 === 0 ? label : ''));
  });
  return make('div', {}, bars, labels);
}

function worstDetails(job) {
  const worst = job.worst_tensor;
  const place = index => index ? `[${index.join(', ')}]` : '';
  const box = make('div', {}, make('h3', {}, 'Largest difference'), pairs([
    ['tensor', worst.tensor], ['what', worst.difference], ['first at', place(worst.index)], ['largest at', place(worst.worst_index)],
    ['max abs', worst.max_abs === null ? null : plain(worst.max_abs)], ['max rel', worst.max_rel === null ? null : plain(worst.max_rel)],
    ['max ULP', worst.max_ulp === null ? null : plain(worst.max_ulp)],
    ['share', typeof worst.share === 'number' ? `${(100 * worst.share).toPrecision(3)}% of its elements` : null],
    ['shape', worst.shape_of_difference]]));
  if (worst.ulp_histogram && worst.ulp_histogram.length > 1)
    box.append(make('h3', {}, 'Elements by distance in ULP'), histogram(worst.ulp_histogram));
  return box;
}

function groupsTable(job) {
  const counts = job.groups.map(() => 0);
  for (const run of job.runs) if (run[4] >= 0) counts[run[4]]++;
  const table = make('table', {class: 'small'}, make('tr', {}, ...['', 'fingerprint', 'sum', 'runs'].map(name => make('th', {}, name))));
  job.groups.slice(0, 40).forEach(([fingerprint, sum], i) => table.append(make('tr', {}, make('td', {}, letters(i)),
    make('td', {class: 'mono'}, fingerprint), make('td', {class: 'mono'}, sum), make('td', {}, String(counts[i])))));
  return make('div', {}, table, job.groups.length > 40 ? make('p', {class: 'dim'}, `and ${job.groups.length - 40} more`) : null);
}

function evidence(job) {
  const confidence = job.confidence || {};
  const bound = confidence.max_mismatch_rate_95;
  return pairs([['replays', plain(confidence.replays)],
    ['bound', typeof bound === 'number' ? `with 95% confidence fewer than ${(100 * bound).toPrecision(2)}% of further runs would differ` : null],
    ['p of dependence', confidence.dependence_p === null ? null : plain(confidence.dependence_p)]]);
}

function why(job) {
  const box = make('div', {class: 'why'}, make('h3', {}, 'Why'));
  for (const part of job.explained) {
    box.append(make('p', {}, make('b', {}, part.text)));
    if (part.says.length) box.append(make('ul', {class: 'says'}, ...part.says.map(text => make('li', {}, text))));
    if (part.growth) box.append(make('h3', {}, 'Growth, as explain saw it'), plotGrowth(part.growth));
  }
  return box;
}

function jobDetails(job) {
  const box = document.createDocumentFragment();
  box.append(make('div', {class: 'top'}, make('h2', {}, job.id), make('span', {class: 'pill ' + (TONES[job.outcome] || '')}, job.outcome),
    make('button', {type: 'button', title: 'close (Esc)', 'aria-label': 'close', onclick: close}, '✕')));
  box.append(make('p', {}, make('b', {}, job.judged), job.reason ? ` · ${job.reason}` : ''));
  if (job.says.length) box.append(make('ul', {class: 'says'}, ...job.says.map(text => make('li', {}, text))));
  if (job.explained) box.append(why(job));
  if (job.culprit) box.append(make('h3', {}, 'Culprit'), pairs(Object.entries(job.culprit).map(([key, value]) => [key, plain(value)])));
  if (job.axes.length) box.append(make('h3', {}, 'Axes'), axesTable(job));
  if (job.runs.length) box.append(make('h3', {}, 'Runs: one letter, one result'), runsGrid(job), make('div', {id: 'run'}));
  if (job.witness) {
    box.append(make('h3', {}, 'Witness'), pairs([['runs', `${job.witness.a} and ${job.witness.b}`], ['differ in', job.witness.differs_in.join(', ') || 'nothing that was set']]));
    if (data.directory) box.append(command(data.program, 'compare', `${data.directory}/${job.witness.a}`, `${data.directory}/${job.witness.b}`),
      command(data.program, 'rerun', data.directory, job.witness.b), command(data.program, 'explain', data.directory, '--job', job.id));
  }
  if (job.worst_tensor) box.append(worstDetails(job));
  if (job.growth) box.append(make('h3', {}, 'Growth: the largest difference after each step'), plotGrowth(job.growth));
  if (job.groups.length) box.append(make('h3', {}, 'Results'), groupsTable(job));
  box.append(make('h3', {}, 'Evidence'), evidence(job));
  if (job.limits && job.limits.length) box.append(make('ul', {class: 'says'}, ...job.limits.map(text => make('li', {}, text))));
  return box;
}

function at(job) {
  for (const row of document.querySelectorAll('tr.at')) row.classList.remove('at');
  rows.get(job).classList.add('at');
  rows.get(job).scrollIntoView({block: 'nearest'});
}

const isOpen = job => rows.get(job).classList.contains('open');

// The row whose details are shown, or none of them.
function mark(job) {
  for (const [one, row] of rows) {
    row.classList.toggle('open', one === job);
    row.firstChild.setAttribute('aria-expanded', one === job);
  }
}

function open(job) {
  if (state.job !== job.id) state.run = '';
  state.job = job.id;
  mark(job);
  $('details').replaceChildren(jobDetails(job));
  $('details').hidden = false;
  $('details').scrollTop = 0;
  // The run that was chosen; of a job that failed, the first that did.
  const chosen = job.runs.find(run => runId(run[0]) === state.run) || (job.witness ? null : job.runs.find(run => run[4] < 0));
  if (chosen) choose(job, chosen);
  keepState();
}

function choose(job, run) {
  state.run = runId(run[0]);
  $('run').replaceWith(runDetails(job, run));
  for (const button of document.querySelectorAll('.run')) button.classList.toggle('chosen', button.dataset.run === state.run);
  keepState();
}

function close() {
  state.job = state.run = '';
  $('details').hidden = true;
  mark(null);
  keepState();
}

// ---- Cost, manifest, head -------------------------------------------------------------------------------------------

function svg(tag, attributes, text) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// Decades upwards; a step without a difference stands on the ground, one without bound at the top.
function plotGrowth(growth) {
  const sizes = growth.map(point => typeof point.max_abs === 'number' ? point.max_abs : Infinity);
  const finite = sizes.filter(size => size > 0 && size < Infinity);
  const low = Math.floor(Math.log10(Math.min(...finite, 1))), high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...finite, 1e-300))));
  const left = 60, right = 500, top = 14, ground = 150, first = growth[0].step, last = growth[growth.length - 1].step;
  const x = step => left + (right - left) * (last > first ? (step - first) / (last - first) : 0);
  const y = size => size === 0 ? ground : size === Infinity ? top : top + (ground - 20 - top) * (high - Math.log10(size)) / (high - low);
  const plot = svg('svg', {viewBox: `0 0 520 ${ground + 24}`, role: 'img', 'aria-label': 'largest difference by step'});
  const every = Math.ceil((high - low) / 5);
  for (let decade = low; decade <= high; decade += every)
    plot.append(svg('line', {x1: left, x2: right, y1: y(10 ** decade), y2: y(10 ** decade)}), svg('text', {x: left - 8, y: y(10 ** decade) + 4, 'text-anchor': 'end', class: 'tick'}, `1e${decade}`));
  plot.append(svg('line', {x1: left, x2: right, y1: ground, y2: ground}), svg('text', {x: left - 8, y: ground + 4, 'text-anchor': 'end', class: 'tick'}, '0'));
  for (const [step, anchor] of [[first, 'start'], [last, 'end']])
    plot.append(svg('text', {x: x(step), y: ground + 18, 'text-anchor': anchor, class: 'tick'}, `step ${step}`));
  plot.append(svg('polyline', {points: growth.map((point, i) => `${x(point.step)},${y(sizes[i])}`).join(' '), class: 'line'}));
  growth.forEach((point, i) => {
    const dot = svg('circle', {cx: x(point.step), cy: y(sizes[i]), r: 3});
    dot.append(svg('title', {}, `step ${point.step}: ${plain(point.max_abs)}, ${plain(point.max_ulp)} ulp, ${(100 * point.share).toPrecision(2)}% of elements`));
    plot.append(dot);
  });
  return make('div', {class: 'plot'}, plot);
}

function plotCost() {
  const most = 60, jobs = data.jobs.filter(job => job.cost_of.times).sort((a, b) => b.cost_of.times - a.cost_of.times);
  if (!jobs.length) return;
  $('cost').hidden = false;
  const shown = jobs.slice(0, most), step = 20, left = 260, right = 640, width = 900, height = 40 + step * shown.length;
  const high = Math.max(1.1, ...shown.map(job => job.cost_of.times + (job.cost_of.sd || 0)));
  const x = times => left + (right - left) * Math.min(Math.max(times, 0), high) / high;
  const plot = svg('svg', {viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': 'time with deterministic=on over time without, by job'});
  const steps = high <= 2 ? .5 : high <= 5 ? 1 : Math.ceil(high / 5);
  for (let tick = 0; tick <= high; tick += steps)
    plot.append(svg('line', {x1: x(tick), x2: x(tick), y1: 20, y2: height - 10}), svg('text', {x: x(tick), y: 14, 'text-anchor': 'middle', class: 'tick'}, `${tick} ×`));
  plot.append(svg('line', {x1: x(1), x2: x(1), y1: 20, y2: height - 10, class: 'one'}));
  shown.forEach((job, i) => {
    const y = 34 + i * step, {times, sd} = job.cost_of;
    const name = job.id.length > 36 ? job.id.slice(0, 17) + '…' + job.id.slice(-18) : job.id;
    plot.append(svg('text', {x: left - 10, y: y + 4, 'text-anchor': 'end'}, name));
    if (sd) plot.append(svg('line', {x1: x(times - sd), x2: x(times + sd), y1: y, y2: y, class: 'bar'}));
    plot.append(svg('circle', {cx: x(times), cy: y, r: 4}), svg('text', {x: right + 16, y: y + 4}, job.cost));
  });
  $('plot').append(plot);
  if (jobs.length > most) $('plot').append(make('p', {class: 'dim'}, `and ${jobs.length - most} jobs that cost less`));
}

function showManifest() {
  const entries = [];
  for (const [name, value] of Object.entries(data.manifest || {})) {
    if (value && typeof value === 'object' && !Array.isArray(value))
      for (const [key, inner] of Object.entries(value)) entries.push([`${name}.${key}`, plain(inner)]);
    else entries.push([name, plain(value)]);
  }
  const isolation = data.isolation || {};
  entries.push(['isolation', isolation.mode], ['not isolated', (isolation.shared || []).join('; ')]);
  document.querySelector('#manifest > div').append(pairs(entries));
}

function showHead() {
  const manifest = data.manifest || {}, cpu = manifest.cpu || {}, git = manifest.git, tool = data.tool || {};
  $('suite').textContent = data.suite || 'command line';
  document.title = `${data.word} · ${data.suite || 'samebits'}`;
  $('word').textContent = data.word;
  if (data.tone) $('word').classList.add(data.tone);
  $('counts').textContent = data.counts;
  $('facts').textContent = [String(data.started || '').replace('T', ' ').replace('Z', ' UTC'), data.elapsed, cpu.model && `${cpu.model}, ${cpu.count} CPUs`,
    manifest.gpu && plain(manifest.gpu), git && git.commit && `commit ${git.commit.slice(0, 12)}${git.dirty ? ' (dirty)' : ''}`,
    tool.version && `samebits ${tool.version}`].filter(Boolean).join('  ·  ');
  $('baseline').textContent = data.baseline || '';
  $('baseline').hidden = !data.baseline;
  $('legend').textContent = `= same  ≠ differs  ? unknown  · inert, fixed or unavailable.  1=2|4: levels 1 and 2 agree, 4 differs.  ${data.legend}.`;
}

// ---- Theme and keys -------------------------------------------------------------------------------------------------

const preferred = matchMedia('(prefers-color-scheme: dark)');

function showTheme() {
  document.documentElement.dataset.theme = state.theme || (preferred.matches ? 'dark' : 'light');
}

function switchTheme() {
  state.theme = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
  showTheme();
  keepState();
}

function move(by) {
  const now = order.findIndex(job => rows.get(job).classList.contains('at'));
  const job = order[Math.min(Math.max(now + by, 0), order.length - 1)];
  if (!job) return;
  at(job);
  if (!$('details').hidden) open(job);
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $('keys').open) return;
  const typing = ['INPUT', 'SELECT'].includes(event.target.tagName);
  const actions = {'/': () => $('search').focus(), j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1),
    t: switchTheme, '?': () => $('keys').showModal(), Escape: close,
    Enter: () => { const job = order.find(one => rows.get(one).classList.contains('at')); if (job) open(job); }};
  if (typing && event.key === 'Escape') event.target.blur();
  else if (!typing && actions[event.key] && !(event.key === 'Enter' && ['BUTTON', 'TH', 'SUMMARY'].includes(event.target.tagName))) {
    actions[event.key]();
    event.preventDefault();
  }
}

function restore() {
  readState();
  showTheme();
  showFilters();
  arrange();
  const job = data.jobs.find(one => one.id === state.job);
  if (job) { at(job); open(job); }
  else { $('details').hidden = true; mark(null); }
}

// What most people look for; where details cover the matrix they wait to be asked.
function openOnlyFailure() {
  const [job] = data.jobs;
  if (data.jobs.length === 1 && !state.job && rank(['error', 'fail'], job.outcome) < 2 && innerWidth > 900) { at(job); open(job); }
}

makeTable();
makeFilters();
showHead();
plotCost();
showManifest();
restore();
openOnlyFailure();
$('theme').addEventListener('click', switchTheme);
$('help').addEventListener('click', () => $('keys').showModal());
document.addEventListener('keydown', pressed);
preferred.addEventListener('change', showTheme);
window.addEventListener('hashchange', restore);
