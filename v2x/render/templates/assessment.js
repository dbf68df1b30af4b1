"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const T = data.texts;
  const VERDICTS = ["ready", "ready with changes", "blocked", "unknown"];
  const TONES = ["good", "warning", "blocker", "unknown"];
  const SEVERITIES = ["Blocker", "Unknown", "Warning", "Note"];
  const SEVERITY_TONES = ["blocker", "unknown", "warning", "info"];
  const ORDER = [3, 2, 0, 1]; // the verdicts as a list of machines shows them: blocked, unknown, with changes, ready
  const POWER = { on: "running", off: "off", suspended: "suspended" };
  const PAGE = 50;
  const PRINTED_ROWS = 1000;
  const NAMES = 200;

  // Every text goes into the page as text; markup is never parsed.
  const make = (tag, options = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(options)) {
      if (key === "class") element.className = value;
      else if (key === "on") element.addEventListener("click", value);
      else element.setAttribute(key, value);
    }
    for (const child of children) if (child !== null && child !== "") element.append(child);
    return element;
  };
  const badge = (tone, text) => make("span", { class: `badge ${tone}` }, text);
  const several = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
  const bytes = (count) => {
    if (count < 0) return "unknown";
    const units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let unit = 0;
    while (count >= 1024 && unit < 5) { count /= 1024; unit += 1; }
    return `${unit ? Number(count.toPrecision(4)) : count} ${units[unit]}`;
  };
  const span = (seconds) => {
    if (seconds < 0) return "";
    if (seconds < 5400) return `${Math.max(1, Math.round(seconds / 60))} min`;
    const hours = seconds / 3600;
    if (hours < 48) return hours < 10 ? `${hours.toFixed(1)} h` : `${Math.round(hours)} h`;
    return `${Math.round(hours / 24)} days`;
  };

  const machineOf = (row, number) => {
    const [name, id, verdict, system, family, cpus, memory, capacity, moved, seconds, wave, power, place,
      findings, hardware, disks, cards, notes, problem, mapping] = row;
    const counts = [0, 0, 0, 0];
    for (let at = 0; at < findings.length; at += 3) counts[data.rules[findings[at]][1]] += 1;
    return { number, name: T[name] || "(no name)", id: T[id], verdict, system: T[system], family: T[family], cpus,
      memory, capacity, moved, seconds, wave, power: T[power], place: T[place], findings, hardware, disks, cards, notes,
      problem: T[problem], mapping: T[mapping], counts, words: `${T[name]}\n${T[id]}\n${T[system]}\n${T[place]}`.toLowerCase() };
  };
  const machines = data.machines.map(machineOf);
  const ofRule = data.rules.map(() => []);
  for (const machine of machines) {
    for (let at = 0; at < machine.findings.length; at += 3) {
      const list = ofRule[machine.findings[at]];
      if (list[list.length - 1] !== machine) list.push(machine);
    }
  }

  // ---- the table
  const state = { words: "", verdict: "", family: "", wave: "", rule: "", sort: "", down: false, page: 0 };
  let shown = machines;
  const keys = {
    name: (m) => m.name.toLowerCase(), verdict: (m) => ORDER[m.verdict],
    system: (m) => m.system.toLowerCase(), cpus: (m) => m.cpus, memory: (m) => m.memory, capacity: (m) => m.capacity,
    moved: (m) => m.moved, seconds: (m) => m.seconds, wave: (m) => m.wave || 1e9,
    findings: (m) => m.counts[0] * 1e6 + m.counts[1] * 1e4 + m.counts[2] * 100 + m.counts[3],
  };
  const cell = (label, text, number) =>
    make("td", number ? { class: "number", "data-label": label } : { "data-label": label }, text);
  const tally = (machine) => machine.counts.map((count, at) => count
    ? make("span", { class: `badge ${SEVERITY_TONES[at]}`, title: several(count, SEVERITIES[at].toLowerCase()) }, String(count),
      make("span", { class: "hidden" }, ` ${SEVERITIES[at].toLowerCase()}`))
    : null);
  const short = (system) => system.replace(/^Microsoft /, "").replace(/ \((64|32)-bit\)$/, "");
  const rowOf = (machine) => make("tr", {},
    make("th", { scope: "row" }, make("a", { href: `#machine-${machine.number + 1}` }, machine.name)),
    make("td", { "data-label": "Verdict" }, badge(TONES[machine.verdict], VERDICTS[machine.verdict])),
    cell("System", short(machine.system)), cell("CPUs", String(machine.cpus), true),
    cell("Memory", bytes(machine.memory), true), cell("Disks", bytes(machine.capacity), true),
    cell("To move", machine.moved < 0 ? "" : bytes(machine.moved), true), cell("Time", span(machine.seconds), true),
    cell("Wave", machine.wave ? String(machine.wave) : "", true), make("td", { "data-label": "Findings", class: "pills" }, ...tally(machine)));

  const draw = (most = PAGE) => {
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    state.page = Math.min(state.page, pages - 1);
    const from = most === PAGE ? state.page * PAGE : 0;
    $("rows").replaceChildren(...shown.slice(from, from + most).map(rowOf));
    $("count").textContent = shown.length === machines.length
      ? several(machines.length, "machine")
      : `${shown.length.toLocaleString("en")} of ${several(machines.length, "machine")}`;
    $("page").textContent = `page ${state.page + 1} of ${pages}`;
    $("previous").disabled = state.page === 0;
    $("next").disabled = state.page >= pages - 1;
    $("pager").hidden = pages === 1;
    $("nothing").hidden = shown.length > 0;
  };
  const choose = () => {
    const words = state.words.toLowerCase().split(/\s+/).filter(Boolean);
    const pool = state.rule === "" ? machines : ofRule[Number(state.rule)];
    shown = pool.filter((machine) =>
      (state.verdict === "" || machine.verdict === Number(state.verdict)) &&
      (state.family === "" || machine.family === state.family) &&
      (state.wave === "" || machine.wave === Number(state.wave)) &&
      words.every((word) => machine.words.includes(word)));
    if (state.sort) {
      const key = keys[state.sort];
      const sign = state.down ? -1 : 1;
      const keyed = shown.map((machine) => [key(machine), machine]);
      keyed.sort((a, b) => (a[0] < b[0] ? -sign : a[0] > b[0] ? sign : a[1].number - b[1].number));
      shown = keyed.map((pair) => pair[1]);
    }
    draw();
  };
  const fresh = () => { state.page = 0; choose(); };
  const set = (changes) => {
    Object.assign(state, changes);
    for (const key of ["words", "verdict", "family", "wave"]) if (key in changes) $(`by-${key}`).value = changes[key];
    $("by-rule").hidden = state.rule === "";
    if (state.rule !== "") $("rule-name").textContent = T[data.rules[Number(state.rule)][2]];
    for (const tile of document.querySelectorAll("[data-verdict]"))
      tile.setAttribute("aria-pressed", String(tile.dataset.verdict === state.verdict));
    fresh();
  };
  const toTable = () => { location.hash = ""; overview(); $("machines").scrollIntoView(); $("by-words").focus({ preventScroll: true }); };

  const fill = (select, values) => select.append(...values.map(([value, text]) => make("option", { value }, text)));
  const families = [...new Set(machines.map((machine) => machine.family))].sort();
  fill($("by-family"), families.map((family) => [family, family]));
  const waves = [...new Set(machines.map((machine) => machine.wave))].filter(Boolean).sort((a, b) => a - b);
  fill($("by-wave"), waves.map((wave) => [String(wave), `wave ${wave}`]));
  if (!waves.length) $("by-wave").parentElement.hidden = true;
  fill($("by-verdict"), [2, 3, 1, 0].map((verdict) => [String(verdict), VERDICTS[verdict]]));

  let due = 0;
  $("by-words").addEventListener("input", (event) => {
    cancelAnimationFrame(due);
    due = requestAnimationFrame(() => { state.words = event.target.value; fresh(); });
  });
  for (const key of ["verdict", "family", "wave"])
    $(`by-${key}`).addEventListener("change", (event) => set({ [key]: event.target.value }));
  $("clear-rule").addEventListener("click", () => { set({ rule: "" }); $("by-words").focus(); });
  $("reset").addEventListener("click", () => set({ words: "", verdict: "", family: "", wave: "", rule: "", sort: "" }));
  $("previous").addEventListener("click", () => { state.page -= 1; draw(); });
  $("next").addEventListener("click", () => { state.page += 1; draw(); });
  for (const tile of document.querySelectorAll("[data-verdict]"))
    tile.addEventListener("click", () => {
      set({ verdict: tile.dataset.verdict === state.verdict ? "" : tile.dataset.verdict });
      if (state.verdict !== "") $("machines").scrollIntoView();
    });
  for (const link of document.querySelectorAll("[data-wave]"))
    link.addEventListener("click", () => { set({ wave: link.dataset.wave }); toTable(); });
  for (const button of document.querySelectorAll("[data-sort]"))
    button.addEventListener("click", () => {
      const same = state.sort === button.dataset.sort;
      state.down = same ? !state.down : false;
      state.sort = button.dataset.sort;
      for (const head of document.querySelectorAll("#table thead th")) head.removeAttribute("aria-sort");
      button.closest("th").setAttribute("aria-sort", state.down ? "descending" : "ascending");
      fresh();
    });

  // ---- rules
  const findingOf = (machine, rule) => {
    for (let at = 0; at < machine.findings.length; at += 3)
      if (machine.findings[at] === rule) return [T[machine.findings[at + 1]], T[machine.findings[at + 2]]];
    return ["", ""];
  };
  const open = (details, most = NAMES) => {
    const place = details.querySelector(".who");
    if (place.childElementCount >= Math.min(most, NAMES)) return;
    const rule = Number(details.dataset.rule);
    const list = ofRule[rule];
    place.replaceChildren(make("ul", { class: "who-list" }, ...list.slice(0, most).map((machine) => {
      const [part, text] = findingOf(machine, rule);
      return make("li", {}, make("a", { href: `#machine-${machine.number + 1}` }, machine.name),
        make("span", { class: "soft" }, ` ${part ? `${part}: ` : ""}${text}`));
    })));
    if (list.length > most) place.append(make("p", { class: "soft" }, `and ${several(list.length - most, "more machine")}`));
    if (list.length > 1) place.append(make("p", {}, make("button", { type: "button", class: "plain", on: () => {
      set({ rule: String(rule), words: "", verdict: "", family: "", wave: "" }); toTable();
    } }, `Show these ${several(list.length, "machine")} in the table`)));
  };
  for (const details of document.querySelectorAll("details[data-rule]"))
    details.addEventListener("toggle", () => { if (details.open) open(details); });

  // ---- one machine
  const table = (caption, heads, rows) => make("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    make("table", { class: "stack" },
      make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((value, at) => at === 0
        ? make("th", { scope: "row" }, value) : make("td", { "data-label": heads[at] }, value)))))));
  const hardware = (machine) => {
    const rows = [];
    for (let at = 0; at < machine.hardware.length; at += 3) {
      const [what, before, after] = machine.hardware.slice(at, at + 3).map((text) => T[text]);
      const changed = after && after !== before;
      rows.push([what, before, make("span", changed ? { class: "changed" } : {}, after || "–")]);
    }
    return table(`Hardware of ${machine.name} before and after`, ["Part", "Now", "On the pool"], rows);
  };
  const findingsOf = (machine, wanted) => {
    const items = [];
    let last = -1;
    for (let at = 0; at < machine.findings.length; at += 3) {
      const [number, part, text] = machine.findings.slice(at, at + 3);
      const [rule, severity, label, remedy] = data.rules[number];
      if (!wanted(severity)) continue;
      const line = make("p", {}, part ? make("b", {}, `${T[part]}: `) : null, T[text]);
      if (number === last) { items[items.length - 1].querySelector(".said").append(line); continue; }
      last = number;
      items.push(make("li", { class: `finding ${SEVERITY_TONES[severity]}` },
        make("div", { class: "title" }, badge(SEVERITY_TONES[severity], SEVERITIES[severity]), make("h4", {}, T[label])),
        make("div", { class: "said" }, line), make("p", {}, make("b", {}, "What to do: "), T[remedy]),
        make("p", { class: "soft" }, "Rule ", make("code", {}, rule))));
    }
    return items.length ? make("ul", { class: "findings" }, ...items) : null;
  };
  const unknownOf = (machine) => data.gaps.filter(([, , list]) => list === null || list.includes(machine.number));
  const view = (machine) => {
    const parts = [`${several(machine.cpus, "processor")}`, `${bytes(machine.memory)} of memory`,
      `${several(machine.disks.length, "disk")} of ${bytes(machine.capacity)}`, POWER[machine.power] || "",
      machine.place].filter(Boolean);
    const move = machine.moved < 0 ? "" : `${bytes(machine.moved)} to move, about ${span(machine.seconds)}` +
      (machine.wave ? `, suggested for wave ${machine.wave}` : ", in no wave while it is blocked");
    const at = shown.indexOf(machine);
    const neighbour = (step, text) => {
      const other = at < 0 ? undefined : shown[at + step];
      return other ? make("a", { href: `#machine-${other.number + 1}` }, text) : null;
    };
    const gaps = unknownOf(machine);
    const loud = findingsOf(machine, (severity) => severity < 3);
    const quiet = findingsOf(machine, (severity) => severity === 3);
    $("machine").replaceChildren(...[
      make("nav", { class: "trail", "aria-label": "Machines" }, make("a", { href: "#machines" }, "← All machines"),
        make("span", { class: "aside" }, neighbour(-1, "previous"), " ", neighbour(1, "next"))),
      make("div", { class: "title big" }, make("h2", { tabindex: "-1", id: "machine-name" }, machine.name),
        badge(TONES[machine.verdict], VERDICTS[machine.verdict])),
      make("p", { class: "lead" }, machine.system),
      make("p", { class: "soft" }, parts.join(" · ")), make("p", { class: "soft" }, move),
      machine.problem ? make("p", {}, make("b", {}, "Cannot be made as it is: "), machine.problem) : null,
      make("h3", {}, "What to do"), loud || make("p", {}, "Nothing, as far as could be asked."),
      make("h3", {}, "Before and after"), hardware(machine),
      machine.notes.length ? make("h4", {}, "What that means") : null,
      machine.notes.length ? make("ul", { class: "plain" }, ...machine.notes.map((note) => make("li", {}, T[note]))) : null,
      machine.mapping ? make("p", { class: "soft" }, "Mapping rows used: ", make("code", {}, machine.mapping)) : null,
      make("h3", {}, "Disks"), machine.disks.length
        ? table(`Disks of ${machine.name}`, ["Disk", "Place", "Format", "Size", "Data", "Datastore", "On the pool"],
          machine.disks.map(([label, place, form, size, held, store, after]) =>
            [T[label], T[place], T[form], bytes(size), bytes(held), T[store], T[after]]))
        : make("p", {}, "The source lists none."),
      make("h3", {}, "Network cards"), machine.cards.length
        ? table(`Network cards of ${machine.name}`, ["Card", "Network", "VLAN", "Model", "MAC address", "On the pool", "Why"],
          machine.cards.map((card) => card.map((text, place) => place === 4 ? make("code", {}, T[text]) : T[text])))
        : make("p", {}, "The source lists none."),
      quiet ? make("h3", {}, "Worth knowing") : null, quiet,
      gaps.length ? make("details", {}, make("summary", {}, `${several(gaps.length, "fact")} not known of this machine`),
        make("ul", { class: "plain" }, ...gaps.map(([text, how]) => make("li", {}, `${T[text]} `, make("span", { class: "soft" }, T[how])))))
        : null,
    ].filter((part) => part !== null));
  };
  const overview = () => {
    $("overview").hidden = false;
    $("machine").hidden = true;
    document.body.classList.remove("one");
    document.title = title;
  };
  const title = document.title;
  const route = () => {
    const found = /^#machine-(\d+)$/.exec(location.hash);
    const machine = found ? machines[Number(found[1]) - 1] : undefined;
    if (!machine) {
      overview();
      const target = location.hash.length > 1 ? $(location.hash.slice(1)) : null;
      if (target) {
        if (target.tagName === "DETAILS") {
          for (let above = target; above; above = above.parentElement) if (above.tagName === "DETAILS") above.open = true;
        }
        target.scrollIntoView();
      }
      return;
    }
    view(machine);
    $("overview").hidden = true;
    $("machine").hidden = false;
    document.body.classList.add("one");
    document.title = `${machine.name} · ${title}`;
    window.scrollTo(0, 0);
    $("machine-name").focus({ preventScroll: true });
  };
  window.addEventListener("hashchange", route);

  // ---- light and dark, paper
  const theme = $("theme");
  const isDark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const named = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
  theme.addEventListener("click", () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; named(); });
  $("print").addEventListener("click", () => window.print());
  let folded = [];
  window.addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details:not([open])")) {
      if (details.closest("#notes")) continue;
      if (details.dataset.rule) open(details, 60);
      details.open = true;
      folded.push(details);
    }
    draw(PRINTED_ROWS);
  });
  window.addEventListener("afterprint", () => { for (const details of folded) details.open = false; folded = []; draw(); });

  document.documentElement.classList.add("live");
  named();
  choose();
  route();
})();
