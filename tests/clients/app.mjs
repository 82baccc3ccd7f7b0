// The ordinary application behind batond: Node's http server with the `ws` library, as a project
// would write it. One process serves the same pages and WebSockets on three sockets: plain TCP and
// a Unix socket for batond, and TLS for clients that come directly.
//
// Argument: {"unix": path, "chain": path, "key": path}. Prints {"tcp": port, "tls": port} when it
// listens. The line "restart" on standard input closes the direct clients as batond would; the end
// of standard input ends the process.

import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { createInterface } from "node:readline";
import { WebSocketServer } from "ws";
import { describe, FrameLog } from "./frames.mjs";

const here = new URL(".", import.meta.url);
const large = Buffer.alloc(10 * 1024 * 1024, "0123456789abcdef");

// How each WebSocket that named itself (?id=…) was closed: what the application's side saw. Asked
// for once, before or after it happens.
const closed = new Map();

function closing(id) {
  if (!closed.has(id)) {
    const entry = {};
    entry.promise = new Promise((resolve) => (entry.resolve = resolve));
    closed.set(id, entry);
  }
  return closed.get(id);
}

// The same application answers under /unix, which batond is told to send to the Unix socket.
function locate(request) {
  const url = new URL(request.url, "http://app.invalid");
  url.pathname = url.pathname.replace(/^\/unix(?=\/)/, "");
  return url;
}

function pairs(raw) {
  return raw.flatMap((name, i) => (i % 2 === 0 ? [[name.toLowerCase(), raw[i + 1]]] : []));
}

async function page(request, response) {
  const url = locate(request);
  const send = (status, type, body, headers = {}) => {
    response.writeHead(status, { "Content-Type": type, "Content-Length": Buffer.byteLength(body), ...headers });
    response.end(body);
  };
  switch (url.pathname) {
    case "/":
      return send(200, "text/html", readFileSync(new URL("chromium_page.html", here)), {
        "Set-Cookie": ["session=s3cret; Path=/; Secure; HttpOnly", "theme=dark; Path=/"],
      });
    case "/chromium_page.js":
      return send(200, "text/javascript", readFileSync(new URL("chromium_page.js", here)));
    case "/headers":
      return send(200, "application/json", JSON.stringify(pairs(request.rawHeaders)));
    case "/echo":
      // Answers while the request's body is still coming.
      response.writeHead(200, { "Content-Type": request.headers["content-type"] ?? "text/plain" });
      response.flushHeaders();
      return request.pipe(response);
    case "/chunked":
      response.writeHead(200, { "Content-Type": "text/plain" });
      for (const line of ["one\n", "two\n", "three\n"]) {
        await new Promise((resolve) => response.write(line, resolve));
      }
      return response.end();
    case "/large":
      return send(200, "application/octet-stream", large);
    case "/unchanged":
      response.writeHead(304, { ETag: '"v1"' });
      return response.end();
    case "/closed":
      return send(200, "application/json", JSON.stringify(await closing(url.searchParams.get("id")).promise));
    default:
      return send(404, "text/plain", "no such page\n");
  }
}

const sockets = new WebSocketServer({
  noServer: true,
  perMessageDeflate: true,
  handleProtocols: (offered) => (offered.has("chat.v1") ? "chat.v1" : false),
});

function refuse(socket, status, headers, body) {
  socket.end(
    [`HTTP/1.1 ${status}`, "Connection: close", "Content-Type: text/plain", `Content-Length: ${body.length}`, ...headers]
      .map((line) => `${line}\r\n`)
      .join("") + `\r\n${body}`,
  );
}

function upgrade(request, socket, head, direct) {
  socket.on("error", () => socket.destroy());
  switch (locate(request).pathname) {
    case "/ws":
      return sockets.handleUpgrade(request, socket, head, (client) => serve(client, request, direct));
    case "/ws/private":
      return refuse(socket, "401 Unauthorized", ['WWW-Authenticate: Bearer realm="chat"'], "log in first\n");
    default:
      return refuse(socket, "404 Not Found", [], "no such socket\n");
  }
}

// Echoes every message in its own kind, except the requests that begin with "/".
function serve(client, request, direct) {
  const frames = new FrameLog();
  // Before the library sees the bytes: it may hand a message over while it reads them.
  request.socket.prependListener("data", (chunk) => frames.push(chunk));
  client.direct = direct;
  // A client that breaks the protocol ends its own connection and nothing else.
  client.on("error", () => {});
  const id = locate(request).searchParams.get("id");
  client.on("close", (code, reason) => id && closing(id).resolve({ code, reason: reason.toString() }));
  client.on("message", (data, binary) => {
    const [verb, ...words] = binary ? [] : data.toString().split(" ");
    switch (verb) {
      case "/headers":
        return client.send(JSON.stringify(pairs(request.rawHeaders)));
      case "/frames":
        // Without the frame of this very request.
        return client.send(JSON.stringify(describe(frames.take().slice(0, -1))));
      case "/fragment":
        words.forEach((word, i) => {
          if (i === 1) client.ping("between");
          client.send(word, { fin: i === words.length - 1, compress: false });
        });
        return;
      case "/ping":
        client.once("pong", (payload) => client.send(`pong ${payload}`));
        return client.ping(words.join(" "));
      case "/close":
        return client.close(Number(words[0]), words.slice(1).join(" "));
      case "/crash":
        // As the end of the process would: without a Close.
        return client.terminate();
      default:
        return client.send(data, { binary });
    }
  });
}

function listen(server, where, direct = false) {
  server.on("request", page);
  server.on("upgrade", (request, socket, head) => upgrade(request, socket, head, direct));
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen(where, () => resolve(server.address().port));
  });
}

const { unix, chain, key } = JSON.parse(process.argv[2]);
await listen(http.createServer(), { path: unix });
const tcp = await listen(http.createServer(), { host: "127.0.0.1", port: 0 });
const certified = https.createServer({ cert: readFileSync(chain), key: readFileSync(key) });
const tls = await listen(certified, { host: "127.0.0.1", port: 0 }, true);
console.log(JSON.stringify({ tcp, tls }));

createInterface({ input: process.stdin })
  .on("line", (line) => {
    if (line !== "restart") return;
    for (const client of sockets.clients) if (client.direct) client.close(1012, "service restart");
  })
  .on("close", () => process.exit(0));
