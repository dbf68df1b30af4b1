"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const token = location.hash.slice(1);
  const rows = new Map();

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
      const cells = [make("td"), make("td"), make("td", "soft"), make("td", "number")];
      const badge = make("span");
      const bar = make("progress");
      bar.max = 1;
      bar.setAttribute("aria-label", `Progress of ${found.name}`);
      cells[0].append(badge);
      cells[1].append(bar);
      line.append(name, ...cells);
      held = { line, badge, bar, detail: cells[2], wave: cells[3] };
      rows.set(found.id, held);
    }
    held.badge.className = `badge ${found.tone}`;
    held.badge.textContent = found.word;
    held.bar.value = found.share;
    held.detail.textContent = found.detail;
    held.wave.textContent = String(found.wave);
    return held.line;
  };

  const show = (news) => {
    document.title = `${Math.floor(news.share * 100)} % ${news.state}, batch ${news.batch}`;
    $("title").textContent = `Batch ${news.batch}: ${news.state}`;
    $("plan").textContent = news.plan;
    $("counts").replaceChildren(...news.counts.map(count));
    $("whole").value = news.share;
    $("total").textContent = [news.done, news.rate, news.left].filter(Boolean).join(", ");
    $("warned").hidden = news.warnings.length === 0;
    $("warnings").replaceChildren(...news.warnings.map((text) => make("li", "", text)));
    $("rows").replaceChildren(...news.rows.map(row));
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
