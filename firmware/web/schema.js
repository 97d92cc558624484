// From a schema of the OpenAPI document to the fields of a form.

import { words } from "./format.js";

/** Fields that name other resources, with where those are. */
const NAMED = {
  connector: "connectors",
  token: "access-tokens",
  locations: "locations",
  sip_proxy: "sip-proxies",
  h323_gatekeeper: "h323-gatekeepers",
  turn_server: "turn-servers",
};

/** The order of fields, for those that stand in it; the document has them by the alphabet. */
const ORDER = [
  "name", "alias", "priority", "enabled", "type", "domain", "description", "tag", "match", "replace", "target", "connector", "token", "treat_as_trusted",
  "kind", "url", "trust", "value", "user", "role", "password", "domains", "public_address", "calls", "protocols", "protocol", "caller", "source", "regex", "template",
  "udp", "tcp", "tls", "certificate", "key", "call_type", "encryption", "max_in_kbps", "max_out_kbps", "theme", "level",
];

/** Fields that are seldom needed; a form that has many keeps them folded. */
const SELDOM = [
  "tag", "treat_as_trusted", "call_type", "encryption", "max_in_kbps", "max_out_kbps", "theme", "outgoing_protocol", "sip_proxy", "h323_gatekeeper", "turn_server",
];
const MANY = 12;

/**
 * The fields of the schema called `name`. Each is `{ name, path, label, hint, required, sort }` and what its sort needs: `text`, `number`, `flag`, `choice`,
 * `choices`, `lines`, `secret`, `group`.
 */
export function fieldsOf(document, name) {
  return properties(document, document.components.schemas[name], "");
}

function properties(document, schema, above) {
  const required = schema.required ?? [];
  const entries = Object.entries(schema.properties ?? {}).sort(([a], [b]) => rank(a) - rank(b));
  const folds = entries.length > MANY;
  return entries.map(([name, property]) => {
    const path = above ? `${above}.${name}` : name;
    const plain = resolve(document, property);
    const field = { name, path, label: words(name), hint: hint(property, plain), required: required.includes(name), folded: folds && SELDOM.includes(name) };
    return { ...field, ...sortOf(document, name, path, plain) };
  });
}

function rank(name) {
  const place = ORDER.indexOf(name);
  return place < 0 ? ORDER.length : place;
}

/** A schema without references and without `null` beside it. */
function resolve(document, schema) {
  if (schema.$ref) {
    const target = document.components.schemas[schema.$ref.split("/").pop()];
    return { ...resolve(document, target), ...without(schema, "$ref") };
  }
  const some = (schema.oneOf ?? schema.anyOf ?? schema.allOf)?.filter((one) => one.type !== "null");
  if (some?.length === 1) return { ...resolve(document, some[0]), ...without(schema, "oneOf", "anyOf", "allOf") };
  return schema;
}

function without(object, ...names) {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));
}

function typeOf(schema) {
  return Array.isArray(schema.type) ? schema.type.find((type) => type !== "null") : schema.type;
}

function sortOf(document, name, path, schema) {
  const type = typeOf(schema);
  if (schema.enum) return { sort: "choice", options: schema.enum.filter((one) => one !== null) };
  if (type === "object") return { sort: "group", fields: properties(document, schema, path) };
  if (type === "array") {
    const item = resolve(document, schema.items);
    if (item.enum) return { sort: "choices", options: item.enum };
    return NAMED[name] ? { sort: "choices", named: NAMED[name] } : { sort: "lines" };
  }
  if (type === "boolean") return { sort: "flag" };
  if (type === "integer" || type === "number") return { sort: "number", least: schema.minimum, most: schema.maximum };
  if (schema.writeOnly) return { sort: "secret" };
  if (NAMED[name]) return { sort: "choice", named: NAMED[name] };
  return { sort: "text", long: (schema.maxLength ?? 0) >= 1000 && name === "description" };
}

function hint(property, plain) {
  const text = property.description ?? plain.description ?? "";
  const { minimum, maximum } = plain;
  const told = text.replaceAll("`", "").replace(/\s+/g, " ").trim();
  const bounds = minimum !== undefined && maximum !== undefined && !told.includes(String(maximum));
  return bounds ? `${told} From ${minimum} to ${maximum}.`.trim() : told;
}

/** Every field with those inside groups. */
export function flat(fields) {
  return fields.flatMap((field) => (field.sort === "group" ? flat(field.fields) : [field]));
}

/** The collections that these fields name. */
export function collectionsOf(fields) {
  return [...new Set(flat(fields).flatMap((field) => field.named ?? []))];
}
