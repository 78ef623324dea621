"""PyPI's hl7v2-fhir-bridge, its blocking MLLP client: HOST PORT FILE..."""

import sys
from pathlib import Path

import hl7
from v2fhir.mllp import MLLPClient

host, port, *files = sys.argv[1:]
with MLLPClient(host, int(port), timeout=20) as client:
    for name in files:
        ack = client.send(Path(name).read_bytes()).decode()
        msa = hl7.parse(ack).segment("MSA")
        print(msa[1], msa[2], flush=True)
