// npm's simple-hl7: HOST PORT FILE...
const fs = require("node:fs");
const hl7 = require("simple-hl7");

const [host, port, ...files] = process.argv.slice(2);
const client = hl7.Server.createTcpClient({ host, port: Number(port), keepalive: true });
const parser = new hl7.Parser({ segmentSeperator: "\r" });

const next = () => {
  const name = files.shift();
  if (name === undefined) return client.close();
  client.send(parser.parse(fs.readFileSync(name, "utf8")), (error, ack) => {
    if (error) throw error;
    const msa = ack.getSegment("MSA");
    console.log(String(msa.getField(1)), String(msa.getField(2)));
    // It takes the next message only after this callback.
    setImmediate(next);
  });
};
next();
