// Connects to each server as Node does. Argument: a JSON file with a list of
// {"name", "host", "port", "roots"}. Prints one JSON object: by name, null or the error.

import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { connect } from "node:tls";

function judge({ host, port, roots }) {
  return new Promise((resolve) => {
    const name = isIP(host) ? { host } : { host: "127.0.0.1", servername: host };
    const stream = connect({ ...name, port, ca: readFileSync(roots) }, () => stream.write("GET / HTTP/1.1\r\n\r\n"));
    stream.setTimeout(30_000, () => stream.destroy(new Error("no answer in time")));
    stream.once("data", () => {
      stream.destroy();
      resolve(null);
    });
    stream.once("error", (error) => resolve(error.code ?? error.message));
    stream.once("close", () => resolve("no answer"));
  });
}

const verdicts = {};
for (const row of JSON.parse(readFileSync(process.argv[2]))) verdicts[row.name] = await judge(row);
console.log(JSON.stringify(verdicts));
