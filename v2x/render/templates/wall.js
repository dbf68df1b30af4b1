"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const token = location.hash.slice(1);
  const rows = new Map();
  const course = [];

  // Every text goes into the page as text; markup is never parsed.
  const make = (tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text) element.textContent = text;
    return element;
  };

  const count = ({ word, tone, count }) => {
    const tile = make("li", tone === "info" ? "" : tone);
    tile.append(make("b", "", String(count)), make("span", "", word));
    return tile;
  };

  const row = (found) => {
    let held = rows.get(found.id);
    if (!held) {
      const line = make("tr");
      const name = make("th", "", found.name);
      name.scope = "row";
      const cells = ["", "bar", "number", "number", "soft", "number"].map((kind) => make("td", kind));
      const badge = make("span");
      const bar = make("progress");
      const percent = make("span");
      bar.max = 1;
      bar.setAttribute("aria-label", `Progress of ${found.name}`);
      cells[0].append(badge);
      cells[1].append(bar, percent);
      line.append(name, ...cells);
      held = { line, badge, bar, percent, rate: cells[2], left: cells[3], detail: cells[4], wave: cells[5] };
      rows.set(found.id, held);
    }
    held.badge.className = `badge ${found.tone}`;
    held.badge.textContent = found.word;
    held.bar.value = found.share;
    held.percent.textContent = found.percent;
    held.rate.textContent = found.rate;
    held.left.textContent = found.left;
    held.detail.textContent = found.detail;
    held.wave.textContent = String(found.wave);
    return held.line;
  };

  // The rate over the last looks, as a line from left to right; the highest of them touches the top.
  const drawn = (rate) => {
    course.push(rate);
    if (course.length > 300) course.shift();
    const top = Math.max(...course, 1);
    const step = 300 / Math.max(1, course.length - 1);
    const points = course.map((one, at) => `${(at * step).toFixed(1)},${(38 - (36 * one) / top).toFixed(1)}`);
    $("line").setAttribute("points", points.join(" "));
  };

  const show = (news) => {
    document.title = `${Math.floor(news.share * 100)} % ${news.state}, batch ${news.batch}`;
    $("title").textContent = `Batch ${news.batch}: ${news.state}`;
    $("plan").textContent = news.plan;
    $("counts").replaceChildren(...news.counts.map(count));
    $("whole").value = news.share;
    $("percent").textContent = `${Math.floor(news.share * 100)} %`;
    $("total").textContent = news.done;
    $("rate").textContent = news.rate || "–";
    $("limit").textContent = news.limit || "now";
    $("left").textContent = news.left || "–";
    $("through").textContent = news.through;
    $("phases").textContent = news.phases.map(({ word, count }) => `${count} ${word}`).join(" · ");
    drawn(news.bytes_per_second);
    $("warned").hidden = news.warnings.length === 0;
    $("warnings").replaceChildren(...news.warnings.map((text) => make("li", "", text)));
    $("rows").replaceChildren(...news.rows.map(row));
    const shown = new Set(news.rows.map(({ id }) => id));
    [...rows.keys()].filter((id) => !shown.has(id)).forEach((id) => rows.delete(id));
    $("more").textContent = news.more ? `and ${news.more.toLocaleString("en")} machines more` : "";
    const at = $("at");
    at.dateTime = news.at;
    at.textContent = new Date(news.at).toLocaleString();
  };

  const said = (text) => {
    $("link").hidden = text === "";
    $("link").textContent = text;
  };

  if (!token) {
    said("This address lacks its token: open the whole address that v2x batch serve printed.");
    return;
  }
  const events = new EventSource(`/events?token=${encodeURIComponent(token)}`);
  events.onmessage = (event) => {
    said("");
    show(JSON.parse(event.data));
  };
  events.onerror = () => {
    const closed = events.readyState === EventSource.CLOSED;
    said(closed ? "The token is not the right one, or too many pages are open." : "No connection to v2x; trying again …");
  };
})();
