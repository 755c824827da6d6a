/* Messages of Tallybook in your product: dialog, banner, slider.
 *
 *   <script src="https://tallybook.acme.com/tallybook-messages.js" defer
 *           data-key="tb_…" data-identity="v1.…"></script>
 *
 * Everything is built with the DOM: values are text, and no inline style or script is needed, so that a strict content
 * security policy holds. Colors and sizes are CSS variables of your page: --tallybook-accent, --tallybook-surface,
 * --tallybook-ink, --tallybook-radius, --tallybook-font, --tallybook-layer. */
(() => {
  "use strict";
  const script = document.currentScript;
  const server = new URL(script.src).origin;
  const settings = { key: script.dataset.key || "", identity: script.dataset.identity || "" };
  const CSS = `
    :host { all: initial; }
    .box { box-sizing: border-box; font: 16px/1.5 var(--tallybook-font, system-ui, sans-serif);
      color: var(--tallybook-ink, #1b1b1f); background: var(--tallybook-surface, #fff);
      border: 1px solid color-mix(in srgb, currentColor 20%, transparent);
      border-radius: var(--tallybook-radius, 8px); padding: 16px 20px; box-shadow: 0 8px 30px rgb(0 0 0 / 20%); }
    dialog.box { max-width: min(32rem, calc(100vw - 2rem)); }
    dialog::backdrop { background: rgb(0 0 0 / 45%); }
    .banner { position: fixed; inset: 0 0 auto 0; border-radius: 0; z-index: var(--tallybook-layer, 2147483000);
      display: flex; gap: 16px; align-items: center; flex-wrap: wrap; }
    .slider { position: fixed; inset: auto 16px 16px auto; width: min(24rem, calc(100vw - 32px));
      z-index: var(--tallybook-layer, 2147483000); animation: in .25s ease-out; }
    @keyframes in { from { transform: translateY(24px); opacity: 0; } }
    @media (prefers-reduced-motion: reduce) { .slider { animation: none; } }
    h2 { font-size: 1.1em; margin: 0; } p { margin: 4px 0 0; white-space: pre-line; overflow-wrap: anywhere; }
    .words { flex: 1 1 16rem; } .actions { display: flex; gap: 12px; margin-top: 12px; align-items: center; }
    .banner .actions { margin-top: 0; }
    a, button { font: inherit; border-radius: var(--tallybook-radius, 8px); padding: 6px 14px; cursor: pointer; }
    a { background: var(--tallybook-accent, #2350d6); color: var(--tallybook-on-accent, #fff); text-decoration: none; }
    button { background: none; color: inherit; border: 1px solid currentColor; }
    a:focus-visible, button:focus-visible { outline: 3px solid var(--tallybook-accent, #2350d6); outline-offset: 2px; }`;

  const headers = () => ({ Authorization: `Bearer ${settings.key}`, "X-Tallybook-Identity": settings.identity });

  /* The user and the account that the identity is signed for. */
  const signed = () => {
    try {
      const text = atob(settings.identity.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"));
      const found = JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (one) => one.charCodeAt(0))));
      return Object.fromEntries(["user", "account"].filter((name) => found[name]).map((name) => [name, found[name]]));
    } catch { return {}; }
  };

  const report = (message, what) => {
    const send = (path, body) => fetch(server + path, {
      method: "POST", keepalive: true, credentials: "omit",
      headers: { ...headers(), "Content-Type": "application/json" }, body: JSON.stringify(body),
    }).catch(() => {});
    send("/v1/engagements", { id: message.id, what });
    const [rule, , name] = message.id.split(".");
    if (settings.event) {
      const time = new Date().toISOString();
      send("/v1/events", { event: settings.event, time, ...signed(), properties: { rule, message: name, what } });
    }
    document.dispatchEvent(new CustomEvent("tallybook-message", { detail: { id: message.id, what } }));
  };

  const made = (tag, text, attributes = {}) => {
    const element = document.createElement(tag);
    if (text) element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };

  const isPage = (link) => {
    try { return ["https:", "http:", "mailto:"].includes(new URL(link, location.href).protocol); }
    catch { return false; }
  };

  const show = (message) => new Promise((done) => {
    const host = made("div", "", { "data-tallybook-message": message.id });
    const root = host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
    root.adoptedStyleSheets = [sheet];
    const isDialog = message.kind === "dialog";
    const box = made(isDialog ? "dialog" : "section", "", { class: `box ${message.kind}` });
    const words = made("div", "", { class: "words" });
    const title = made("h2", message.title, { id: "title" });
    const text = made("p", message.text, { id: "text" });
    if (message.title) words.append(title);
    if (message.text) words.append(text);
    box.setAttribute("aria-labelledby", message.title ? "title" : "text");
    if (message.title && message.text) box.setAttribute("aria-describedby", "text");
    if (!isDialog) box.setAttribute("role", "region");
    const actions = made("div", "", { class: "actions" });
    const before = document.activeElement;
    const close = (what) => {
      if (!host.isConnected) return;
      const held = root.activeElement !== null;
      report(message, what);
      if (isDialog) box.close();
      host.remove();
      if ((isDialog || held) && before && before.isConnected) before.focus();
      done();
    };
    if (message.link && isPage(message.link)) {
      const link = made("a", message.link_text || "Open", { href: message.link, target: "_blank", rel: "noopener" });
      link.addEventListener("click", () => report(message, "clicked"));
      actions.append(link);
    }
    const button = made("button", "Close", { type: "button" });
    button.addEventListener("click", () => close("dismissed"));
    actions.append(button);
    box.append(words, actions);
    box.addEventListener("cancel", (event) => { event.preventDefault(); close("dismissed"); });
    box.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); close("dismissed"); }
    });
    root.append(box);
    document.body.append(host);
    if (isDialog) { box.showModal(); button.focus(); }
    report(message, "shown");
  });

  const refresh = async () => {
    if (!settings.key || !settings.identity) return;
    let answer;
    try {
      answer = await fetch(`${server}/v1/engagements`, { headers: headers(), credentials: "omit", cache: "no-store" });
    } catch { return; }
    if (!answer.ok) return;
    const { messages, event } = await answer.json();
    settings.event = event;
    const there = new Set([...document.querySelectorAll("[data-tallybook-message]")]
      .map((element) => element.dataset.tallybookMessage));
    const fresh = messages.filter((message) => !there.has(message.id));
    fresh.filter((message) => message.kind !== "dialog").forEach(show);
    for (const message of fresh.filter((one) => one.kind === "dialog")) await show(message);
  };

  window.tallybookMessages = { refresh, identify: (identity) => { settings.identity = identity; return refresh(); } };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", refresh);
  else refresh();
})();
