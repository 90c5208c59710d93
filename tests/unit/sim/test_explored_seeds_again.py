"""Seeds that were once found broken, and what it was."""

from __future__ import annotations

import pytest

from ledger.sim.explore import explore, sizes

#: 229: a greeting at the instant of its timeout. 1101: a snapshot staged whole. 1319: a watermark
#: written by a killed process. 1343: a boaster that hangs up. 2750: votes written by a process that
#: was killed while it was paused. 2985: a disk that was full while a snapshot came in. 141, 117,
#: 152: clients and trouble that asked for too much. 3776: a frame that met a damaged store. 5378,
#: 15835, 16403: a client whose node was talked into a snapshot beyond its transaction by a boaster.
#: 11428: a follower with two faulty feeders.
FOUND = (117, 141, 152, 229, 1101, 1319, 1343, 2750, 2985, 3776, 5378, 15835, 16403, 11428)


@pytest.mark.parametrize("seed", FOUND)
def test_a_seed_that_was_broken_once_is_good(seed: int) -> None:
    validators, followers = sizes(seed)
    assert not explore(seed, validators=validators, followers=followers).broken
