// The live page: connects what is clicked, what the collector answers and what the stream brings to what is shown.

import { count, element, length } from "/element.js";
import { Story } from "/story.js";
import { Stream } from "/stream.js";
import { draw } from "/timeline.js";

const MOST_ROWS = 200;
const { collector, gapMs, logout } = document.documentElement.dataset;
const $ = (id) => document.getElementById(id);
const snippet = $("snippet");
const story = new Story(logout === "unlink");
const lengths = []; // ms from click to page, of the newest events
const made = new Set(); // ids of events that have another time than that of their click

// ---- what is shown --------------------------------------------------------------------------------------------

function setState(id, state, text) {
  $(id).dataset.state = state;
  $(id).textContent = text;
}

const start = (text, most) => (text.length > most ? `${text.slice(0, most)} …` : text);
const announce = (text) => ($("announcement").textContent = text);
const cell = (text, className = "") => element("td", { role: "cell", class: className }, text);
const nobody = () => element("span", { class: "from keep" }, "nobody yet");

function addRow(body, row, isNew) {
  body.querySelector(".empty")?.remove();
  if (isNew) row.classList.add("new");
  body.prepend(row);
  if (body.children.length > MOST_ROWS) body.lastElementChild.remove();
}

function showEvent(event, atMs, isNew) {
  const flags = event.flags ?? [];
  const measured = !made.has(event.id) && !flags.includes("out_of_order") && !flags.includes("clock_skew");
  const took = atMs - event.timestamp;
  if (measured && isNew) {
    lengths.push(took);
    $("median").textContent = length(lengths.slice(-50).sort((a, b) => a - b)[Math.min(lengths.length, 50) >> 1]);
  }
  const session = event.session_number ?? "none";
  const place = element("span", { class: "keep" }, session, " ",
    element("span", { class: "from" }, `event ${event.event_number ?? "–"}`));
  const user = event.user_id === undefined ? nobody()
    : element("span", {}, event.user_id, " ", element("span", { class: "from keep" }, `by the ${event.user_source}`));
  const tags = element("span", {}, ...flags.map((flag) => element("span", { class: `tag ${flag}` }, flag)));
  addRow($("events"), element("tr", { role: "row", "data-id": event.id }, cell(event.type, "type"), cell(user),
    cell(place, "session"), cell(tags, "flags"), cell(measured ? length(took) : "–", "number")), isNew);
  $("event-count").textContent = story.events.length;
  $("user-now").textContent = story.userNow() ?? "nobody";
  if (isNew) announce(`${event.type}, session ${session}, ${event.user_id ?? "nobody"}`);
}

function showSessions() {
  const sessions = [...story.sessions.values()].sort((a, b) => b.number - a.number);
  if (!sessions.length) return;
  $("sessions").replaceChildren(...sessions.map((session) => {
    const merged = session.status === "merged";
    const into = merged ? ` into ${story.resolve(session.id)?.number ?? "another"}` : "";
    const status = element("td", { role: "cell", class: "plain" },
      element("span", { class: `tag ${session.status}` }, `${session.status}${into}`));
    if (session.status === "closed" && session.reason) {
      status.append(element("span", { class: "from keep" }, session.reason));
    }
    return element("tr", { class: merged ? "merged" : "", "data-session": session.id }, cell(session.number), status,
      cell(session.count), cell(session.user ?? nobody()), cell(length(Math.max(0, session.end - session.start)), "length"));
  }));
  $("session-count").textContent = sessions.filter((session) => session.status !== "merged").length;
}

let drawing = 0;
function showTimeline() {
  cancelAnimationFrame(drawing);
  drawing = requestAnimationFrame(() => {
    if (!story.timeline().length) return;
    const { svg, scaleS } = draw(story, Math.max(280, $("timeline").clientWidth));
    $("timeline").replaceChildren(svg);
    $("scale").textContent = `the whole width is ${length(scaleS * 1000)}`;
  });
}

function showRefusal(list, { reason, detail }, payload = "") {
  const text = element("li", {}, element("b", {}, reason), ` ${detail}`);
  if (payload) text.append(element("div", { class: "code from" }, start(payload, 200)));
  addRow(list, text, true);
}

async function showDeadLetters() {
  const answer = await fetch("/live/dead-letters");
  if (!answer.ok) return;
  const letters = await answer.json();
  $("dead-letters").replaceChildren(element("li", { class: "empty" }, "None since this page's server started"));
  for (const { value } of letters) showRefusal($("dead-letters"), value, value.payload);
}

function clear() {
  story.clear();
  $("events").replaceChildren(element("tr", { class: "empty" }, element("td", { colspan: 5 }, "No event yet")));
  $("sessions").replaceChildren(element("tr", { class: "empty" }, element("td", { colspan: 5 }, "No session yet")));
}

// ---- what comes from the stream -------------------------------------------------------------------------------

const device = deviceId();
const stream = new Stream(device, {
  reset: clear,
  state(name) {
    const state = { connected: "good", connecting: "wait", offline: "bad" }[name] ?? "wait";
    setState("stream-state", state, name);
    if (name === "connected" || name === "without Kafka") firstPageView();
  },
  message(kind, value, atMs, isNew) {
    if (kind === "dead_letter") {
      if (!$("dead-letters").hidden) showRefusal($("dead-letters"), value, value.payload);
      return;
    }
    if (kind === "event") {
      story.addEvent(value);
      showEvent(value, atMs, isNew);
    } else {
      story.addSession(value);
    }
    showSessions();
    showTimeline();
  },
});

// The snippet's own key in localStorage, so that the stream is open before the first event is sent.
function deviceId() {
  const id = () => [...crypto.getRandomValues(new Uint8Array(16))].map((x) => x.toString(16).padStart(2, "0")).join("");
  try {
    return (localStorage["sz.device"] ||= id());
  } catch {
    return id();
  }
}

let viewed = false;
function firstPageView() {
  if (viewed || !window.sz) return;
  viewed = true;
  window.sz.page();
}

// ---- what goes to the collector -------------------------------------------------------------------------------

function showAnswer({ status, answer }) {
  const refused = answer?.refused ?? [];
  for (const refusal of refused) showRefusal($("refusals"), refusal);
  if (status === 200) {
    setState("collector-state", "good", `${count(answer.accepted, "event")} stored`);
  } else if (status === 0) {
    setState("collector-state", "bad", "no answer, tries again");
  } else {
    const again = status === 429 || status > 499 ? ", tries again" : "";
    setState("collector-state", refused.length ? "good" : "bad", `${status} ${answer?.error ?? ""}${again}`);
    if (status === 401 || status === 403) showWrongKey(answer?.error ?? status);
  }
  if (refused.length) announce(`Refused: ${refused[0].reason}`);
}

// Nothing of this page is accepted then, so it says what to do, once.
let keyIsWrong = false;
function showWrongKey(reason) {
  if (keyIsWrong) return;
  keyIsWrong = true;
  const detail = `The collector accepts nothing with this page's write key. Make one for this page:
    sessionizer collect keys add live --origin ${location.origin}, and start the page again with it in
    SESSIONIZER_LIVE_WRITE_KEY (live.write_key).`;
  showRefusal($("refusals"), { reason, detail });
  announce(`${reason}. ${detail}`);
}

// Past times are not the snippet's business: it gives each event the time of its call.
async function sendLate() {
  const event = {
    id: `late-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`,
    type: "late_click",
    device_id: device,
    timestamp: Math.round(story.timeBetween(Number(gapMs))),
  };
  made.add(event.id);
  const key = encodeURIComponent(snippet.dataset.key);
  try {
    const answer = await fetch(`${collector}/v1/events?write_key=${key}`, {
      method: "POST", body: JSON.stringify([event]), credentials: "omit",
    });
    showAnswer({ status: answer.status, answer: await answer.json() });
  } catch {
    showAnswer({ status: 0 });
  }
}

const online = { fetch: window.fetch, sendBeacon: navigator.sendBeacon };
function setOffline(offline) {
  window.fetch = offline ? () => Promise.reject(new TypeError("offline")) : online.fetch;
  navigator.sendBeacon = offline ? () => false : online.sendBeacon;
  $("offline").setAttribute("aria-pressed", offline);
  $("offline").textContent = offline ? "Go online" : "Go offline";
  if (offline) {
    stream.close();
    setState("stream-state", "bad", "offline");
  } else {
    stream.open();
    window.dispatchEvent(new Event("online"));
  }
}

function snippetIsMissing() {
  setState("collector-state", "bad", "not reachable: reload when it runs");
  for (const button of document.querySelectorAll("button")) button.disabled = true;
}

// ---- the beginning --------------------------------------------------------------------------------------------

const onClick = (id, action) => $(id).addEventListener("click", action);
onClick("page-view", () => window.sz.page());
onClick("click", () => window.sz.track("click", { button: "click" }));
onClick("late", sendLate);
onClick("hostile", () => window.sz.track('<img src=x onerror="document.title=1">'));
onClick("refused", () => window.sz.track("refused_click", { nested: { too: "deep" } }));
onClick("offline", () => setOffline($("offline").getAttribute("aria-pressed") !== "true"));
onClick("logout", () => window.sz.logout());
$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  window.sz.identify($("user").value.trim());
});
onClick("show-dead-letters", async () => {
  const show = $("dead-letters").hidden;
  $("dead-letters").hidden = !show;
  $("show-dead-letters").setAttribute("aria-expanded", show);
  $("show-dead-letters").textContent = show ? "Hide the dead letters" : "Show the dead letters";
  if (show) await showDeadLetters();
});

$("device").textContent = device.slice(0, 8);
$("device").title = device;
$("collector").textContent = collector;
$("no-logout").hidden = logout === "unlink";
$("gap").textContent = length(Number(gapMs));
window.addEventListener("sz", (event) => showAnswer(event.detail));
window.addEventListener("resize", showTimeline);
window.addEventListener("load", () => {
  if (!window.sz) snippetIsMissing();
  else if (stream.isNew) firstPageView();
  else setTimeout(firstPageView, 2000); // the stream may never open; events are sent all the same
});
stream.open();
