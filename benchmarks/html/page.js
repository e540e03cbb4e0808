"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const NS = "http://www.w3.org/2000/svg";
  const DASHES = ["", "6 3", "2 3", "8 3 2 3"];
  const hidden = new Set();
  const tip = document.getElementById("tip");
  const state = { set: data.sets[0].name, metric: data.sets[0].metrics[0].key };
  const manyReferences = Object.keys(data.references).length > 4;
  if (manyReferences) Object.keys(data.references).forEach((name) => hidden.add(name));

  // Elements are made of names and text, never of markup: names of files and codecs may hold anything.
  const make = (parent, name, attributes = {}, text = null) => {
    const svg = parent.namespaceURI === NS || name === "svg";
    const element = svg ? document.createElementNS(NS, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== null) element.textContent = text;
    parent.append(element);
    return element;
  };
  const colour = (name) => `var(--c${data.styles[name] ? data.styles[name].colour : 8})`;
  const labelOf = (name) => (data.styles[name] ? data.styles[name].label : name);
  const minus = (text) => text.replace("-", "\u2212");

  const SHAPES = [
    (r) => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
    (r) => `M${-r * 0.9} ${-r * 0.9}h${r * 1.8}v${r * 1.8}h${-r * 1.8}z`,
    (r) => `M0 ${-r * 1.15}l${r * 1.1} ${r * 1.95}h${-r * 2.2}z`,
    (r) => `M0 ${-r * 1.3}l${r * 1.15} ${r * 1.3}l${-r * 1.15} ${r * 1.3}l${-r * 1.15} ${-r * 1.3}z`,
    (r) => `M0 ${r * 1.15}l${r * 1.1} ${-r * 1.95}h${-r * 2.2}z`,
    (r) => {
      const t = r * 0.42, u = r * 1.1;
      return `M${-t} ${-u}h${2 * t}v${u - t}h${u - t}v${2 * t}h${t - u}v${u - t}h${-2 * t}v${t - u}h${t - u}v${-2 * t}h${u - t}z`;
    },
  ];
  const mark = (parent, style, x, y, radius, paint) =>
    make(parent, "path", { class: "mark", d: SHAPES[style.mark](radius), transform: `translate(${x} ${y})`, fill: paint });

  // Scales
  const linear = (low, high, from, to) => (value) => from + ((value - low) / (high - low || 1)) * (to - from);
  const logarithmic = (low, high, from, to) => {
    const scale = linear(Math.log(low), Math.log(high), from, to);
    return (value) => scale(Math.log(value));
  };
  const niceTicks = (low, high, count) => {
    const raw = (high - low) / count || 1;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= raw);
    const ticks = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(Number((i * step).toPrecision(12)));
    return ticks;
  };
  const decadeTicks = (low, high) => {
    const ticks = [];
    for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p++)
      for (const n of [1, 2, 5]) if (n * 10 ** p >= low * 0.999 && n * 10 ** p <= high * 1.001) ticks.push(Number((n * 10 ** p).toPrecision(6)));
    return ticks;
  };
  const SIMILARITIES = [0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 0.998, 0.999];
  const lacking = (value) => -10 * Math.log10(Math.max(1 - value, 1e-10));
  // Drops ticks that would touch the one kept before.
  const apart = (ticks, at, least) => {
    const kept = [];
    for (const tick of ticks) if (!kept.length || Math.abs(at(tick) - at(kept[kept.length - 1])) >= least) kept.push(tick);
    return kept;
  };

  // Moves labels off each other, in their order.
  const spread = (labels, gap, top, bottom) => {
    labels.sort((a, b) => a.y - b.y);
    labels.forEach((l, i) => { l.at = Math.max(l.y, i ? labels[i - 1].at + gap : top); });
    for (let i = labels.length - 1, limit = bottom; i >= 0; i--) {
      labels[i].at = Math.min(labels[i].at, limit);
      limit = labels[i].at - gap;
    }
  };

  // Of a plot that is hidden, and of all on paper, what it would be.
  let paper = 0;
  const widthOf = (host) => {
    const whole = paper || document.querySelector("main").clientWidth;
    const halved = host.closest(".pair") && whole >= 700;
    return Math.max(280, (paper ? 0 : host.clientWidth) || (halved ? (whole - 40) / 2 : whole));
  };
  const frame = (host, description, least) => {
    const width = widthOf(host);
    const wide = width >= 620;
    const height = Math.round(Math.max(least || 270, Math.min(470, width * (wide ? 0.52 : 0.82))));
    host.replaceChildren();
    const svg = make(host, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": description });
    return { svg, width, height, wide };
  };
  const axes = (svg, box, x, y) => {
    for (const tick of y.ticks) {
      make(svg, "line", { class: tick === y.zero ? "zero" : "grid", x1: box.left, x2: box.right, y1: y.at(tick), y2: y.at(tick) });
      make(svg, "text", { x: box.left - 8, y: y.at(tick) + 4, "text-anchor": "end" }, y.text(tick));
    }
    for (const tick of x.ticks) {
      make(svg, "line", { class: "grid", x1: x.at(tick), x2: x.at(tick), y1: box.top, y2: box.bottom });
      make(svg, "text", { x: x.at(tick), y: box.bottom + 18, "text-anchor": "middle" }, x.text(tick));
    }
    make(svg, "text", { x: (box.left + box.right) / 2, y: box.bottom + 38, "text-anchor": "middle" }, x.title);
    make(svg, "text", { x: box.left - 40, y: box.top - 10 }, y.title);
  };
  const hover = (host, svg, width, points) => {
    const show = (event) => {
      const bounds = svg.getBoundingClientRect();
      const zoom = bounds.width / width;
      const [x, y] = [(event.clientX - bounds.left) / zoom, (event.clientY - bounds.top) / zoom];
      let best = null, least = 28;
      for (const point of points) {
        const distance = Math.hypot(point.x - x, point.y - y);
        if (distance < least) [best, least] = [point, distance];
      }
      tip.hidden = !best;
      host.classList.toggle("focused", Boolean(best));
      host.querySelectorAll(".series").forEach((g) => g.classList.toggle("focus", Boolean(best) && g.dataset.name === best.name));
      if (!best) return;
      tip.textContent = best.text;
      const left = Math.min(event.clientX + 14, document.documentElement.clientWidth - tip.offsetWidth - 6);
      tip.style.left = `${Math.max(4, left)}px`;
      tip.style.top = `${Math.max(4, event.clientY - tip.offsetHeight - 12)}px`;
    };
    svg.addEventListener("pointermove", show);
    svg.addEventListener("pointerdown", show);
    svg.addEventListener("pointerleave", () => { tip.hidden = true; host.classList.remove("focused"); });
  };

  // Lines with their names at the right end where there is room. series: {name, label, style, points: [[x, y, text]]}
  const lines = (host, description, series, options) => {
    const { svg, width, height, wide } = frame(host, description);
    const named = wide || options.named;
    const room = named ? Math.min(180, Math.max(0, ...series.map((s) => s.label.length)) * 6.7 + 24) : 14;
    const box = { left: 48, right: width - room, top: 30, bottom: height - 48 };
    const every = series.flatMap((s) => s.points);
    if (!every.length) {
      make(svg, "text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "Nothing to show: every codec is switched off, or none reaches a rate on all pictures.");
      return;
    }
    const up = options.similarity ? lacking : (value) => value;
    const xs = options.xs || every.map((p) => p[0]), ys = every.map((p) => up(p[1]));
    const margin = (Math.max(...ys) - Math.min(...ys) || 1) * 0.05;
    const scale = linear(Math.min(...ys) - margin, Math.max(...ys) + margin, box.bottom, box.top);
    const across = (options.log ? logarithmic : linear)(Math.min(...xs), Math.max(...xs), box.left + 8, box.right - 8);
    const y = { at: (value) => scale(up(value)), title: options.yTitle };
    const inside = (tick) => y.at(tick) <= box.bottom && y.at(tick) >= box.top;
    y.ticks = options.similarity ? apart(SIMILARITIES.filter(inside), y.at, 24) : niceTicks(Math.min(...ys), Math.max(...ys), height / 50).filter(inside);
    y.text = (tick) => minus(String(tick));
    const x = { at: across, title: options.xTitle, ticks: apart(options.xTicks, across, 30), text: String };
    axes(svg, box, x, y);
    const points = [], labels = [];
    for (const s of series) {
      const paint = `var(--c${s.style.colour})`;
      const group = make(svg, "g", { class: `series${s.style.ours ? " ours" : ""}`, "data-name": s.name });
      const path = s.points.map((p, i) => `${i ? "L" : "M"}${x.at(p[0]).toFixed(1)} ${y.at(p[1]).toFixed(1)}`).join("");
      if (path) make(group, "path", { class: "line", d: path, stroke: paint, "stroke-dasharray": DASHES[s.style.dash] });
      for (const p of s.points) {
        mark(group, s.style, x.at(p[0]).toFixed(1), y.at(p[1]).toFixed(1), s.style.ours ? 4.4 : s.style.reference ? 2.6 : 3.6, paint);
        points.push({ x: x.at(p[0]), y: y.at(p[1]), name: s.name, text: `${s.label}\n${p[2]}` });
      }
      const last = s.points[s.points.length - 1];
      if (last && named) labels.push({ s, group, paint, x: x.at(last[0]), y: y.at(last[1]) });
    }
    spread(labels, 15, box.top, box.bottom);
    for (const l of labels) {
      make(l.group, "path", { class: "leader", stroke: l.paint, d: `M${l.x + 6} ${l.y}L${box.right + 6} ${l.at}` });
      make(l.group, "text", { class: `name${l.s.style.ours ? " ours" : ""}`, x: box.right + 10, y: l.at + 4, style: `fill: ${l.paint}` }, l.s.label);
    }
    hover(host, svg, width, points);
  };

  const setOf = (name) => data.sets.find((set) => set.name === name);
  const drawRate = (host) => {
    const set = setOf(host.dataset.set);
    const metric = set.metrics.find((m) => m.key === host.dataset.metric);
    const digits = metric.similarity ? 4 : 2;
    const curve = (name, points) => ({
      name, label: labelOf(name), style: data.styles[name],
      points: points.bpp.map((bpp, i) => [bpp, points[metric.key][i], `${points[metric.key][i].toFixed(digits)} ${metric.unit} at ${bpp.toFixed(3)} bpp`]),
    });
    const series = Object.entries(set.codecs).map(([name, codec]) => curve(name, codec.points));
    const low = set.rates[0] * 0.9, high = set.rates[set.rates.length - 1] * 1.08;
    if (set.name === data.reference_set)
      for (const [name, lists] of Object.entries(data.references)) {
        if (!lists[metric.key]) continue;
        const line = curve(name, lists);
        line.points = line.points.filter((p) => p[0] >= low && p[0] <= high);
        series.push(line);
      }
    const shown = series.filter((s) => !hidden.has(s.name) && s.points.length);
    lines(host, `${metric.label} against rate, ${set.name}; the table below holds the numbers`, shown, {
      log: true, xs: [low, high], xTicks: set.rates, similarity: metric.similarity,
      xTitle: "bits a pixel", yTitle: metric.unit ? `${metric.label}, ${metric.unit}` : metric.label,
    });
  };

  // Speed against bytes at equal quality: marks with the quartiles of the speed.
  const drawSpeed = (host) => {
    const set = setOf(host.dataset.set), what = host.dataset.what;
    const anchor = document.getElementById("anchor").value;
    const found = Object.entries(set.codecs)
      .filter(([name, codec]) => !hidden.has(name) && codec.speed[what])
      .map(([name, codec]) => {
        const delta = (codec.delta[host.dataset.metric] || {})[anchor];
        return { name, style: data.styles[name], label: labelOf(name), speed: codec.speed[what], size: name === anchor ? 0 : delta ? delta[0] : null };
      })
      .filter((each) => each.size !== null);
    const { svg, width, height } = frame(host, `${what} speed against bytes at equal quality, ${set.name}`, 300);
    if (!found.length) {
      make(svg, "text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "Nothing to compare with this codec.");
      return;
    }
    const box = { left: 48, right: width - 12, top: 30, bottom: height - 48 };
    const speeds = found.flatMap((each) => each.speed), sizes = found.map((each) => each.size);
    const [low, high] = [Math.min(...speeds) / 1.5, Math.max(...speeds) * 1.9];
    const margin = (Math.max(...sizes) - Math.min(...sizes) || 10) * 0.09;
    const x = { at: logarithmic(low, high, box.left, box.right), title: `${what}, megapixels a second on one core` };
    x.ticks = apart(decadeTicks(low, high), x.at, 34);
    x.text = String;
    const [bottom, top] = [Math.min(...sizes) - margin, Math.max(...sizes) + margin];
    const y = { at: linear(bottom, top, box.bottom, box.top), title: `bytes at equal quality, % against ${labelOf(anchor)}`, zero: 0 };
    y.ticks = niceTicks(bottom, top, height / 50);
    y.text = (tick) => minus((tick > 0 ? "+" : "") + tick);
    axes(svg, box, x, y);
    const taken = found.map((each) => {
      const [at, middle] = [y.at(each.size), x.at(each.speed[1])];
      return { left: middle - 6, right: middle + 6, y: at + 4 };
    });
    const points = [];
    for (const each of found.sort((a, b) => b.style.ours - a.style.ours)) {
      const paint = colour(each.name), at = y.at(each.size), [least, median, most] = each.speed.map(x.at);
      const group = make(svg, "g", { class: `series${each.style.ours ? " ours" : ""}`, "data-name": each.name });
      make(group, "path", { class: "line", stroke: paint, d: `M${least} ${at}H${most}`, "stroke-opacity": 0.45 });
      mark(group, each.style, median, at, 5.5, paint);
      const size = each.label.length * 6.6 + 4;
      const places = [[8, -8], [-8 - size, -8], [8, 17], [-8 - size, 17], [8, -22], [8, 31], [-8 - size, -22], [-8 - size, 31]];
      const free = ([dx, dy]) => median + dx > box.left && median + dx + size < box.right + 10 &&
        taken.every((t) => median + dx > t.right || median + dx + size < t.left || Math.abs(at + dy - t.y) > 11);
      const [dx, dy] = places.find(free) || places[0];
      taken.push({ left: median + dx, right: median + dx + size, y: at + dy });
      make(group, "text", { class: `name${each.style.ours ? " ours" : ""}`, x: median + dx, y: at + dy, style: `fill: ${paint}` }, each.label);
      const [q1, q2, q3] = each.speed;
      points.push({ x: median, y: at, name: each.name, text: `${each.label}\n${q2} MP/s (quartiles ${q1} to ${q3})\n${minus(each.size.toFixed(1))} % bytes` });
    }
    hover(host, svg, width, points);
  };

  const drawLoss = (host) => {
    const found = data.loss[Number(host.dataset.number)];
    const panel = found.panels[host.dataset.panel];
    const looks = {};
    const series = Object.entries(panel).map(([name, points]) => {
      const bursts = name.endsWith(", bursts");
      const codec = bursts ? name.slice(0, -", bursts".length) : name;
      const known = data.styles[`farlook:${codec}`] || data.styles[codec];
      looks[codec] = looks[codec] ?? Object.keys(looks).length;
      const base = known || { colour: [1, 4, 0, 2][looks[codec] % 4], mark: looks[codec] % 6, ours: codec.startsWith("block8") };
      return {
        name, label: name, style: { ...base, dash: bursts ? 1 : 0 },
        points: points.map((p) => [p[0], p[1], `${p[1].toFixed(2)} dB with ${p[0]} % lost`]),
      };
    });
    const ticks = [...new Set(series.flatMap((s) => s.points.map((p) => p[0])))].sort((a, b) => a - b);
    lines(host, `${host.dataset.panel}: ${found.axes[1]} by ${found.axes[0]}`, series, { named: true, xTicks: ticks, xTitle: found.axes[0], yTitle: found.axes[1] });
  };

  // Latency: a bar for each direction, of the mean time of every stage; a line to the 99th percentile.
  const drawLatency = (host) => {
    const profile = data.latency[Number(host.dataset.number)];
    const width = widthOf(host), row = 62;
    const height = profile.phases.length * row + 46;
    host.replaceChildren();
    const svg = make(host, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `milliseconds a frame, ${profile.codec}; the table below holds the numbers` });
    const box = { left: 62, right: width - 16, top: 6, bottom: height - 40 };
    const most = Math.max(...profile.phases.flatMap((p) => [p.whole.p99, p.whole.mean])) * 1.04;
    const x = linear(0, most, box.left, box.right);
    for (const tick of niceTicks(0, most, Math.max(3, width / 90))) {
      make(svg, "line", { class: "grid", x1: x(tick), x2: x(tick), y1: box.top, y2: box.bottom });
      make(svg, "text", { x: x(tick), y: box.bottom + 16, "text-anchor": "middle" }, String(tick));
    }
    make(svg, "text", { x: (box.left + box.right) / 2, y: box.bottom + 34, "text-anchor": "middle" }, "milliseconds a frame");
    const points = [];
    const order = [...new Set(profile.phases.flatMap((p) => Object.keys(p.stages)))];
    const paints = [1, 5, 4, 2, 3, 7, 8];
    profile.phases.forEach((phase, index) => {
      const y = box.top + index * row + 12;
      make(svg, "text", { x: 0, y: y + 20 }, phase.direction);
      let start = 0;
      for (const [name, mean] of Object.entries(phase.stages)) {
        const paint = name === "other" ? "var(--c9)" : `var(--c${paints[order.indexOf(name) % paints.length]})`;
        const from = x(start), to = x(start + mean);
        const group = make(svg, "g", { class: "series", "data-name": name });
        make(group, "rect", { x: from, y, width: Math.max(0.5, to - from - 1), height: 28, fill: paint });
        if (to - from > name.length * 7 + 10) make(group, "text", { x: from + 7, y: y + 18, style: "fill: var(--paper)" }, name);
        points.push({ x: (from + to) / 2, y: y + 14, name, text: `${phase.direction}, ${name}\n${mean.toPrecision(3)} ms on average` });
        start += mean;
      }
      make(svg, "path", { class: "line", stroke: "var(--ink)", d: `M${x(phase.whole.p50)} ${y + 36}H${x(phase.whole.p99)}M${x(phase.whole.p50)} ${y + 32}v8M${x(phase.whole.p99)} ${y + 32}v8` });
      points.push({ x: x(phase.whole.p99), y: y + 36, name: "", text: `${phase.direction}\nmedian ${phase.whole.p50.toPrecision(3)} ms, 99th percentile ${phase.whole.p99.toPrecision(3)} ms` });
    });
    hover(host, svg, width, points);
  };

  const DRAWERS = { rate: drawRate, speed: drawSpeed, loss: drawLoss, latency: drawLatency };
  const draw = (kinds) => document.querySelectorAll(".plot").forEach((host) => {
    if (!kinds || kinds.includes(host.dataset.kind)) DRAWERS[host.dataset.kind](host);
  });

  // Panels: one for each set and figure of merit; the others are hidden, but printed.
  const showPanels = () => {
    document.querySelectorAll(".panel[data-set]").forEach((panel) => {
      panel.hidden = panel.dataset.set !== state.set || panel.dataset.metric !== state.metric;
    });
  };
  const radios = (host, name, values, current, changed) => {
    host.querySelectorAll("label").forEach((label) => label.remove());
    for (const [value, text] of values) {
      const label = make(host, "label");
      const input = make(label, "input", { type: "radio", name, value });
      input.checked = value === current;
      make(label, "span", {}, text);
      input.addEventListener("change", () => changed(value));
    }
  };
  const choices = () => {
    const set = setOf(state.set);
    const sets = document.getElementById("set-choice");
    if (sets) radios(sets, "set", data.sets.map((s) => [s.name, s.name]), state.set, (value) => {
      state.set = value;
      const keys = setOf(value).metrics.map((m) => m.key);
      if (!keys.includes(state.metric)) state.metric = keys[0];
      choices();
      document.querySelector(`input[name="set"]:checked`).focus();
    });
    radios(document.getElementById("metric-choice"), "metric", set.metrics.map((m) => [m.key, m.label]), state.metric, (value) => {
      state.metric = value;
      showPanels();
      draw(["rate", "speed"]);
    });
    showPanels();
    draw(["rate", "speed"]);
  };

  const legend = document.getElementById("legend");
  const swatch = (button, style) => {
    const svg = make(button, "svg", { width: 30, height: 14, viewBox: "0 0 30 14", "aria-hidden": "true" });
    const paint = `var(--c${style.colour})`;
    make(svg, "path", { d: "M1 7H29", stroke: paint, "stroke-width": style.ours ? 2.8 : 1.6, "stroke-dasharray": DASHES[style.dash] });
    mark(svg, style, 15, 7, style.ours ? 4.4 : 3.6, paint);
  };
  const entry = (host, name) => {
    const button = make(host, "button", { type: "button", "aria-pressed": String(!hidden.has(name)), "data-name": name });
    swatch(button, data.styles[name]);
    make(button, "span", {}, labelOf(name));
    button.addEventListener("click", () => {
      if (hidden.has(name)) hidden.delete(name);
      else hidden.add(name);
      button.setAttribute("aria-pressed", String(!hidden.has(name)));
      draw(["rate", "speed"]);
    });
    const focus = (on) => document.querySelectorAll('.plot[data-kind="rate"], .plot[data-kind="speed"]').forEach((plot) => {
      plot.classList.toggle("focused", on && !hidden.has(name));
      plot.querySelectorAll(".series").forEach((g) => g.classList.toggle("focus", on && g.dataset.name === name));
    });
    button.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && focus(true));
    button.addEventListener("pointerleave", () => focus(false));
  };
  const codecs = Object.keys(data.styles).filter((name) => !data.styles[name].reference);
  codecs.forEach((name) => entry(legend, name));
  const references = Object.keys(data.references);
  if (references.length) {
    const details = make(legend, "details");
    if (!manyReferences) details.open = true;
    make(details, "summary", {}, `${references.length} curves that others have published, on ${data.reference_set}`);
    const list = make(details, "div");
    references.forEach((name) => entry(list, name));
  }

  const anchor = document.getElementById("anchor");
  if (anchor) {
    codecs.forEach((name) => make(anchor, "option", { value: name }, labelOf(name)));
    anchor.value = codecs.find((name) => name === "jpeg2000") || codecs.find((name) => !data.styles[name].ours) || codecs[0];
    anchor.addEventListener("change", () => draw(["speed"]));
  }

  // Before and after
  const pictures = () => {
    const stage = document.getElementById("stage");
    if (!stage) return;
    const [picture, left, right] = ["picture", "left", "right"].map((id) => document.getElementById(id));
    const [before, after] = ["before", "after"].map((name) => stage.querySelector(`.${name}`));
    const slider = stage.querySelector("input");
    data.crops.forEach((crop, index) => make(picture, "option", { value: index }, data.sets.length > 1 ? `${crop.picture} (${crop.set})` : crop.picture));
    const versions = (crop) => [{ codec: "original", caption: "original", src: crop.original }, ...crop.versions];
    const fill = (select, crop, wanted) => {
      select.replaceChildren();
      for (const version of versions(crop)) make(select, "option", { value: version.codec }, labelOf(version.codec));
      select.value = versions(crop).some((v) => v.codec === wanted) ? wanted : versions(crop)[versions(crop).length - 1].codec;
    };
    const place = () => {
      stage.style.setProperty("--at", `${slider.value}%`);
      slider.setAttribute("aria-valuetext", `${slider.value} % ${left.selectedOptions[0].textContent}, the rest ${right.selectedOptions[0].textContent}`);
    };
    const show = () => {
      const crop = data.crops[Number(picture.value)];
      for (const [select, image, side] of [[left, before, "left"], [right, after, "right"]]) {
        const version = versions(crop).find((each) => each.codec === select.value);
        image.src = version.src;
        image.alt = `${crop.picture}: ${version.caption}`;
        document.getElementById(`${side}-caption`).textContent = version.caption;
      }
      stage.style.setProperty("--ratio", `${crop.width} / ${crop.height}`);
      place();
    };
    const begin = () => {
      const crop = data.crops[Number(picture.value)];
      const ours = crop.versions.find((v) => data.styles[v.codec].ours);
      const other = crop.versions.find((v) => v.codec === "jpeg2000") || crop.versions.find((v) => !data.styles[v.codec].ours);
      fill(left, crop, left.value || (other ? other.codec : "original"));
      fill(right, crop, right.value || (ours ? ours.codec : "original"));
      show();
    };
    picture.addEventListener("change", begin);
    [left, right].forEach((select) => select.addEventListener("change", show));
    slider.addEventListener("input", place);
    begin();
  };

  pictures();
  choices();
  draw(["loss", "latency"]);
  const print = (width) => () => {
    paper = width;
    draw();
  };
  window.addEventListener("beforeprint", print(720));
  window.addEventListener("afterprint", print(0));
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth !== width) {
      width = window.innerWidth;
      draw();
    }
  });
})();
