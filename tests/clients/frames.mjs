// Where WebSocket frames begin and what their headers say (RFC 6455 §5.2), read off the raw bytes
// of a connection beside the library that handles them. This shows what really crossed the wire:
// fragments, control frames between them, and the bit that marks a compressed message.

const names = { 0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong" };

export class FrameLog {
  #rest = Buffer.alloc(0);
  #payload = 0;
  #frames = [];

  push(chunk) {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#skipPayload() && this.#header());
  }

  // The frames whose headers arrived since the last call.
  take() {
    return this.#frames.splice(0);
  }

  #skipPayload() {
    const skipped = Math.min(this.#payload, this.#rest.length);
    this.#payload -= skipped;
    this.#rest = this.#rest.subarray(skipped);
    return this.#payload === 0;
  }

  #header() {
    const bytes = this.#rest;
    if (bytes.length < 2) return false;
    const short = bytes[1] & 0x7f;
    const extended = short === 127 ? 8 : short === 126 ? 2 : 0;
    const masked = (bytes[1] & 0x80) !== 0;
    const size = 2 + extended + (masked ? 4 : 0);
    if (bytes.length < size) return false;
    const length = extended ? Number(bytes.readUIntBE(extended === 8 ? 4 : 2, extended === 8 ? 6 : 2)) : short;
    this.#frames.push({
      opcode: names[bytes[0] & 0x0f] ?? "reserved",
      fin: (bytes[0] & 0x80) !== 0,
      compressed: (bytes[0] & 0x40) !== 0,
      masked,
      length,
    });
    this.#rest = bytes.subarray(size);
    this.#payload = length;
    return true;
  }
}

// One line per frame, short enough to be compared by eye.
export function describe(frames) {
  return frames.map(({ opcode, fin, compressed, masked, length }) =>
    [opcode, length, fin ? "" : "more", compressed ? "compressed" : "", masked ? "" : "unmasked"]
      .filter((word) => word !== "")
      .join(" "),
  );
}
