// Runs one scenario of chromium_page.js in a headless Chromium, which loads the page from each URL
// in turn, and prints what the page saw. Argument and output are those of node_client.mjs, with
// "browser", "chain" (the server's certificate chain) and "profile" (a directory) besides.
//
// The browser is driven over --remote-debugging-pipe: it ends when this process does.

import { spawn } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { once } from "node:events";

const { scenario, urls, chain, address, browser, profile } = JSON.parse(process.argv[2]);

// Trust this one key, as a browser can be told to without changing the machine's trust store.
const key = new X509Certificate(readFileSync(chain)).publicKey.export({ type: "spki", format: "der" });
const pin = createHash("sha256").update(key).digest("base64");

const chromium = spawn(
  browser,
  [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--log-level=3",
    "--remote-debugging-pipe",
    `--user-data-dir=${profile}`,
    `--ignore-certificate-errors-spki-list=${pin}`,
    `--host-resolver-rules=MAP ${new URL(urls[0]).hostname} ${address}, MAP * ~NOTFOUND`,
    "about:blank",
  ],
  { stdio: ["ignore", "ignore", "inherit", "pipe", "pipe"] },
);
const gone = once(chromium, "exit");
process.on("exit", () => chromium.kill("SIGKILL"));

// The DevTools protocol: JSON messages that end in NUL, answers matched by id, events by method.
const devtools = {
  calls: new Map(),
  count: 0,
  rest: "",
  listener: () => {},

  send(method, params = {}, sessionId = undefined) {
    const id = ++this.count;
    chromium.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => this.calls.set(id, { method, resolve, reject }));
  },

  receive(chunk) {
    const messages = (this.rest + chunk).split("\0");
    this.rest = messages.pop();
    for (const { id, result, error, method, params } of messages.map((text) => JSON.parse(text))) {
      if (id === undefined) {
        this.listener(method, params);
      } else {
        const call = this.calls.get(id);
        this.calls.delete(id);
        if (error) call.reject(new Error(`${call.method}: ${error.message}`));
        else call.resolve(result);
      }
    }
  },
};
chromium.stdio[4].setEncoding("utf8").on("data", (chunk) => devtools.receive(chunk));
gone.then(([code, signal]) => {
  for (const { method, reject } of devtools.calls.values()) {
    reject(new Error(`${method}: Chromium ended with ${signal ?? code}`));
  }
});

const { targetId } = await devtools.send("Target.createTarget", { url: "about:blank" });
const { sessionId } = await devtools.send("Target.attachToTarget", { targetId, flatten: true });
for (const domain of ["Page", "Network", "Runtime"]) await devtools.send(`${domain}.enable`, {}, sessionId);
await devtools.send("Runtime.addBinding", { name: "report" }, sessionId);

for (const url of urls) {
  // What only the browser's own log knows: why a handshake failed, and what the handshake said.
  const failures = [];
  const loaded = new Promise((resolve) => {
    devtools.listener = (method, params) => {
      if (method === "Page.loadEventFired") resolve();
      if (method === "Runtime.bindingCalled") console.log(params.payload);
      if (method === "Network.webSocketFrameError") failures.push(params.errorMessage);
    };
  });
  const { errorText } = await devtools.send("Page.navigate", { url: `${url}/` }, sessionId);
  if (errorText) throw new Error(`${url}/: ${errorText}`);
  await loaded;
  const { result, exceptionDetails } = await devtools.send(
    "Runtime.evaluate",
    { expression: `scenarios[${JSON.stringify(scenario)}]()`, awaitPromise: true, returnByValue: true },
    sessionId,
  );
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  console.log(JSON.stringify({ result: { ...result.value, failures } }));
}

await devtools.send("Browser.close");
await gone;
