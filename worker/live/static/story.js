// What is known of this device: its events in order of arrival, and its sessions as they are now. Knows no document.

const MOST_EVENTS = 1000;

export class Story {
  // unlinks: after an event of the type "logout", which is the snippet's, the device is nobody's.
  constructor(unlinks) {
    this.unlinks = unlinks;
    this.clear();
  }

  clear() {
    this.events = [];
    this.sessions = new Map();
  }

  addEvent(event) {
    this.events.push(event);
    if (this.events.length > MOST_EVENTS) this.events.shift();
    if (event.session_id === undefined) return;
    const session = this.#session(event.session_id, event.session_number);
    // An event that joins an open session publishes no session: its row is counted here until the next one.
    session.count = Math.max(session.count, event.event_number);
    session.start = Math.min(session.start, event.timestamp);
    session.end = Math.max(session.end, event.timestamp);
    if (event.user_id !== undefined) session.user = event.user_id;
  }

  addSession(record) {
    const session = this.#session(record.session_id, record.session_number);
    if (record.revision < session.revision) return;
    session.revision = record.revision;
    session.status = record.status;
    session.reason = record.close_reason;
    session.mergedInto = record.merged_into;
    session.count = record.status === "open" ? Math.max(session.count, record.event_count) : record.event_count;
    session.start = record.start;
    session.end = Math.max(record.end, record.status === "open" ? session.end : 0);
    session.user = record.user_id ?? session.user;
  }

  // Whose the device's newest event is, by event time.
  userNow() {
    const newest = this.events.reduce((newest, event) => (event.timestamp >= newest.timestamp ? event : newest));
    return this.isLogout(newest) ? undefined : newest.user_id;
  }

  isLogout(event) {
    return this.unlinks && event.type === "logout";
  }

  isLogin(event) {
    return event.flags?.includes("linked") && event.user_id !== undefined && !this.isLogout(event);
  }

  // How an event is drawn.
  kind(event) {
    if (this.isLogin(event)) return "login";
    return event.user_id === undefined ? "unknown" : "known";
  }

  // The session that an event of this one belongs to now.
  resolve(id) {
    for (let hops = 0; hops < 64; hops++) {
      const into = this.sessions.get(id)?.mergedInto;
      if (into === undefined) break;
      id = into;
    }
    return this.sessions.get(id);
  }

  // Sessions that were not merged into another, by their start, each with its events by their time.
  timeline() {
    const found = new Map();
    for (const event of this.events) {
      const session = event.session_id === undefined ? undefined : this.resolve(event.session_id);
      if (session === undefined) continue;
      if (!found.has(session)) found.set(session, []);
      found.get(session).push(event);
    }
    return [...found]
      .map(([session, events]) => ({ session, events: events.sort((a, b) => a.timestamp - b.timestamp) }))
      .sort((a, b) => a.events[0].timestamp - b.events[0].timestamp);
  }

  // A time between the two newest sessions, so that an event of that time may join them.
  timeBetween(gapMs) {
    const starts = this.timeline();
    if (starts.length < 2) return Date.now() - gapMs / 2;
    const [before, after] = starts.slice(-2);
    return (before.events.at(-1).timestamp + after.events[0].timestamp) / 2;
  }

  #session(id, number) {
    if (!this.sessions.has(id)) {
      this.sessions.set(id, { id, number, status: "open", count: 0, revision: -1, start: Infinity, end: 0 });
    }
    return this.sessions.get(id);
  }
}
