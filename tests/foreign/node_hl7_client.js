// npm's node-hl7-client: HOST PORT [--ca CA --cert CERT --key KEY] FILE...
const fs = require("node:fs");
const { parseArgs } = require("node:util");
const { Client, Message } = require("node-hl7-client");

const text = { type: "string" };
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { ca: text, cert: text, key: text },
});
const [host, port, ...files] = positionals;
const read = (name) => name && fs.readFileSync(name);
const tls = values.ca && {
  ca: read(values.ca),
  cert: read(values.cert),
  key: read(values.key),
};

const client = new Client({ host, ...(tls && { tls }) });
const next = async () => {
  const name = files.shift();
  if (name === undefined) return connection.close();
  await connection.sendMessage(new Message({ text: fs.readFileSync(name, "utf8") }));
};
const connection = client.createConnection({ port: Number(port) }, async (response) => {
  const ack = response.getMessage();
  console.log(ack.get("MSA.1").toString(), ack.get("MSA.2").toString());
  await next();
});
// What is sent before this waits in a queue of its own.
connection.on("connect", next);
connection.on("client.error", (error) => {
  throw error;
});
