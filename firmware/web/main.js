// The page: who is logged in, which screen is shown, what is told beside it.

import { api } from "./api.js";
import { button, fill, h, place, say } from "./dom.js";
import { showLogin } from "./login.js";
import { notice, trouble } from "./notices.js";
import { look } from "./streams.js";
import * as live from "./screens/live.js";

const main = document.getElementById("main");
const nav = document.getElementById("nav");
const fold = document.getElementById("fold");
/** The screens, by groups; the live view is there at once, the others come right after it. */
let groups = [{ title: "Now", screens: [live] }];
let shown = null;

const screens = () => groups.flatMap((group) => group.screens);

async function start() {
  window.addEventListener("hashchange", () => show());
  fold.addEventListener("click", () => unfold(fold.getAttribute("aria-expanded") !== "true"));
  document.querySelector(".skip").addEventListener("click", (event) => {
    // Its address would be taken for a screen's.
    event.preventDefault();
    main.focus();
  });
  api.hear("live", look);
  api.hear("link", told);
  api.hear("restart", (what) => notice(`Saved. It takes effect once the gateway is restarted: ${what}.`, "warn"));
  api.hear("logged-out", () => leave());
  try {
    if (await api.resume()) enter();
    else leave("");
  } catch (problem) {
    fill(main, trouble(problem, () => location.reload()));
  }
}

function leave(why = "You are logged out.") {
  shown?.abort();
  shown = null;
  fill(nav);
  nav.hidden = true;
  fold.hidden = true;
  fill(document.getElementById("who"));
  say(document.getElementById("link"), "");
  showLogin(main, api, enter, why);
}

async function enter() {
  const { name, role } = api.session;
  fill(document.getElementById("who"), h("span", { class: "name" }, `${name} (${role})`), button("Log out", () => api.logOut(), { class: "quiet" }));
  // Its place is kept, so that nothing moves under a pointer when the screens are listed.
  nav.hidden = false;
  fold.hidden = false;
  const listed = import("./screens/index.js");
  if (location.hash === "" || location.hash === place("live")) show();
  groups = (await listed).groups;
  navigation();
  if (shown === null) show();
  await firstSteps();
}

/** A box that nobody has set up yet begins with the first steps. */
async function firstSteps() {
  if (!api.may("administrator") || location.hash !== "") return;
  try {
    const there = await Promise.all(["connectors", "access-tokens", "call-routing-rules"].map((name) => api.get(`/${name}?limit=1`)));
    if (there.every((page) => page.items.length === 0)) location.hash = place("start");
  } catch {
    // Whatever failed is told by the screen that is open.
  }
}

function navigation() {
  const link = (screen) => h("li", {}, h("a", { href: place(screen.route), "data-route": screen.route, on: { click: () => unfold(false) } }, screen.title));
  const group = ({ title, screens: all }) => {
    const mine = all.filter((screen) => api.may(screen.role));
    return mine.length === 0 ? null : h("li", {}, h("h2", {}, title), h("ul", {}, mine.map(link)));
  };
  fill(nav, h("ul", {}, groups.map(group)));
  mark();
}

function mark() {
  const [route] = where();
  for (const link of nav.querySelectorAll("a")) {
    if (link.dataset.route === route) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function unfold(open) {
  fold.setAttribute("aria-expanded", String(open));
  nav.classList.toggle("open", open);
}

function where() {
  const parts = location.hash.replace(/^#\/?/, "").split("/");
  if (parts.length === 1 && parts[0] === "") return ["live"];
  try {
    return parts.map(decodeURIComponent);
  } catch {
    return parts;
  }
}

/** Shows the screen that the address names. What the one before it heard and waited for ends. */
async function show() {
  if (api.session === null) return;
  const moved = shown !== null;
  shown?.abort();
  shown = new AbortController();
  const { signal } = shown;
  const [route, ...path] = where();
  const screen = screens().find((one) => one.route === route && api.may(one.role));
  const root = h("div", { class: `screen ${route}` });
  mark();
  const go = (...parts) => {
    // Whoever is elsewhere by now stays there.
    if (signal.aborted) return;
    if (place(...parts) === location.hash) show();
    else location.hash = place(...parts);
  };
  const context = { path, signal, go, again: () => signal.aborted || again() };
  try {
    if (!screen) throw new Error("There is no such screen, or it is not for your role.");
    await screen.show(root, api, context);
  } catch (problem) {
    if (signal.aborted || problem.status === 401) return;
    fill(root, h("h1", { tabindex: -1 }, screen?.title ?? "Not here"), trouble(problem, () => show()));
  }
  if (signal.aborted) return;
  put(root, moved);
}

/** Shows what somebody changed, unless something is being done on the screen. */
function again() {
  const active = document.activeElement;
  const busy = document.querySelector("dialog") !== null || (main.contains(active) && active !== main && active.localName !== "h1");
  if (busy) notice("The configuration was changed; this screen shows it as it was before.", "warn");
  else show();
}

function put(root, moved) {
  const old = main.querySelector("h1");
  const before = old === document.activeElement ? null : old?.textContent;
  fill(main, root);
  const heading = root.querySelector("h1");
  document.title = `${heading?.textContent ?? ""} \u2013 Gantry`;
  if (moved && heading?.textContent !== before) {
    heading?.focus();
    if (old?.textContent !== heading?.textContent) scrollTo(0, 0);
  }
}

function told(state) {
  const link = document.getElementById("link");
  link.className = `link ${state}`;
  say(link, state === "live" ? "live" : "connection lost, trying again");
}

start();
