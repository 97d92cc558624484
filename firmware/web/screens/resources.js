// The screens of resources that need nothing but their list and their editor.

import { collectionScreen } from "../resource.js";
import { words } from "../format.js";

const address = { title: "Address", cell: (item) => item.address };

/** A part of an id in which a slash divides two. */
const part = (text) => text.replaceAll("%", "%25").replaceAll("/", "%2F");

const external = (title, one, collection, intro) => collectionScreen({ title, one, collection, schema: "ExternalSystem", named: "name", columns: [address], intro });

export const ACCESS_TOKENS = {
  title: "Access tokens",
  one: "access token",
  collection: "access-tokens",
  schema: "AccessToken",
  named: "name",
  columns: [{ title: "Trust", cell: (item) => words(item.trust) }],
  intro: "What the conference's administrator gave. Callers of a trusted token join directly, those of an untrusted one wait in the lobby. A value is sealed and never shown again.",
};

export const CONNECTORS = {
  title: "Connectors",
  one: "connector",
  collection: "connectors",
  schema: "Connector",
  named: "name",
  columns: [{ title: "Speaks", cell: (item) => words(item.kind) }, { title: "URL", cell: (item) => item.url, wide: true }],
  intro: "Conferences that can be joined.",
};

export const accessTokens = collectionScreen(ACCESS_TOKENS);

export const connectors = collectionScreen(CONNECTORS);

export const locations = collectionScreen({
  title: "Locations",
  one: "location",
  collection: "locations",
  schema: "NamedLocation",
  named: "name",
  columns: [{ title: "Networks", cell: (item) => item.networks.join(", "), wide: true }],
  intro: "Where callers are, by their addresses. Rules may look at it.",
});

export const devices = collectionScreen({
  title: "Devices",
  one: "device",
  collection: "registrar-devices",
  schema: "RegistrarDevice",
  named: "alias",
  columns: [{ title: "User name", cell: (item) => item.user ?? item.alias.split("@")[0] }],
  intro: "Room systems that may register with the box.",
});

export const sipProxies = external("SIP proxies", "SIP proxy", "sip-proxies", "Systems that rules send SIP calls through.");

export const gatekeepers = external("H.323 gatekeepers", "H.323 gatekeeper", "h323-gatekeepers", "Systems that rules send H.323 calls through.");

export const turnServers = external("TURN servers", "TURN server", "turn-servers", "Systems that rules send media through.");

export const receptions = collectionScreen({
  title: "Virtual receptions",
  one: "virtual reception",
  collection: "virtual-receptions",
  schema: "VirtualReception",
  named: "name",
  columns: [{ title: "Aliases", cell: (item) => item.aliases.join(", "), wide: true }],
  intro: "Who dials such an alias is answered, asked for the meeting id, and handed over by the rules.",
});

export const phonebook = collectionScreen({
  title: "Phonebook",
  one: "phonebook entry",
  collection: "phonebook-entries",
  schema: "PhonebookEntry",
  named: "name",
  // As the API names an entry: a group of its own may have a slash, and so may a name without one.
  id: (item) => (item.group ? `${part(item.group)}/${item.name}` : part(item.name)),
  columns: [{ title: "Group", cell: (item) => item.group ?? "" }, { title: "Aliases", cell: (item) => item.aliases.join(", "), wide: true }],
  intro: "Whom rooms can look up by LDAP and HTTPS.",
});

export const receivers = collectionScreen({
  title: "Alarm receivers",
  one: "alarm receiver",
  collection: "alarm-receivers",
  schema: "AlarmReceiver",
  named: "name",
  columns: [{ title: "Kind", cell: (item) => words(item.kind) }, { title: "Where", cell: (item) => item.address ?? item.url ?? "", wide: true }],
  intro: "Whom the box tells its alarms: log servers, stations for SNMP, webhooks.",
});
