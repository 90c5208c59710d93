"""How much is spent on generated tests."""

from __future__ import annotations

import os
from typing import Final

#: Programs that a test of the language generates; more by the environment variable of this name.
VARIABLE: Final = "LEDGER_PROGRAMS"
PROGRAMS: Final = int(os.environ.get(VARIABLE, "100"))
