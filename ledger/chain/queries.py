"""Every statement of the store that is run once per row or more, compiled for its database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, bindparam, delete, func, insert, select, update

from ledger.chain import schema
from ledger.chain.database import Database

_known: dict[str, Queries] = {}


def queries(database: Database) -> Queries:
    """The statements for a database; compiled once for each kind, which takes milliseconds."""
    found = _known.get(database.kind)
    if found is None:
        found = _known[database.kind] = Queries(database)
    return found


class Queries:
    """The statements, in the words of one kind of database."""

    def __init__(self, database: Database) -> None:
        blocks, state, tiles = schema.blocks.c, schema.state.c, schema.tiles.c
        transactions, log, votes = schema.transactions.c, schema.log.c, schema.votes.c
        trail, handovers, incoming = schema.trail.c, schema.handovers.c, schema.incoming.c
        piece = and_(incoming.kind == bindparam("kind"), incoming.name == bindparam("name"))

        query = database.query
        height: Any = bindparam("height")
        self.stored = query(select(schema.blocks).where(blocks.height == height))
        self.header = query(select(blocks.header).where(blocks.height == height))
        self.certificate = query(select(blocks.certificate).where(blocks.height == height))
        self.results = query(select(blocks.results).where(blocks.height == height))
        self.block = query(select(blocks.header, blocks.body).where(blocks.height == height))
        self.tree = query(select(blocks.tree).where(blocks.height == height))
        self.total = query(select(blocks.total).where(blocks.height == height))
        self.newest = query(select(func.max(blocks.height)))
        self.tile = query(
            select(tiles.tile).where(tiles.height == height, tiles.path == bindparam("path"))
        )
        self.value = query(
            select(state.value)
            .where(
                state.name == bindparam("name"),
                state.height <= height,
                state.key == bindparam("key"),
            )
            .order_by(state.height.desc())
            .limit(1)
        )
        self.history = query(
            select(state.height, state.value)
            .where(
                state.name == bindparam("name"),
                state.height <= height,
                state.key == bindparam("key"),
            )
            .order_by(state.height)
        )
        self.under = query(
            select(state.id, state.key, state.height, state.value)
            .where(state.map == bindparam("map"), state.id < bindparam("before"))
            .order_by(state.id.desc())
            .limit(bindparam("rows"))
        )
        self.rows_of = query(
            select(state.id, state.key, state.value)
            .where(
                state.map == bindparam("map"),
                state.id > bindparam("after"),
                state.id <= bindparam("last"),
            )
            .order_by(state.id)
        )
        self.written_under = query(
            select(state.id, state.key, state.height, state.value)
            .where(state.map == bindparam("map"), state.id > bindparam("after"))
            .order_by(state.id)
            .limit(bindparam("rows"))
        )
        self.entry = query(
            select(state.key, state.value)
            .where(state.name == bindparam("name"), state.height <= height)
            .order_by(state.height.desc())
        )
        self.trail = query(select(trail.header, trail.ids).where(trail.height == height))
        self.kept_handovers = query(
            select(handovers.handover).where(handovers.height < height).order_by(handovers.height)
        )
        self.locate = query(
            select(transactions.height, transactions.place).where(
                transactions.id == bindparam("id")
            )
        )
        self.node = query(
            select(log.hash).where(log.level == bindparam("level"), log.place == bindparam("place"))
        )
        self.votes = query(
            select(schema.votes).where(votes.height == height).order_by(votes.view, votes.phase)
        )
        self.located = database.query_among(
            select(transactions.id, transactions.height), transactions.id
        )
        self.promised = query(
            select(votes.digest).where(
                votes.height == height,
                votes.view == bindparam("view"),
                votes.phase == bindparam("phase"),
            )
        )
        self.meta = query(
            select(schema.meta.c.value).where(schema.meta.c.name == bindparam("name"))
        )
        self.last_state = query(select(func.max(state.id)))
        self.tree_and_total = query(
            select(blocks.tree, blocks.total).where(blocks.height == height)
        )
        self.add_meta = query(insert(schema.meta))
        self.add_block = query(insert(schema.blocks))
        self.add_transaction = query(insert(schema.transactions))
        self.add_state = query(insert(schema.state))
        self.add_tile = query(insert(schema.tiles))
        self.add_node = query(insert(schema.log))
        self.add_vote = query(insert(schema.votes))
        self.drop_votes = query(delete(schema.votes).where(votes.height < height))
        self.incoming = query(select(incoming.content).where(piece))
        self.count_incoming = query(select(func.count()).select_from(schema.incoming))
        self.add_incoming = query(insert(schema.incoming))
        self.drop_incoming = query(delete(schema.incoming).where(piece))
        self.clear_incoming = query(delete(schema.incoming))
        #: Everything that a store holds of its chain, except for what makes it that chain's store
        #: and what this node has promised.
        self.clear_chain = [
            query(delete(table))
            for table in (
                schema.blocks, schema.transactions, schema.state, schema.tiles, schema.log,
                schema.trail, schema.handovers,
            )
        ]  # fmt: skip
        self.drop_meta = query(delete(schema.meta).where(schema.meta.c.name == bindparam("name")))
        self.add_trail = query(insert(schema.trail))
        self.add_handover = query(insert(schema.handovers))

        # Pruning.
        archives = schema.archives.c
        self.archives = query(select(schema.archives).order_by(archives.first))
        self.archive_of = query(
            select(schema.archives).where(
                archives.first <= bindparam("at"), archives.last >= bindparam("still")
            )
        )
        self.last_archived = query(select(func.max(archives.last)))
        self.add_archive = query(insert(schema.archives))
        self.drop_blocks = query(delete(schema.blocks).where(blocks.height < height))
        self.empty_block = query(
            update(schema.blocks)
            .where(blocks.height == height)
            .values(results=bindparam("no_results"), body=bindparam("no_body"))
        )
        self.written = query(
            select(state.id, state.name, state.height, state.key, state.value.is_(None))
            .where(state.id > bindparam("after"))
            .order_by(state.id)
            .limit(bindparam("rows"))
        )
        self.drop_superseded = query(
            delete(schema.state).where(
                state.name == bindparam("name"),
                state.height < height,
                state.key == bindparam("key"),
            )
        )
        self.drop_state = query(delete(schema.state).where(state.id == bindparam("id")))
        self.next_tree = query(select(func.min(tiles.height)).where(tiles.height > height))
        self.drop_tile = query(
            delete(schema.tiles).where(tiles.height == height, tiles.path == bindparam("path"))
        )
        self.oldest_trail = query(
            select(trail.height, trail.ids)
            .where(trail.height < height)
            .order_by(trail.height)
            .limit(bindparam("rows"))
        )
        self.drop_trail = query(delete(schema.trail).where(trail.height == height))
        self.drop_transaction = query(
            delete(schema.transactions).where(transactions.id == bindparam("id"))
        )
