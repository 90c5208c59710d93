"""Why a store did not do what it was asked. The drivers' own errors never leave this package."""

from __future__ import annotations


class StoreError(Exception):
    """The store could not do what it was asked; but for `StoreAway` it is as it was before."""


class StoreUnusable(StoreError):
    """The store is damaged, of another chain or version, not there, or not ours to use."""


class StoreFull(StoreError):
    """There is no room left. The same block can be stored again once there is."""


class StoreBusy(StoreError):
    """Another process kept the store locked for longer than we wait."""


class StoreAway(StoreError):
    """The database cannot be reached, or takes no writes, for now: it is worth trying again.

    Whether a write that ended so was stored is not known. `Store.commit` and `Store.save_votes`
    find out when they are called again with the same arguments.
    """
