"""How much is spent on generated tests."""

from __future__ import annotations

import os
from typing import Final

#: Programs that a test of the language generates; more by the environment variable of this name.
VARIABLE: Final = "LEDGER_PROGRAMS"
PROGRAMS: Final = int(os.environ.get(VARIABLE, "100"))

#: The unpacked npm package ``hl7.fhir.r4.examples``, whose 5,000 resources are then all posted at
#: ``/fhir``; without it those that are vendored.
EXAMPLES_VARIABLE: Final = "LEDGER_FHIR_EXAMPLES"
EXAMPLES: Final = os.environ.get(EXAMPLES_VARIABLE, "")

#: Ids that the attack on pseudonyms tries out; more by the environment variable of this name. A
#: prefecture has 470,000,000.
IDS_VARIABLE: Final = "LEDGER_ATTACK_IDS"
IDS: Final = int(os.environ.get(IDS_VARIABLE, "400"))

#: Requests to each path that a test of the HTTP interface generates, for each caller.
REQUESTS_VARIABLE: Final = "LEDGER_REQUESTS"
REQUESTS: Final = int(os.environ.get(REQUESTS_VARIABLE, "2"))
#: Size of the study that a test hands over, in MiB; more by the environment variable of this name.
STUDY_VARIABLE: Final = "LEDGER_STUDY_MIB"
STUDY_MIB: Final = int(os.environ.get(STUDY_VARIABLE, "96"))
