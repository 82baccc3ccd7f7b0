// What the page does in each scenario, with nothing but the browser's own WebSocket and fetch.
// chromium_client.mjs calls `scenarios` and provides `report`, which tells the test that it may act.

const base = document.baseURI.replace(/\/$/, "");

// An open WebSocket whose messages are taken one by one.
class Chat {
  #messages = [];
  #wake = () => {};

  static async open(path, protocols = []) {
    const chat = new Chat();
    const socket = new WebSocket(base.replace(/^https/, "wss") + path, protocols);
    socket.binaryType = "arraybuffer";
    chat.socket = socket;
    socket.onmessage = ({ data }) => {
      chat.#messages.push(data);
      chat.#wake();
    };
    chat.closed = new Promise((resolve) => {
      socket.onclose = ({ code, reason, wasClean }) => {
        resolve({ code, reason, wasClean });
        chat.#wake();
      };
    });
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      chat.closed.then(({ code }) => reject(new Error(`not opened: ${code}`)));
    });
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

  close(code, reason) {
    this.socket.close(code, reason);
    return this.closed;
  }
}

function same(left, right) {
  const [a, b] = [new Uint8Array(left), new Uint8Array(right)];
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

async function fetched(path, options) {
  const response = await fetch(base + path, options);
  return { status: response.status, headers: response.headers, body: await response.arrayBuffer() };
}

const text = (bytes) => new TextDecoder().decode(bytes);
const seenByApplication = async (id) => (await fetch(`${base}/closed?id=${id}`)).json();

const scenarios = {
  async echo() {
    const chat = await Chat.open("/ws");
    const kept = [];
    for (const message of ["", "grüß dich 🦀", "x".repeat(125), "x".repeat(126), "x".repeat(65535), "x".repeat(65536)]) {
      kept.push((await chat.ask(message)) === message);
      const bytes = new TextEncoder().encode(message);
      kept.push(same(await chat.ask(bytes), bytes));
    }
    await chat.close(1000);
    return { kept };
  },

  async subprotocol() {
    const agreed = [];
    for (const protocols of [["chat.v2", "chat.v1"], []]) {
      const chat = await Chat.open("/ws", protocols);
      agreed.push(chat.socket.protocol);
      await chat.close(1000);
    }
    return { agreed };
  },

  async large() {
    const message = new Uint8Array(10 * 1024 * 1024).map((_, i) => i >> 8);
    const chat = await Chat.open("/ws");
    const answer = await chat.ask(message);
    const kept = [answer.byteLength, same(answer, message)];
    await chat.close(1000);
    return { kept };
  },

  async fragments() {
    const chat = await Chat.open("/ws");
    const whole = await chat.ask("/fragment these are pieces");
    await chat.close(1000);
    return { whole };
  },

  // A page cannot send pings; the browser answers those of the server.
  async ping() {
    const chat = await Chat.open("/ws");
    const answer = await chat.ask("/ping and you?");
    await chat.close(1000);
    return { answer };
  },

  async deflate() {
    const chat = await Chat.open("/ws");
    const message = "compress me, please; ".repeat(4096);
    const kept = [(await chat.ask(message)) === message, (await chat.ask(message)) === message];
    const sent = JSON.parse(await chat.ask("/frames"));
    const extensions = chat.socket.extensions;
    await chat.close(1000);
    return { extensions, kept, compressed: sent.map((frame) => / compressed$/.test(frame)), sent };
  },

  async headers() {
    const chat = await Chat.open("/ws?room=1");
    const upgrade = JSON.parse(await chat.ask("/headers"));
    await chat.close(1000);
    const headers = {
      Authorization: "Bearer t0ken",
      "X-Custom": "kept as it is",
      "X-Forwarded-For": "6.6.6.6",
      "X-Forwarded-Proto": "gopher",
      "X-Forwarded-Host": "evil.test",
    };
    const page = JSON.parse(text((await fetched("/headers", { headers })).body));
    return { upgrade, page };
  },

  async http() {
    const chunked = await fetched("/chunked");
    const download = await fetched("/large");
    const head = await fetched("/large", { method: "HEAD" });
    const missing = await fetched("/nowhere");
    const posted = await fetched("/echo", { method: "POST", body: new Blob(["with ", "a length"]) });
    return {
      title: document.title,
      cookies: document.cookie,
      chunked: [chunked.status, text(chunked.body)],
      download: [download.status, download.body.byteLength, text(download.body.slice(0, 16))],
      head: [head.status, head.headers.get("content-length"), head.body.byteLength],
      missing: [missing.status, text(missing.body)],
      posted: [posted.status, text(posted.body)],
    };
  },

  // A page never learns the status; the browser's network log does.
  async denied() {
    const answers = [];
    for (const path of ["/ws/private", "/ws/nowhere"]) {
      await Chat.open(path).then(
        () => answers.push("let in"),
        (error) => answers.push(error.message),
      );
    }
    return { answers };
  },

  async close() {
    const id = crypto.randomUUID();
    const leaving = await Chat.open(`/ws?id=${id}`);
    leaving.socket.send("/close 4001 you may go");
    const theirs = await leaving.closed;
    const replied = await seenByApplication(id);
    const ours = [];
    for (const args of [[4002, "good bye"], [1000], []]) {
      const id = crypto.randomUUID();
      const chat = await Chat.open(`/ws?id=${id}`);
      await chat.close(...args);
      ours.push(await seenByApplication(id));
    }
    return { theirs, replied, ours };
  },

  async restart() {
    const chat = await Chat.open("/ws");
    const before = await chat.ask("before");
    report(JSON.stringify({ event: "connected" }));
    const closed = await chat.closed;
    const again = await Chat.open("/ws");
    const after = await again.ask("after");
    await again.close(1000);
    return { before, closed, after };
  },

  // As restart, but the application goes without a Close.
  async crash() {
    const chat = await Chat.open("/ws");
    chat.socket.send("/crash");
    const closed = await chat.closed;
    const again = await Chat.open("/ws");
    const after = await again.ask("after");
    await again.close(1000);
    return { closed, after };
  },
};
