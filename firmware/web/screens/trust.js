// What the box proves itself by: its certificate for callers over TLS, and the gateway token that joins are signed with. Keys never leave the box.

import { button, copyable, download, facts, fill, h } from "../dom.js";
import { dropped } from "../drop.js";
import { formOf, makeForm } from "../form.js";
import { moment } from "../format.js";
import { ask, notice, trouble } from "../notices.js";
import { problemList } from "../resource.js";

export const title = "Certificates";
export const route = "certificates";
export const role = "viewer";

/** Largest chain that is taken, in bytes. */
const CHAIN_BYTES = 65536;

const CERTIFICATE = {
  title: "Certificate",
  path: "/tls-certificate",
  none: "None was uploaded yet: callers over TLS and this page are shown what the configuration\u2019s files hold, or one that the box signed itself.",
  intro: "For callers over TLS and for this page. A new one is used from the next connection on; calls that stand go on.",
};
const TOKEN = {
  title: "Gateway token",
  path: "/gateway-token",
  none: "There is none: access tokens alone decide. That works, but conferences may want both.",
  intro: "Joins are signed with it. Have the request file signed by the conference\u2019s operator, and upload what comes back.",
  removable: true,
};

/** Shows both. */
export async function show(root, api) {
  const parts = await Promise.all([CERTIFICATE, TOKEN].map((kind) => part(api, kind)));
  fill(root, h("h1", { tabindex: -1 }, title), parts);
}

async function part(api, kind) {
  const status = h("div");
  const paint = (found) => fill(status, standing(api, kind, found, again));
  const again = async () => paint(await api.get(kind.path));
  await again();
  const change = api.may("administrator") ? [await requesting(api, kind, again), uploading(api, kind, paint)] : [];
  return h("section", { class: "card" }, h("h2", {}, kind.title), h("p", { class: "soft" }, kind.intro), status, change);
}

function standing(api, kind, found, again) {
  const chain = found.current;
  const shown = chain
    ? facts([
        ["For", chain.subject],
        ["Names", chain.names.join(", ")],
        ["Issued by", chain.issuer],
        ["Good from", moment(chain.not_before)],
        ["Good until", moment(chain.not_after)],
        ["Left", chain.state === "expired" ? "expired" : `${chain.days_left} days`],
        ["Key", chain.key],
        ["SHA-256", chain.fingerprint],
      ])
    : h("p", { class: "empty" }, kind.none);
  const late = chain && chain.state !== "good" ? h("p", { class: "trouble" }, chain.state === "expired" ? "It has expired." : `It ends in ${chain.days_left} days: have it renewed.`) : null;
  const lost = found.unreadable_key ? h("p", { class: "trouble" }, `Its key can\u2019t be opened any more: ${found.unreadable_key}. Request and upload a new one.`) : null;
  const waits = found.pending_key ? h("p", {}, `A key (${found.pending_key}) waits for what is signed for it.`) : null;
  const warnings = found.warnings.map((warning) => h("p", { class: "trouble" }, warning));
  const buttons = [];
  if (found.pending_key && api.may("administrator")) buttons.push(button("Give up the waiting key", () => give(api, kind, `${kind.path}/pending-key`, again), { class: "small" }));
  if (chain && kind.removable && api.may("administrator")) buttons.push(button(`Remove the ${kind.title.toLowerCase()}`, () => give(api, kind, kind.path, again), { class: "danger small" }));
  return [shown, late, lost, waits, warnings, h("p", { class: "soft" }, `Keys on the disk are guarded by ${found.keys_sealed_by}.`), h("div", { class: "bar" }, buttons)];
}

async function give(api, kind, path, again) {
  const gone = await ask({
    title: `${kind.title}: take it away?`,
    body: h("p", {}, "It can't be brought back; a new request is needed then."),
    answers: [{ text: "Take it away", kind: "danger", act: async () => {
      await api.write("DELETE", path);
    } }],
    explain: problemList,
  });
  if (gone) {
    notice("It is gone.");
    await again();
  }
}

/** The request: a file to be signed elsewhere. */
async function requesting(api, kind, again) {
  const made = h("div", { role: "status" });
  const form = await formOf(api, "CertificateRequest");
  const save = async (body) => {
    const { file, csr } = await api.post(`${kind.path}:request`, body);
    fill(made, copyable(file, csr), button(`Keep ${file}`, () => download(file, "application/pkcs10", csr)));
    await again();
  };
  const request = makeForm({ ...form, value: null, save, saveText: "Make the request" });
  return h("details", {}, h("summary", {}, "Request a new one"), request.node, made);
}

/** What came back: pasted, dropped or chosen. */
function uploading(api, kind, paint) {
  const label = `Upload the ${kind.title.toLowerCase()} (PEM: paste it, or drop the file here)`;
  const chain = dropped({ label, placeholder: "-----BEGIN CERTIFICATE-----", most: CHAIN_BYTES, what: "any chain" });
  const refused = h("div");
  const upload = async () => {
    fill(refused);
    try {
      paint((await api.write("PUT", kind.path, { pem: chain.read() })).body);
      chain.clear();
      notice(`${kind.title}: in use from now on.`);
    } catch (problem) {
      fill(refused, problem.errors?.length ? h("div", { class: "trouble", role: "alert" }, h("p", {}, problem.message), h("ul", {}, problem.errors.map((error) => h("li", {}, error.message)))) : trouble(problem));
    }
  };
  return h("div", {}, chain.node, refused, h("div", { class: "bar" }, button(`Use this ${kind.title.toLowerCase()}`, upload)));
}
