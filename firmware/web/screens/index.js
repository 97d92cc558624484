// The list of screens, by groups. A screen is a module that exports `title`, `route`, the least `role`, and `show(root, api, context)`.

import * as live from "./live.js";
import * as alarms from "./alarms.js";
import * as calls from "./calls.js";
import * as blocked from "./blocked.js";
import * as routing from "./routing.js";
import * as invitations from "./invitations.js";
import * as dns from "./dns.js";
import * as firewall from "./firewall.js";
import * as start from "./start.js";
import * as settings from "./settings.js";
import * as system from "./system.js";
import * as box from "./box.js";
import * as users from "./users.js";
import * as tokens from "./tokens.js";
import * as audit from "./audit.js";
import * as trust from "./trust.js";
import * as licences from "./licences.js";
import { themes } from "./themes.js";
import {
  connectors, accessTokens, locations, devices, sipProxies, gatekeepers, turnServers, receptions, phonebook, receivers,
} from "./resources.js";

export const groups = [
  { title: "Now", screens: [live, alarms, calls, blocked] },
  { title: "Routing", screens: [routing, invitations, receptions, accessTokens, connectors, locations, devices, phonebook, sipProxies, gatekeepers, turnServers, themes] },
  { title: "Plans", screens: [dns, firewall] },
  { title: "Box", screens: [start, settings, trust, licences, receivers, system, box] },
  { title: "People", screens: [users, tokens, audit] },
];
