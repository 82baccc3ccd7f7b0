// A client with Node's `ws` and `https`: runs one scenario against each URL and prints what it saw.
//
// Argument: {"scenario": name, "urls": […], "ca": path, "address": where the URLs' host is}. Prints
// one line {"result": …} for each URL, and {"event": …} where the test has to act.

import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import https from "node:https";
import { WebSocket } from "ws";
import { describe, FrameLog } from "./frames.mjs";

const { scenario, urls, ca, address } = JSON.parse(process.argv[2]);
const trust = {
  ca: readFileSync(ca),
  lookup: (_, { all }, done) => (all ? done(null, [{ address, family: 4 }]) : done(null, address, 4)),
};

// An open WebSocket whose messages are taken one by one.
class Chat {
  #messages = [];
  #wake = () => {};

  static async open(url, { protocols = [], ...options } = {}) {
    const chat = new Chat();
    const socket = new WebSocket(url.replace(/^https/, "wss"), protocols, {
      ...trust,
      perMessageDeflate: false,
      ...options,
    });
    chat.socket = socket;
    chat.frames = new FrameLog();
    chat.error = null;
    socket.on("upgrade", ({ socket: stream }) => {
      stream.prependListener("data", (chunk) => chat.frames.push(chunk));
      stream.on("error", (error) => (chat.error = error.code ?? error.message));
    });
    socket.on("message", (data, binary) => {
      chat.#messages.push(binary ? data : data.toString());
      chat.#wake();
    });
    chat.closed = once(socket, "close").then(([code, reason]) => ({
      code,
      reason: reason.toString(),
      error: chat.error,
    }));
    chat.closed.then(() => chat.#wake());
    await once(socket, "open");
    return chat;
  }

  async next() {
    while (this.#messages.length === 0) {
      if (this.socket.readyState === WebSocket.CLOSED) throw new Error("closed before the answer came");
      await new Promise((resolve) => (this.#wake = resolve));
    }
    return this.#messages.shift();
  }

  ask(message) {
    this.socket.send(message);
    return this.next();
  }

  // The frames that the application received since the last call.
  async sent() {
    return JSON.parse(await this.ask("/frames"));
  }

  async close(code, reason) {
    this.socket.close(code, reason);
    return this.closed;
  }
}

function request(url, { body, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const call = https.request(url, { ...trust, ...options }, async (response) => {
      const chunks = await response.toArray();
      resolve({
        status: response.statusCode,
        headers: response.headers,
        body: Buffer.concat(chunks),
        port: call.socket.localPort,
      });
    });
    call.on("error", reject);
    call.end(body);
  });
}

const scenarios = {
  async echo(url) {
    const chat = await Chat.open(`${url}/ws`);
    const kept = [];
    for (const message of ["", "grüß dich 🦀", "x".repeat(125), "x".repeat(126), "x".repeat(65535), "x".repeat(65536)]) {
      kept.push((await chat.ask(message)) === message);
      const bytes = Buffer.from(message);
      const answer = await chat.ask(bytes);
      kept.push(Buffer.isBuffer(answer) && bytes.equals(answer));
    }
    const received = describe(chat.frames.take());
    const sent = await chat.sent();
    await chat.close(1000);
    return { kept, sent, received };
  },

  async subprotocol(url) {
    const agreed = [];
    for (const protocols of [["chat.v2", "chat.v1"], []]) {
      const chat = await Chat.open(`${url}/ws`, { protocols });
      agreed.push(chat.socket.protocol);
      await chat.close(1000);
    }
    return { agreed };
  },

  async large(url) {
    const message = Buffer.alloc(10 * 1024 * 1024, "The quick brown fox. ");
    const kept = [];
    for (const perMessageDeflate of [false, true]) {
      const chat = await Chat.open(`${url}/ws`, { perMessageDeflate });
      const answer = await chat.ask(message);
      kept.push(answer.length, message.equals(answer));
      await chat.close(1000);
    }
    return { kept };
  },

  async fragments(url) {
    const chat = await Chat.open(`${url}/ws`);
    // The crab's four bytes are cut in two, and a ping goes between the pieces.
    const bytes = Buffer.from("a crab 🦀 in pieces");
    chat.socket.send(bytes.subarray(0, 9), { binary: false, fin: false });
    chat.socket.ping("between");
    chat.socket.send(bytes.subarray(9, 12), { binary: false, fin: false });
    chat.socket.send("", { fin: false });
    chat.socket.send(bytes.subarray(12), { fin: true });
    const answer = await chat.next();
    chat.frames.take();
    const sent = await chat.sent();
    chat.frames.take();
    const whole = await chat.ask("/fragment these are pieces");
    const received = describe(chat.frames.take());
    await chat.close(1000);
    return { answer, sent, whole, received };
  },

  async ping(url) {
    const chat = await Chat.open(`${url}/ws`);
    const pong = once(chat.socket, "pong");
    chat.socket.ping("are you there?");
    const answered = (await pong)[0].toString();
    const ping = once(chat.socket, "ping");
    const answer = await chat.ask("/ping and you?");
    const asked = (await ping)[0].toString();
    await chat.close(1000);
    return { answered, asked, answer };
  },

  async deflate(url) {
    const chat = await Chat.open(`${url}/ws`, { perMessageDeflate: { threshold: 0 } });
    const message = "compress me, please; ".repeat(4096);
    const kept = [(await chat.ask(message)) === message, (await chat.ask(message)) === message];
    const received = describe(chat.frames.take());
    const sent = await chat.sent();
    const extensions = chat.socket.extensions;
    await chat.close(1000);
    const compressed = sent.map((frame) => / compressed$/.test(frame));
    return { extensions, kept, compressed, sent, received };
  },

  async headers(url) {
    const headers = {
      Cookie: "session=s3cret; theme=dark",
      Authorization: "Bearer t0ken",
      "X-Custom": "kept as it is",
      "X-Forwarded-For": "6.6.6.6",
      "X-Forwarded-Proto": "gopher",
      "X-Forwarded-Host": "evil.test",
    };
    const chat = await Chat.open(`${url}/ws?room=1`, { headers, origin: "https://page.test" });
    const upgrade = JSON.parse(await chat.ask("/headers"));
    await chat.close(1000);
    const page = JSON.parse((await request(`${url}/headers`, { headers })).body);
    return { upgrade, page };
  },

  async http(url) {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set();
    const ask = async (path, options = {}) => {
      const answer = await request(`${url}${path}`, { agent, ...options });
      ports.add(answer.port);
      return answer;
    };
    const page = await ask("/");
    const chunked = await ask("/chunked");
    const download = await ask("/large");
    const unchanged = await ask("/unchanged", { headers: { "If-None-Match": '"v1"' } });
    const head = await ask("/large", { method: "HEAD" });
    const missing = await ask("/nowhere");
    const posted = await ask("/echo", { method: "POST", body: "with a length" });
    agent.destroy();
    return {
      page: [page.status, page.headers["content-type"], page.headers["set-cookie"]],
      intact: page.body.equals(readFileSync(new URL("chromium_page.html", import.meta.url))),
      chunked: [chunked.status, chunked.headers["transfer-encoding"], chunked.body.toString()],
      download: [download.status, download.body.equals(Buffer.alloc(10 * 1024 * 1024, "0123456789abcdef"))],
      unchanged: [unchanged.status, unchanged.headers.etag, unchanged.body.length],
      head: [head.status, head.headers["content-length"], head.body.length],
      missing: [missing.status, missing.body.toString()],
      posted: [posted.status, posted.body.toString()],
      conversation: await conversation(url),
      continued: await continued(url),
      connections: ports.size,
    };
  },

  async denied(url) {
    const answers = [];
    for (const path of ["/ws/private", "/ws/nowhere"]) {
      const socket = new WebSocket(`${url.replace(/^https/, "wss")}${path}`, trust);
      const [, response] = await once(socket, "unexpected-response");
      const body = Buffer.concat(await response.toArray()).toString();
      answers.push([response.statusCode, response.headers["www-authenticate"] ?? null, body]);
    }
    return { answers };
  },

  async close(url) {
    const seenByApplication = async (id) => JSON.parse((await request(`${url}/closed?id=${id}`)).body);
    const id = randomUUID();
    const leaving = await Chat.open(`${url}/ws?id=${id}`);
    leaving.socket.send("/close 4001 you may go");
    const theirs = await leaving.closed;
    const replied = await seenByApplication(id);
    const ours = [];
    for (const args of [[4002, "good bye"], [1000], []]) {
      const id = randomUUID();
      const chat = await Chat.open(`${url}/ws?id=${id}`);
      await chat.close(...args);
      ours.push(await seenByApplication(id));
    }
    return { theirs, replied, ours };
  },

  async restart(url) {
    const chat = await Chat.open(`${url}/ws`);
    const before = await chat.ask("before");
    console.log(JSON.stringify({ event: "connected" }));
    const closed = await chat.closed;
    const again = await Chat.open(`${url}/ws`);
    const after = await again.ask("after");
    await again.close(1000);
    return { before, closed, after };
  },

  // As restart, but the application goes without a Close.
  async crash(url) {
    const chat = await Chat.open(`${url}/ws`);
    chat.socket.send("/crash");
    const closed = await chat.closed;
    const again = await Chat.open(`${url}/ws`);
    const after = await again.ask("after");
    await again.close(1000);
    return { closed, after };
  },
};

// Sends a body piece by piece, each only after the one before has come back.
async function conversation(url) {
  const call = https.request(`${url}/echo`, { ...trust, method: "POST" });
  call.flushHeaders();
  const [response] = await once(call, "response");
  const heard = [];
  for (const word of ["first", "second", "third"]) {
    call.write(word);
    const [chunk] = await once(response, "data");
    heard.push(chunk.toString());
  }
  call.end();
  await once(response, "end");
  return heard;
}

// Waits for 100 Continue before it sends the body.
async function continued(url) {
  const call = https.request(`${url}/echo`, { ...trust, method: "POST", headers: { Expect: "100-continue" } });
  call.flushHeaders();
  await once(call, "continue");
  call.end("after the go-ahead");
  const [response] = await once(call, "response");
  return Buffer.concat(await response.toArray()).toString();
}

for (const url of urls) {
  console.log(JSON.stringify({ result: await scenarios[scenario](url) }));
}
