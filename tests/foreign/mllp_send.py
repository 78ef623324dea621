"""PyPI's hl7, its command `mllp_send --loose --file FILE --port PORT HOST`: prints what it received."""

from hl7.client import mllp_send

mllp_send()
