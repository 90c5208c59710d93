"""How long a node waits before it does something about it; all in milliseconds."""

from __future__ import annotations

from ledger.chain.constitution import Parameters


def view_timeout(parameters: Parameters, view: int) -> int:
    """The time that a view is given: doubled with every view, up to a cap.

    Doubling lets the views of nodes that started apart overlap in the end; the cap keeps a long
    outage from being followed by an hour of waiting.
    """
    longest = max(parameters.view_timeout, parameters.view_timeout_cap)
    # Shifting by more than this is past any cap, and a view can be as large as 2**31.
    return min(parameters.view_timeout << min(view, 32), longest)


def resend_interval(parameters: Parameters) -> int:
    """How often the votes of the present view are sent again while they have not led anywhere.

    Half the shortest view: one lost message need not cost a view change.
    """
    return max(parameters.view_timeout // 2, 1)
