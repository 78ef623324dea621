// npm's @medplum/hl7: HOST PORT FILE...
const fs = require("node:fs");
const { Hl7Message } = require("@medplum/core");
const { Hl7Client } = require("@medplum/hl7");

const [host, port, ...files] = process.argv.slice(2);
(async () => {
  const client = new Hl7Client({ host, port: Number(port), keepAlive: true });
  for (const name of files) {
    const message = Hl7Message.parse(fs.readFileSync(name, "utf8"));
    const ack = await client.sendAndWait(message);
    const msa = ack.getSegment("MSA");
    console.log(msa.getField(1).toString(), msa.getField(2).toString());
  }
  await client.close();
})();
