// The API of the box: requests with their problems (RFC 9457), sessions, revisions, and events as they happen.

const ROOT = "/api/v1";
/** A stream of events that broke is opened again after so long, in milliseconds. */
const AGAIN = 2000;
/** Where a browser notes that it has a session: its cookie can't be seen from here, and a question without one is an error in the browser's log. */
const MARK = "gantry-session";
/** Items of one page of a list. */
const PAGE = 1000;

/** What went wrong with a request. */
export class Problem extends Error {
  constructor({ status, title, detail, errors }) {
    super(detail || title || `the box answered ${status}`);
    this.status = status;
    this.errors = errors ?? [];
  }
}

/** The box. Tells `live`, `changed`, `link`, `restart`, `logged-out` as events. */
class Api extends EventTarget {
  session = null;
  #source = null;
  #document = null;
  #again = 0;

  /** Goes on with the session that this browser has; `false` if it has none. */
  async resume() {
    if (localStorage.getItem(MARK) === null) return false;
    try {
      this.session = await this.get("/session");
    } catch (problem) {
      if (problem.status !== 401) throw problem;
      localStorage.removeItem(MARK);
      return false;
    }
    this.#listen();
    return true;
  }

  async logIn(name, password) {
    const { body } = await this.#send("POST", "/session", { name, password });
    this.session = body;
    localStorage.setItem(MARK, "yes");
    this.#listen();
  }

  async logOut() {
    await this.#send("DELETE", "/session");
    this.#gone();
  }

  /** Whether whoever is logged in may what `role` may. */
  may(role) {
    const order = ["viewer", "operator", "administrator"];
    return this.session !== null && order.indexOf(this.session.role) >= order.indexOf(role);
  }

  async get(path) {
    return (await this.read(path)).body;
  }

  /** What is at `path`, and its revision. */
  read(path) {
    return this.#send("GET", path);
  }

  /** Every item of a list, however many pages it has. */
  async all(path) {
    const items = [];
    let after = null;
    do {
      const query = new URLSearchParams({ limit: PAGE, ...(after === null ? {} : { after }) });
      const page = await this.get(`${path}?${query}`);
      items.push(...page.items);
      after = page.next ?? null;
    } while (after !== null);
    return items;
  }

  /** Changes something; `revision` is the one it was read at, and another one is refused. */
  write(method, path, body, revision) {
    return this.#send(method, path, body, revision ? { "If-Match": revision } : {});
  }

  /** What a request makes, as a file. */
  async file(path, body) {
    return (await this.#send("POST", path, body)).body;
  }

  async post(path, body) {
    return (await this.write("POST", path, body)).body;
  }

  /** The OpenAPI document. */
  document() {
    this.#document ??= this.get("/openapi.json").catch((problem) => {
      this.#document = null;
      throw problem;
    });
    return this.#document;
  }

  /** Hears an event until `signal` ends it. */
  hear(event, listener, signal) {
    this.addEventListener(event, ({ detail }) => listener(detail), { signal });
  }

  async #send(method, path, body, headers = {}) {
    const options = { method, headers: { Accept: "application/json", ...headers }, credentials: "same-origin" };
    if (body !== undefined) {
      const file = body instanceof Blob;
      options.headers["Content-Type"] = file ? body.type : "application/json";
      options.body = file ? body : JSON.stringify(body);
    }
    if (method !== "GET" && this.session?.csrf) options.headers["X-CSRF-Token"] = this.session.csrf;
    let answer;
    try {
      answer = await fetch(ROOT + path, options);
    } catch {
      throw new Problem({ status: 0, detail: "the box does not answer; is it on, and is the network there?" });
    }
    const content = await read(answer);
    if (!answer.ok) {
      if (answer.status === 401 && this.session !== null) this.#gone();
      throw new Problem({ status: answer.status, ...content });
    }
    const restart = answer.headers.get("Gantry-Restart-Needed-For");
    if (restart) this.#tell("restart", restart);
    return { body: content, revision: answer.headers.get("ETag") };
  }

  #tell(event, detail) {
    this.dispatchEvent(new CustomEvent(event, { detail }));
  }

  #gone() {
    this.session = null;
    localStorage.removeItem(MARK);
    clearTimeout(this.#again);
    this.#source?.close();
    this.#source = null;
    this.#tell("logged-out");
  }

  #listen() {
    this.#source?.close();
    const source = new EventSource(`${ROOT}/events`);
    this.#source = source;
    source.addEventListener("open", () => this.#tell("link", "live"));
    source.addEventListener("live", ({ data }) => this.#tell("live", JSON.parse(data)));
    source.addEventListener("changed", ({ data }) => this.#tell("changed", data));
    source.addEventListener("error", () => {
      if (this.#source !== source) return;
      this.#tell("link", "waiting");
      // A browser tries again by itself where the connection broke, but not where the answer was a refusal.
      if (source.readyState === EventSource.CLOSED) this.#again = setTimeout(() => this.#reopen(), AGAIN);
    });
  }

  async #reopen() {
    try {
      this.session = await this.get("/session");
      this.#listen();
    } catch (problem) {
      if (problem.status !== 401 && this.session !== null) this.#again = setTimeout(() => this.#reopen(), AGAIN);
    }
  }
}

async function read(answer) {
  const type = answer.headers.get("Content-Type") ?? "";
  if (answer.status === 204) return null;
  if (/x-tar/.test(type)) return answer.blob();
  return /json/.test(type) ? answer.json() : answer.text();
}

export const api = new Api();
