// Lets a headless Chromium load each server's page. Arguments: a JSON file with a list of
// {"name", "host", "port"}, the browser, and a directory for its profile. The roots that it trusts
// are in the NSS database of its HOME. Prints one JSON object: by name, null or the error.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";

const [file, browser, profile] = process.argv.slice(2);
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
    "--host-resolver-rules=MAP * 127.0.0.1",
    "about:blank",
  ],
  { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] },
);
const gone = once(chromium, "exit");
process.on("exit", () => chromium.kill("SIGKILL"));

// The DevTools protocol: JSON messages that end in NUL, answers matched by id.
const calls = new Map();
let rest = "";
let count = 0;
chromium.stdio[4].setEncoding("utf8").on("data", (chunk) => {
  const messages = (rest + chunk).split("\0");
  rest = messages.pop();
  for (const { id, result, error } of messages.map((text) => JSON.parse(text))) {
    const call = calls.get(id);
    if (!call) continue;
    calls.delete(id);
    if (error) call.reject(new Error(error.message));
    else call.resolve(result);
  }
});
gone.then(() => {
  for (const { reject } of calls.values()) reject(new Error("Chromium ended"));
});
function send(method, params = {}, sessionId = undefined) {
  const id = ++count;
  chromium.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
  return new Promise((resolve, reject) => calls.set(id, { resolve, reject }));
}

const { targetId } = await send("Target.createTarget", { url: "about:blank" });
const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
// Without a page, and the error page that it would end in.
const { frameTree } = await send("Page.getFrameTree", {}, sessionId);
const options = { disableCache: true, includeCredentials: false };
const verdicts = {};
for (const { name, host, port } of JSON.parse(readFileSync(file))) {
  const what = { frameId: frameTree.frame.id, url: `https://${host}:${port}/`, options };
  const { resource } = await send("Network.loadNetworkResource", what, sessionId);
  verdicts[name] = resource.success ? null : resource.netErrorName;
}
console.log(JSON.stringify(verdicts));
await send("Browser.close");
await gone;
