'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const $ = (id) => document.getElementById(id);
  const make = (tag, name, text) => {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const P = data.parameters;
  const verdicts = data.verdicts;
  const still = matchMedia('(prefers-reduced-motion: reduce)');

  // Theme: the system's, until the button is used.
  const root = document.documentElement;
  const dark = matchMedia('(prefers-color-scheme: dark)');
  try {
    const kept = localStorage.getItem('gradflow-theme');
    if (kept === 'dark' || kept === 'light') root.dataset.theme = kept;
  } catch (error) { /* a page from disk may have no storage: the theme is then not kept */ }
  $('theme').addEventListener('click', () => {
    const now = root.dataset.theme || (dark.matches ? 'dark' : 'light');
    root.dataset.theme = now === 'dark' ? 'light' : 'dark';
    try { localStorage.setItem('gradflow-theme', root.dataset.theme); } catch (error) { /* as above */ }
  });

  const badge = (verdict) => {
    const node = make('span', 'badge', verdicts[verdict][1]);
    node.style.background = `var(--mark-${verdicts[verdict][0]})`;
    node.setAttribute('aria-hidden', 'true');
    return node;
  };

  // The stage: one sheet, panned and zoomed by a transform.
  const stage = $('stage');
  const sheet = $('sheet');
  const views = [...sheet.querySelectorAll('.view')];
  let current = -1;
  let at = { x: 0, y: 0, k: 1 };
  const place = (glide) => {
    sheet.classList.toggle('glide', Boolean(glide) && !still.matches);
    sheet.style.transform = `translate(${at.x}px,${at.y}px) scale(${at.k})`;
  };
  const sizeOf = (view) => {
    const box = view.querySelector('svg').viewBox.baseVal;
    return { w: box.width * 4 / 3, h: box.height * 4 / 3 };
  };
  const fit = (glide) => {
    if (current < 0) return;
    const { w, h } = sizeOf(views[current]);
    const room = { w: stage.clientWidth - 24, h: stage.clientHeight - 84 };
    const k = Math.max(0.05, Math.min(room.w / w, room.h / h, 1.25));
    at = { k, x: (stage.clientWidth - w * k) / 2, y: 46 + Math.max(0, (room.h - h * k) / 2) };
    place(glide);
  };
  const zoom = (factor, cx, cy, glide) => {
    const k = Math.max(0.05, Math.min(8, at.k * factor));
    const f = k / at.k;
    at = { k, x: cx - (cx - at.x) * f, y: cy - (cy - at.y) * f };
    place(glide);
  };
  const centre = () => [stage.clientWidth / 2, stage.clientHeight / 2];
  const zoomTo = (element) => {
    const box = element.getBoundingClientRect();
    const frame = stage.getBoundingClientRect();
    const k = Math.max(at.k, Math.min(0.9, (frame.width * 0.6 * at.k) / Math.max(box.width, 1)));
    const cx = (box.x + box.width / 2 - frame.x - at.x) / at.k;
    const cy = (box.y + box.height / 2 - frame.y - at.y) / at.k;
    at = { k, x: stage.clientWidth / 2 - cx * k, y: stage.clientHeight / 2 - cy * k };
    place(true);
  };
  const boxOf = (view, number) => $(`v${view}-box${number}`);
  const show = (index) => {
    if (index < 0 || index >= views.length) return;
    views.forEach((view, number) => view.classList.toggle('on', number === index));
    current = index;
    $('legend').hidden = !data.views[index].arrows;
    $('tabs').replaceChildren();
    data.views.forEach((view, number) => {
      if (view.module && number !== index) return;
      const tab = make('button', '', view.label);
      tab.type = 'button';
      tab.setAttribute('aria-pressed', String(number === index));
      tab.addEventListener('click', () => show(number));
      $('tabs').append(tab);
    });
    fit(false);
  };
  const clearHits = () => sheet.querySelectorAll('.hit').forEach((node) => node.classList.remove('hit'));

  data.views.forEach((view, index) => {
    for (const [number, target] of Object.entries(view.boxes)) {
      const box = boxOf(index, number);
      if (!box) continue;
      box.setAttribute('tabindex', '0');
      box.setAttribute('role', 'button');
      const title = box.querySelector('title');
      if (title) box.setAttribute('aria-label', title.textContent);
      const act = () => (target.findings ? pick(target.findings[0]) : openModules(target.modules, view.module));
      box.addEventListener('click', () => { if (!dragged) act(); });
      box.addEventListener('keydown', (event) => {
        if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); event.stopPropagation(); act(); }
      });
    }
  });

  let hold = null;
  let dragged = false;
  stage.addEventListener('pointerdown', (event) => {
    if (event.button || event.target.closest('.bar-top')) return;
    hold = { x: event.clientX, y: event.clientY, from: { ...at } };
    dragged = false;
  });
  addEventListener('pointermove', (event) => {
    if (!hold) return;
    const dx = event.clientX - hold.x;
    const dy = event.clientY - hold.y;
    if (Math.abs(dx) + Math.abs(dy) > 4) { dragged = true; sheet.classList.add('moving'); }
    at = { k: hold.from.k, x: hold.from.x + dx, y: hold.from.y + dy };
    if (dragged) place(false);
  });
  addEventListener('pointerup', () => { hold = null; sheet.classList.remove('moving'); });
  stage.addEventListener('wheel', (event) => {
    event.preventDefault();
    const frame = stage.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / (event.deltaMode ? 12 : 400)), event.clientX - frame.x, event.clientY - frame.y, false);
  }, { passive: false });
  stage.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
    if (step) at = { k: at.k, x: at.x + step[0], y: at.y + step[1] };
    else if (event.key === '+' || event.key === '=') zoom(1.25, ...centre(), true);
    else if (event.key === '-') zoom(0.8, ...centre(), true);
    else if (event.key === '0') fit(true);
    else return;
    event.preventDefault();
    place(true);
  });
  $('in').addEventListener('click', () => zoom(1.25, ...centre(), true));
  $('out').addEventListener('click', () => zoom(0.8, ...centre(), true));
  $('fit').addEventListener('click', () => fit(true));
  addEventListener('resize', () => fit(false));

  // Findings.
  const cards = [...document.querySelectorAll('.finding')];
  // The page lists the worst first; the data has the report's order.
  const numberOf = (card) => Number(card.dataset.finding);
  let chosen = -1;
  function pick(index) {
    const again = chosen === index;
    chosen = again ? -1 : index;
    cards.forEach((card) => {
      card.classList.toggle('open', numberOf(card) === chosen);
      card.querySelector('button').setAttribute('aria-expanded', String(numberOf(card) === chosen));
    });
    clearHits();
    state.only = again ? null : { label: `finding ${cards.findIndex((card) => numberOf(card) === index) + 1}`, rows: new Set(data.findings[index]) };
    refresh();
    if (again) return;
    const card = cards.find((other) => numberOf(other) === index);
    card.scrollIntoView({ block: 'nearest' });
    for (let view = 0; view < data.views.length; view += 1) {
      const hit = Object.entries(data.views[view].boxes).find(([, target]) => (target.findings || []).includes(index));
      if (!hit) continue;
      if (current !== view) show(view);
      const box = boxOf(view, hit[0]);
      if (box) { fit(false); zoomTo(box); box.classList.add('hit'); }
      return;
    }
  }
  cards.forEach((card) => card.querySelector('button').addEventListener('click', () => pick(numberOf(card))));

  // The module tree, from the owners of parameters. Branches are built when they are opened.
  const tree = { path: '', name: '', children: new Map(), rows: [], kind: '' };
  P.owner.forEach((owner, row) => {
    let node = tree;
    node.rows.push(row);
    const [path, kind] = data.owners[owner];
    const parts = path ? path.split('.') : [];
    parts.forEach((part, depth) => {
      if (!node.children.has(part)) {
        const whole = parts.slice(0, depth + 1).join('.');
        node.children.set(part, { path: whole, name: part, children: new Map(), rows: [], kind: data.kinds[whole] || '' });
      }
      node = node.children.get(part);
      node.rows.push(row);
    });
    node.kind = kind || node.kind;
  });
  const tally = (rows) => {
    const counts = new Array(verdicts.length).fill(0);
    rows.forEach((row) => { counts[P.verdict[row]] += 1; });
    return counts;
  };
  const barOf = (rows) => {
    const bar = make('span', 'bar');
    const words = [];
    tally(rows).forEach((count, verdict) => {
      if (!count) return;
      const part = make('span');
      part.style.flex = String(Math.max(count, rows.length * 0.08));
      part.style.background = `var(--mark-${verdicts[verdict][0]})`;
      bar.append(part);
      words.push(`${count} ${verdicts[verdict][0]}`);
    });
    bar.title = words.join(', ');
    return bar;
  };
  const treeItem = (node, depth) => {
    const item = make('li');
    item.setAttribute('role', 'treeitem');
    item.tabIndex = -1;
    item.dataset.path = node.path;
    const line = make('div', 'node');
    line.style.paddingLeft = `${4 + depth * 13}px`;
    const fold = make('span', 'fold', node.children.size ? '▸' : '');
    line.append(fold, make('span', 'mono', node.name), make('span', 'kind mono', node.kind), barOf(node.rows));
    item.append(line);
    const words = tally(node.rows).map((count, verdict) => (count ? `${count} ${verdicts[verdict][0]}` : '')).filter(Boolean);
    item.setAttribute('aria-label', `${node.path} ${node.kind}: ${words.join(', ')}`);
    const set = (open) => {
      if (!node.children.size) return;
      item.setAttribute('aria-expanded', String(open));
      fold.textContent = open ? '▾' : '▸';
      let list = item.querySelector('ul');
      if (open && !list) {
        list = make('ul');
        list.setAttribute('role', 'group');
        for (const child of node.children.values()) list.append(treeItem(child, depth + 1));
        item.append(list);
      }
      if (list) list.hidden = !open;
    };
    if (node.children.size) item.setAttribute('aria-expanded', 'false');
    item.open = set;
    fold.addEventListener('click', (event) => { event.stopPropagation(); set(item.getAttribute('aria-expanded') !== 'true'); });
    line.addEventListener('click', () => { focusItem(item); set(true); openModules([node.path], ''); });
    const kinds = new Set(node.rows.map((row) => verdicts[P.verdict[row]][0]));
    if (kinds.size > 1) set(depth < 4);
    return item;
  };
  const focusItem = (item) => {
    $('tree').querySelectorAll('[role=treeitem][tabindex="0"]').forEach((other) => { other.tabIndex = -1; });
    item.tabIndex = 0;
    item.focus();
  };
  for (const child of tree.children.values()) $('tree').append(treeItem(child, 0));
  const first = $('tree').querySelector('[role=treeitem]');
  if (first) first.tabIndex = 0;
  if (tree.children.size === 1 && first) first.open(true);
  $('tree').addEventListener('keydown', (event) => {
    const item = event.target.closest('[role=treeitem]');
    if (!item) return;
    const seen = [...$('tree').querySelectorAll('[role=treeitem]')].filter((other) => !other.parentElement.closest('ul[hidden]'));
    const index = seen.indexOf(item);
    const open = item.getAttribute('aria-expanded');
    if (event.key === 'ArrowDown') focusItem(seen[Math.min(index + 1, seen.length - 1)]);
    else if (event.key === 'ArrowUp') focusItem(seen[Math.max(index - 1, 0)]);
    else if (event.key === 'ArrowRight' && open === 'false') item.open(true);
    else if (event.key === 'ArrowLeft' && open === 'true') item.open(false);
    else if (event.key === 'ArrowLeft') { const up = item.parentElement.closest('[role=treeitem]'); if (up) focusItem(up); }
    else if (event.key === 'Enter' || event.key === ' ') openModules([item.dataset.path], '');
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  const canonical = (path) => {
    let whole = '';
    path.split('.').forEach((part) => {
      whole = whole ? `${whole}.${part}` : part;
      whole = data.alias[whole] || whole;
    });
    return whole;
  };
  function openModules(modules, from) {
    const inside = (row) => modules.some((path) => {
      const owner = data.owners[P.owner[row]][0];
      return owner === path || owner.startsWith(`${path}.`);
    });
    const rows = new Set(P.owner.map((_, row) => row).filter(inside));
    chosen = -1;
    cards.forEach((card) => { card.classList.remove('open'); card.querySelector('button').setAttribute('aria-expanded', 'false'); });
    const label = modules.length > 1 ? `${modules[0]} - ${modules[modules.length - 1]}` : modules[0];
    state.only = { label, rows };
    refresh();
    const goal = canonical(modules[0]);
    clearHits();
    const view = data.views.findIndex((other) => other.module === goal);
    if (view >= 0 && goal !== from) { show(view); return; }
    const here = current < 0 ? null : Object.entries(data.views[current].boxes).find(([, target]) => (target.modules || []).includes(modules[0]));
    if (here) boxOf(current, here[0]).classList.add('hit');
  }

  // The table. Above 2,000 rows only those in sight are in the page.
  const MANY = 2000;
  const HEIGHT = 24;
  const state = { text: '', on: new Set(verdicts.map((_, index) => index)), key: 'order', down: false, only: null };
  const columns = [
    ['order', 'parameter', (row) => row],
    ['shape', 'shape', null],
    ['elements', 'elements', (row) => P.elements[row]],
    ['verdict', 'status', (row) => P.verdict[row]],
    ['grad', 'gradient norm (log scale)', (row) => P.grad[row]],
    ['ratio', '|g| / |w|', (row) => ratio(row)],
    ['steps', data.steps > 1 ? 'over steps' : 'live in', (row) => P.live[row][0] / Math.max(P.live[row][1], 1)],
  ];
  const ratio = (row) => (P.grad[row] !== null && P.weight[row] ? P.grad[row] / P.weight[row] : null);
  const norms = P.grad.filter((value) => value > 0).map(Math.log10);
  const low = Math.floor(norms.reduce((least, value) => Math.min(least, value), 0)) - 0.5;
  const high = Math.max(norms.reduce((most, value) => Math.max(most, value), -9), low + 1);
  const ratios = P.grad.map((_, row) => ratio(row)).filter((value) => value > 0).map(Math.log10);
  const lowRatio = Math.floor(ratios.reduce((least, value) => Math.min(least, value), 0)) - 0.5;
  const share = (value, from, to) => Math.max(0.02, Math.min(1, (Math.log10(value) - from) / (to - from)));
  const head = $('head');
  columns.forEach(([key, label, sorts]) => {
    const cell = make('th', key === 'elements' ? 'num' : '');
    cell.scope = 'col';
    const button = make('button', '', label);
    button.type = 'button';
    if (!sorts) button.disabled = true;
    button.addEventListener('click', () => {
      state.down = state.key === key ? !state.down : key !== 'order' && key !== 'verdict';
      state.key = key;
      refresh();
    });
    cell.dataset.key = key;
    cell.append(button);
    head.append(cell);
  });
  data.order.forEach((index) => {
    const word = verdicts[index][0];
    if (!P.verdict.includes(index)) return;
    const label = make('label');
    const box = make('input');
    box.type = 'checkbox';
    box.checked = true;
    box.dataset.verdict = word;
    box.addEventListener('change', () => { if (box.checked) state.on.add(index); else state.on.delete(index); refresh(); });
    label.append(box, badge(index), make('span', '', word));
    $('verdicts').append(label);
  });
  $('filter').addEventListener('input', () => { state.text = $('filter').value; refresh(); });
  $('only').addEventListener('click', () => { state.only = null; clearHits(); refresh(); });

  const e = (value) => (value === 0 ? '0' : value.toExponential(1));
  const lineOf = (row) => {
    const line = make('tr');
    const name = make('td', 'name mono', P.name[row]);
    name.title = P.name[row];
    if (verdicts[P.verdict[row]][0] !== 'live') name.style.color = `var(--text-${verdicts[P.verdict[row]][0]})`;
    const status = make('td');
    const words = make('span', 'status');
    words.append(badge(P.verdict[row]), make('span', '', verdicts[P.verdict[row]][0]));
    words.title = P.because[row] || verdicts[P.verdict[row]][2];
    status.append(words);
    const grad = make('td');
    if (P.grad[row] === null) grad.textContent = 'none';
    else {
      const bar = make('span', 'norm');
      bar.style.width = `${Math.round(P.grad[row] > 0 ? 110 * share(P.grad[row], low, high) : 0)}px`;
      grad.append(bar, make('span', '', e(P.grad[row])));
    }
    const part = make('td');
    if (ratio(row) !== null) {
      const bar = make('span', 'norm ratio');
      bar.style.width = `${Math.round(ratio(row) > 0 ? 60 * share(ratio(row), lowRatio, 0) : 0)}px`;
      part.append(bar, make('span', '', e(ratio(row))));
    }
    const steps = make('td');
    if (P.history[row].length > 1) steps.append(spark(row));
    steps.append(make('span', '', ` ${P.live[row][0]}/${P.live[row][1]}`));
    line.append(name, make('td', 'mono', P.shape[row]), make('td', 'num', P.elements[row].toLocaleString('en')), status, grad, part, steps);
    return line;
  };
  const spark = (row) => {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    const values = P.history[row];
    svg.setAttribute('class', 'spark');
    svg.setAttribute('width', String(values.length * 4));
    svg.setAttribute('height', '14');
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-label', `gradient norm by step: ${values.map((value) => (value === null ? 'none' : e(value))).join(', ')}`);
    values.forEach((value, index) => {
      const bar = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
      const height = value ? 2 + 12 * share(value, low, high) : 2;
      bar.setAttribute('x', String(index * 4));
      bar.setAttribute('width', '3');
      bar.setAttribute('y', String(14 - height));
      bar.setAttribute('height', String(height));
      if (value === null) bar.setAttribute('class', verdicts[P.verdict[row]][0] === 'frozen' ? 'still' : 'no');
      svg.append(bar);
    });
    return svg;
  };

  let shown = [];
  let drawn = '';
  const body = $('body');
  const pane = $('rows');
  const gap = (height) => { const line = make('tr'); const cell = make('td'); cell.colSpan = columns.length; cell.style.height = `${height}px`; line.append(cell); return line; };
  const draw = (all) => {
    const many = !all && shown.length > MANY;
    const from = many ? Math.max(0, Math.floor(pane.scrollTop / HEIGHT) - 20) : 0;
    const to = many ? Math.min(shown.length, from + Math.ceil(pane.clientHeight / HEIGHT) + 40) : shown.length;
    const key = `${from}-${to}-${many}`;
    if (key === drawn) return;
    drawn = key;
    const lines = shown.slice(from, to).map(lineOf);
    if (many) { lines.unshift(gap(from * HEIGHT)); lines.push(gap((shown.length - to) * HEIGHT)); }
    body.replaceChildren(...lines);
  };
  function refresh() {
    let match = () => true;
    $('filter').classList.remove('bad');
    if (state.text) {
      try {
        const pattern = new RegExp(state.text, 'i');
        match = (name) => pattern.test(name);
      } catch (error) {
        $('filter').classList.add('bad');
        match = (name) => name.toLowerCase().includes(state.text.toLowerCase());
      }
    }
    shown = [];
    for (let row = 0; row < P.name.length; row += 1) {
      if (state.on.has(P.verdict[row]) && (!state.only || state.only.rows.has(row)) && match(P.name[row])) shown.push(row);
    }
    const value = (columns.find(([key]) => key === state.key) || columns[0])[2];
    const sign = state.down ? -1 : 1;
    // What is not known comes last, whichever way it is sorted.
    shown.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === null || y === null) return (x === null) - (y === null) || a - b;
      return sign * (x - y) || a - b;
    });
    head.querySelectorAll('th').forEach((cell) => {
      if (cell.dataset.key === state.key) cell.setAttribute('aria-sort', state.down ? 'descending' : 'ascending');
      else cell.removeAttribute('aria-sort');
    });
    $('total').textContent = `${shown.length.toLocaleString('en')} of ${P.name.length.toLocaleString('en')}`;
    $('only').hidden = !state.only;
    if (state.only) $('only').textContent = `${state.only.label} ×`;
    pane.scrollTop = 0;
    drawn = '';
    draw(false);
  }
  pane.addEventListener('scroll', () => draw(false));
  addEventListener('beforeprint', () => { drawn = ''; draw(true); });
  addEventListener('afterprint', () => { drawn = ''; draw(false); });
  addEventListener('keydown', (event) => {
    if (event.key === '/' && !/INPUT|TEXTAREA/.test(event.target.tagName)) { event.preventDefault(); $('filter').focus(); }
    if (event.key === 'Escape') { $('filter').value = ''; state.text = ''; state.only = null; clearHits(); refresh(); }
  });

  refresh();
  if (views.length) show(0);
})();
