// Themes: what callers see and hear before they are in a meeting. A theme's files are dropped here, or chosen one by one.

import { button, fill, h, table } from "../dom.js";
import { takesDrops } from "../drop.js";
import { words } from "../format.js";
import { notice, trouble } from "../notices.js";
import { collectionScreen } from "../resource.js";

/** How files end, and what they are sent as. */
const TYPES = { png: "image/png", wav: "audio/wav" };

export const themes = collectionScreen({
  title: "Themes",
  one: "theme",
  collection: "themes",
  schema: "Theme",
  named: "name",
  columns: [{ title: "Folder", cell: (item) => item.folder ?? "", wide: true }],
  intro: "Pictures and voices of your own for what callers see and hear before they are in a meeting. Rules and virtual receptions name a theme; its files are uploaded once it is made.",
  beside: files,
});

/** The files of the theme called `name`. */
async function files(api, name) {
  const path = `/themes/${encodeURIComponent(name)}/files`;
  const list = h("div");
  const refused = h("div");
  let painted = 0;
  const paint = ({ items }) => {
    painted += 1;
    const pictures = items.filter((item) => item.part === "picture");
    const rows = pictures.map((picture) => ({ picture, voice: items.find((item) => item.part === "voice" && item.prompt === picture.prompt) }));
    const focused = list.contains(document.activeElement) ? document.activeElement.id : null;
    fill(list, table({ caption: `Files of ${name}`, columns, rows }));
    // Whoever works by keyboard stays at the file that was changed.
    if (focused) document.getElementById(focused)?.focus();
  };
  const again = async () => paint(await api.get(path));
  /** Uploads files under these names; each that is refused says why. */
  const upload = async (chosen) => {
    fill(refused);
    const taken = [];
    for (const [as, file] of chosen) {
      try {
        const type = TYPES[as.split(".").pop().toLowerCase()];
        if (type === undefined) throw new Error(`${as} is neither PNG nor WAV; call it after a prompt, such as welcome.png or welcome.wav`);
        await api.write("PUT", `${path}/${encodeURIComponent(as.toLowerCase())}`, file.slice(0, file.size, type));
        taken.push(as.toLowerCase());
      } catch (problem) {
        refused.append(trouble(problem));
      }
    }
    if (taken.length > 0) notice(`${taken.join(", ")}: taken. Callers have it from the next prompt on.`);
    await again();
  };
  const remove = async (item) => {
    fill(refused);
    document.getElementById(fileId(item))?.focus();
    try {
      await api.write("DELETE", `${path}/${item.file}`);
      notice(`${item.file} is removed.`);
    } catch (problem) {
      fill(refused, trouble(problem));
    }
    await again();
  };
  const may = api.may("administrator");
  const part = (item, shown) => [
    h("div", { class: "shown" }, shown),
    h("div", {}, h("span", { class: item.came_by === "built-in" ? "badge" : "badge good" }, words(item.came_by)), ` ${item.about ?? ""}`),
    item.trouble ? h("p", { class: "trouble" }, item.trouble) : null,
    may ? h("div", { class: "bar" }, chooser(item, upload), item.came_by === "upload" ? button("Remove", () => remove(item), { class: "danger small", "aria-label": `Remove ${item.file}` }) : null) : null,
  ];
  const address = (item) => `/api/v1${path}/${item.file}?${painted}`;
  const seen = (item) => h("img", { src: address(item), alt: item.came_by === "built-in" ? item.words : item.file, width: 240, loading: "lazy" });
  const heard = (item) => (item.came_by === "built-in" ? h("q", {}, item.words) : h("audio", { src: address(item), controls: true, preload: "none", "aria-label": item.file }));
  const columns = [
    { title: "Prompt", cell: ({ picture }) => words(picture.prompt) },
    { title: "Picture", cell: ({ picture }) => h("div", {}, part(picture, seen(picture))) },
    { title: "Voice", cell: ({ voice }) => h("div", {}, part(voice, heard(voice))), wide: true },
  ];
  await again();
  const node = h(
    "section",
    { class: "card drop themes", "aria-label": "Files" },
    h("h2", {}, "Files"),
    h("p", { class: "soft" }, "PNG of 64x64 to 1920x1088 pixels (1280x720 is best) and WAV (PCM, 16 bit, up to a minute). Drop files here that are called after their prompts, such as welcome.png and welcome.wav. What is keyed is drawn into the lower part of welcome, try again and connecting."),
    refused,
    list,
  );
  if (may) takesDrops(node, ({ files: dropped }) => upload([...dropped].map((file) => [file.name, file])));
  return node;
}

const fileId = (item) => `file-${item.file}`;

/** What chooses a file for one part of a prompt, whatever it is called. */
function chooser(item, upload) {
  const ending = item.file.split(".").pop();
  const id = fileId(item);
  const file = h("input", { type: "file", id, class: "unseen", accept: `.${ending},${TYPES[ending]}` });
  file.addEventListener("change", () => file.files[0] && upload([[item.file, file.files[0]]]));
  return [file, h("label", { for: id, class: "button small" }, `Upload ${item.file}`)];
}
