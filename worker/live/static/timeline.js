// One device's timeline as a picture, as `sessionizer demo` draws it in text: sessions, the gaps between them, users.
// Decides how it is drawn; knows only what the story gives. The picture says the same without colour, and in words.

import { count, length, picture } from "/element.js";

const STEPS_S = [10, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600];
const MOST_SESSIONS = 8;
const LINE = 20;
const MARGIN = 10;

const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour12: false });

let drawnLast; // so that a mark grows once, and not whenever the picture is drawn again

// Returns the SVG, and how many seconds its width stands for.
export function draw(story, width) {
  const shown = story.timeline().slice(-MOST_SESSIONS);
  const longest = Math.max(...shown.map(({ events }) => events.at(-1).timestamp - events[0].timestamp));
  const scaleS = STEPS_S.find((step) => longest <= step * 1000) ?? Math.ceil(longest / 1000);
  const newest = story.events.at(-1) === drawnLast ? undefined : story.events.at(-1);
  drawnLast = story.events.at(-1);
  const login = story.events.findLast((event) => story.isLogin(event));
  const words = [];
  const parts = [];
  let y = 0;
  for (const [index, { session, events }] of shown.entries()) {
    if (index > 0) y = gap(parts, words, shown[index - 1].events.at(-1), events[0], y);
    y = bar(parts, words, { story, session, events, newest, y, pxPerMs: (width - 2 * MARGIN) / (scaleS * 1000) });
    y = users(parts, words, { story, events, login, y });
  }
  const svg = picture("svg", { width, height: y + 4, role: "img", "aria-label": words.join(". ") }, ...parts);
  return { svg, scaleS };
}

function bar(parts, words, { story, session, events, newest, y, pxPerMs }) {
  const start = events[0].timestamp;
  const x = (event) => MARGIN + (event.timestamp - start) * pxPerMs;
  const summary = `${count(session.count, "event")}, ${length(events.at(-1).timestamp - start)}`;
  parts.push(
    picture("text", { x: 0, y: y + 14 },
      picture("tspan", { class: "soft" }, clock(start)),
      picture("tspan", { class: "strong", dx: 8 }, `session ${session.number}`),
      picture("tspan", { class: "soft", dx: 8 }, summary)),
    picture("line", { class: "line", x1: x(events[0]), x2: x(events.at(-1)), y1: y + 33, y2: y + 33 }),
    ...events.map((event) => mark(story.kind(event), x(event), y + 33, event === newest)));
  words.push(`Session ${session.number} at ${clock(start)}: ${summary}`);
  return y + 50;
}

function mark(kind, x, y, isNew) {
  const shape = kind === "login"
    ? picture("path", { d: `M${x} ${y - 8} ${x + 8} ${y} ${x} ${y + 8} ${x - 8} ${y}z` })
    : picture("circle", { cx: x, cy: y, r: kind === "known" ? 6 : 5 });
  shape.setAttribute("class", isNew ? `${kind} new` : kind);
  return shape;
}

// One line for each run of events of the same user, and one for a login.
function users(parts, words, { story, events, login, y }) {
  const runs = [];
  for (const event of events) {
    const run = runs.at(-1);
    const kind = story.kind(event);
    if (run && run.kind === kind && run.user === event.user_id) run.events.push(event);
    else runs.push({ kind, user: event.user_id, events: [event] });
  }
  for (const run of runs) {
    const text = describe(run, login);
    parts.push(mark(run.kind, MARGIN + 8, y + 5, false), picture("text", { x: MARGIN + 24, y: y + 10 }, text));
    words.push(text);
    y += LINE;
  }
  return y + 4;
}

function describe({ kind, user, events }, login) {
  if (kind === "login") return `${events[0].type}: the device and its past are ${user}'s`;
  if (kind === "unknown") {
    const claimed = login && events.at(-1).timestamp < login.timestamp;
    return `${events.length} anonymous${claimed ? `, claimed for ${login.user_id} by the login` : ""}`;
  }
  const byEvent = events.filter((event) => event.user_source === "event").length;
  const sources = [[byEvent, "event"], [events.length - byEvent, "device"]].filter(([number]) => number > 0);
  return `${events.length} of ${user}, known ${sources.map(([number, source]) => `${number} by the ${source}`).join(", ")}`;
}

function gap(parts, words, before, after, y) {
  const text = `${length(Math.max(0, after.timestamp - before.timestamp))} without an event`;
  parts.push(
    picture("line", { class: "gap", x1: MARGIN, x2: MARGIN, y1: y, y2: y + 18 }),
    picture("text", { class: "soft", x: MARGIN + 24, y: y + 13 }, text));
  words.push(text);
  return y + 26;
}
