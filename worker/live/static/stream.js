// The stream of this device: opens it, opens it again, and says how it is. Knows nothing of what messages say.
//
// A browser reopens a stream that was cut off, but not one that was refused (the server starts, or is full), and a
// stream that we opened anew cannot send Last-Event-ID: then the id of the last message is in the address.

const KINDS = ["event", "session", "dead_letter"];
const AGAIN_MS = 2000;

export class Stream {
  #source = null;
  #lastId = "";
  #timer;

  // handlers: message(kind, value, atMs, isNew), reset(), state(name)
  constructor(device, handlers) {
    this.device = device;
    this.handlers = handlers;
    this.isNew = false;
  }

  open() {
    this.close();
    const query = new URLSearchParams({ device: this.device });
    if (this.#lastId) query.set("last_event_id", this.#lastId);
    const source = new EventSource(`/live/stream?${query}`);
    this.#source = source;
    this.handlers.state("connecting");
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        this.#lastId = event.lastEventId;
        const { seen_at, value } = JSON.parse(event.data);
        this.handlers.message(kind, value, this.isNew ? Date.now() : seen_at, this.isNew);
      });
    }
    source.addEventListener("reset", () => this.handlers.reset());
    source.addEventListener("state", (event) => {
      this.isNew = true;
      this.handlers.state(JSON.parse(event.data).value.kafka ? "connected" : "without Kafka");
    });
    source.addEventListener("error", () => {
      this.isNew = false;
      this.handlers.state("reconnecting");
      if (source.readyState === EventSource.CLOSED) this.#timer = setTimeout(() => this.open(), AGAIN_MS);
    });
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
    this.isNew = false;
  }
}
