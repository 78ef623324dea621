"""PyPI's hl7, its asyncio client: HOST PORT [--ca CA --cert CERT --key KEY] FILE..."""

import argparse
import asyncio
import ssl

import hl7
from hl7.mllp import open_hl7_connection


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("files", nargs="+")
    for name in ("--ca", "--cert", "--key"):
        parser.add_argument(name)
    args = parser.parse_args()
    secured = None
    if args.ca:
        secured = ssl.create_default_context(cafile=args.ca)
        if args.cert:
            secured.load_cert_chain(args.cert, args.key)
    # Without an encoding it takes ASCII and fails at the first other letter.
    reader, writer = await open_hl7_connection(
        args.host, args.port, encoding="utf-8", ssl=secured
    )
    for name in args.files:
        with open(name, encoding="utf-8", newline="") as file:
            writer.writemessage(hl7.parse(file.read()))
        await writer.drain()
        ack = await asyncio.wait_for(reader.readmessage(), 20)
        msa = ack.segment("MSA")
        print(msa[1], msa[2], flush=True)
    writer.close()
    await writer.wait_closed()


asyncio.run(main())
