"use strict";
(() => {
  const { kinds, charts } = JSON.parse(document.getElementById("charts").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  // Paper is white, whatever the screen is: the style sheet knows this class.
  const isDark = () => dark.matches && !root.classList.contains("printed");
  const colour = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();

  // What the specifications leave open: colours of the paper, and room.
  function filled(value, room) {
    if (Array.isArray(value)) return value.map((one) => filled(one, room));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, filled(one, room)]));
    }
    if (value === "@width") return room;
    if (value === "@plot") return Math.max(120, room - 66);
    return typeof value === "string" && value[0] === "@" ? colour(value.slice(1)) : value;
  }
  function config(room) {
    const font = getComputedStyle(document.querySelector("figcaption, .lede")).fontFamily;
    const legend = { orient: "top", labelColor: colour("muted"), titleColor: colour("muted"), titleFontWeight: "normal",
      symbolStrokeWidth: 2, gradientLength: Math.min(200, room / 3), gradientThickness: 8, labelFont: font, titleFont: font,
      columns: room < 420 ? 1 : 4, offset: 8 };
    const axis = { labelColor: colour("muted"), titleColor: colour("muted"), domainColor: colour("faint"), labelFont: font,
      tickColor: colour("rule"), gridColor: colour("rule"), titleFontWeight: "normal", titleFont: font, labelFontSize: 11, titleFontSize: 11 };
    return { background: null, font, view: { stroke: null }, axis, axisX: { grid: false }, legend, aria: false,
      axisXOrdinal: { labelOverlap: true } };
  }

  // Data come column by column.
  function rowsOf(columns) {
    const names = Object.keys(columns);
    return columns[names[0]].map((_, at) => Object.fromEntries(names.map((name) => [name, columns[name][at]])));
  }
  function specOf(name, room) {
    const [kind, data] = charts[name];
    const datasets = Object.fromEntries(Object.entries(data).map(([key, columns]) => [key, rowsOf(columns)]));
    return { ...filled(kinds[kind], room), datasets };
  }

  const drawn = new Map();
  async function draw(plot) {
    const room = Math.floor(plot.clientWidth);
    if (!room || !charts[plot.dataset.chart]) return;
    const before = drawn.get(plot);
    if (before && before.room === room && before.dark === isDark()) return;
    drawn.set(plot, { room, dark: isDark() });
    if (before && before.result) before.result.finalize();
    const spec = specOf(plot.dataset.chart, room);
    // Only errors: how a chart was fitted into its room is nobody's concern.
    const options = { logLevel: 1, actions: false, renderer: "svg", config: config(room), ast: true };
    // Vega writes what a chart shows on the element that it is given; the plot has that already.
    const inner = document.createElement("div");
    plot.replaceChildren(inner);
    const result = await window.raygpEmbed(inner, spec, options);
    (drawn.get(plot) || {}).result = result;
    // The plot itself says what it shows, and the table below has the figures: nothing in it is read out.
    plot.querySelectorAll("[role]").forEach((part) => {
      for (const name of ["role", "aria-roledescription", "aria-label"]) part.removeAttribute(name);
    });
    plot.dataset.drawn = "yes";
  }
  // A chart is drawn when it is about to be seen: a line may have hundreds. Those that are not folded away follow when
  // there is time, so that they are there when the page is printed.
  const plots = [...document.querySelectorAll(".plot")].filter((plot) => charts[plot.dataset.chart]);
  const watcher = new IntersectionObserver((seen) => {
    for (const one of seen) if (one.isIntersecting) draw(one.target);
  }, { rootMargin: "300px" });
  plots.forEach((plot) => watcher.observe(plot));
  const soon = window.requestIdleCallback || ((work) => setTimeout(work, 50));
  async function drawOneByOne(left) {
    const next = left.find((plot) => plot.clientWidth && !drawn.has(plot));
    if (!next) return;
    await draw(next);
    soon(() => drawOneByOne(left));
  }
  soon(() => drawOneByOne(plots));
  // What somebody unfolds is drawn whole. The event does not bubble.
  document.addEventListener("toggle", () => soon(() => drawOneByOne(plots)), true);
  const again = () => [...drawn.keys()].forEach(draw);
  let waiting = 0;
  window.addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(again, 150); });
  dark.addEventListener("change", again);

  // Tables are sorted by a click on a heading, and by another the other way round.
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim() : cell.dataset.value;
  };
  function compare(a, b, numbers) {
    if (!numbers) return a.localeCompare(b, undefined, { numeric: true });
    return Number(a) - Number(b);
  }
  function sort(table, heading, column) {
    const up = heading.getAttribute("aria-sort") !== "ascending";
    const numbers = heading.classList.contains("n");
    table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [keyOf(row, column), row]);
    // What is not known stands last, whichever way the rest goes.
    rows.sort(([a], [b]) => (a === "" || b === "" ? (a === "") - (b === "") : (up ? 1 : -1) * compare(a, b, numbers)));
    body.append(...rows.map(([, row]) => row));
  }
  document.querySelectorAll("table").forEach((table) => {
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => sort(table, heading, column));
    });
  });

  // A link to an update opens it.
  function open() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") target.open = true;
  }
  window.addEventListener("hashchange", open);
  open();
  // Drawing waits for nothing but itself, so that it is done before the paper is.
  window.addEventListener("beforeprint", () => { root.classList.add("printed"); plots.forEach(draw); });
  window.addEventListener("afterprint", () => { root.classList.remove("printed"); again(); });
})();
