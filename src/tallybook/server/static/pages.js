// What the script adds. Without it nothing is missing: forms are GET, charts are SVG, and every chart has its table.
"use strict";
{
  const root = document.documentElement;
  root.classList.add("has-script");
  const LATE = 200;

  // Copy buttons, which the stylesheet hides without the script.
  const onCopy = async (button) => {
    const text = document.getElementById(button.dataset.copy).textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const range = document.createRange();
      range.selectNodeContents(document.getElementById(button.dataset.copy));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      document.execCommand("copy");
    }
    const before = button.innerHTML;
    button.textContent = "Copied";
    setTimeout(() => { button.innerHTML = before; }, 1500);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) onCopy(button);
  });

  // "/" goes to the search field.
  document.addEventListener("keydown", (event) => {
    const search = document.getElementById("find");
    const isTyping = /^(input|select|textarea)$/i.test(event.target.tagName);
    if (event.key === "/" && search && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
    }
  });

  // The list of metrics narrows while somebody types. Enter asks the server for the same list.
  document.addEventListener("input", (event) => {
    const list = document.getElementById(event.target.dataset?.list ?? "");
    if (!list) return;
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [...list.querySelectorAll("tr[data-name]")];
    let shown = 0;
    for (const row of rows) {
      row.hidden = !words.every((word) => row.dataset.name.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    for (const body of list.tBodies) {
      body.hidden = ![...body.rows].some((row) => row.dataset.name !== undefined && !row.hidden);
    }
    const found = document.getElementById("found");
    if (found) found.textContent = `${shown} of ${rows.length} metrics`;
  });

  // A tooltip from the title of each period. It is moved through the object model only, which the policy allows.
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  document.body.append(tip);
  let hovered = null;
  const leave = () => {
    if (hovered) hovered.title.textContent = hovered.text;
    hovered = null;
    tip.hidden = true;
  };
  document.addEventListener("pointerover", (event) => {
    const hit = event.target.closest?.(".hit");
    if (hovered && hit !== hovered.hit) leave();
    const title = hit?.querySelector("title");
    if (!title || hovered) return;
    hovered = { hit, title, text: title.textContent };
    title.textContent = "";
    tip.textContent = hovered.text;
    tip.hidden = false;
    const box = hit.getBoundingClientRect();
    const most = root.clientWidth - tip.offsetWidth - 8;
    const right = box.right + 8 > most ? box.left - tip.offsetWidth - 8 : box.right + 8;
    tip.style.left = `${Math.max(8, Math.min(right, most)) + scrollX}px`;
    tip.style.top = `${box.top + scrollY + 8}px`;
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") leave(); });

  // A form with data-live asks again on every change, and replaces the question and its answer. The address is that of
  // the form, so that it can be copied and gone back to.
  let asking = null;
  const load = async (address, isPushed) => {
    asking?.abort();
    asking = new AbortController();
    const answer = document.getElementById("answer");
    const slow = setTimeout(() => answer?.setAttribute("aria-busy", "true"), LATE);
    try {
      const reply = await fetch(address, { signal: asking.signal, headers: { accept: "text/html" } });
      if (reply.redirected && new URL(reply.url).pathname !== new URL(address).pathname) throw new Error("elsewhere");
      const made = new DOMParser().parseFromString(await reply.text(), "text/html");
      const focused = document.activeElement?.id;
      leave();
      document.title = made.title;
      document.getElementById("main").replaceWith(made.getElementById("main"));
      if (isPushed) history.pushState(null, "", address);
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
      announce(document.querySelector("h1")?.textContent ?? "");
    } catch (error) {
      if (error.name !== "AbortError") location.assign(address);
    } finally {
      clearTimeout(slow);
      document.getElementById("answer")?.removeAttribute("aria-busy");
    }
  };
  const speaker = document.createElement("p");
  speaker.className = "said";
  speaker.setAttribute("role", "status");
  document.body.append(speaker);
  const announce = (text) => { speaker.textContent = text; };
  const addressOf = (form, submitter) => {
    const fields = new URLSearchParams();
    // Fields of rows belong together by their places: an empty one is kept.
    const isRow = (name) => /^(sn|sc|[wov](_[a-d])?)$/.test(name);
    for (const [name, value] of new FormData(form, submitter)) if (value !== "" || isRow(name)) fields.append(name, value);
    return new URL(`${form.getAttribute("action").split("#")[0]}?${fields}`, location.href).href;
  };
  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (form?.dataset.live === undefined || event.target.closest("[data-still]")) return;
    load(addressOf(form), true);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.live === undefined) return;
    event.preventDefault();
    load(addressOf(form, event.submitter), true);
  });
  addEventListener("popstate", () => {
    if (document.querySelector("form[data-live]")) load(location.href, false);
  });

  // A board, and the page of a book without a run, look for a new version. Only then they are loaded again.
  const watched = document.querySelector("[data-reload]");
  if (watched) {
    setInterval(async () => {
      if (document.hidden) return;
      const reply = await fetch(location.href, { headers: { accept: "text/html" } }).catch(() => null);
      if (!reply?.ok) return;
      const made = new DOMParser().parseFromString(await reply.text(), "text/html");
      if (made.body.dataset.version !== document.body.dataset.version) location.reload();
    }, Math.max(5, Number(watched.dataset.reload)) * 1000);
  }
}
