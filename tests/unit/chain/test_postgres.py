"""A store in PostgreSQL: one writer, lost sessions, and how it refuses what it cannot do."""

import itertools
import logging
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import psycopg
import pytest

from ledger.chain.database import postgres as module
from ledger.chain.database.outage import Outage
from ledger.chain.statetree import StateTree
from ledger.chain.store import (
    ConflictingVote,
    Store,
    StoreAway,
    StoreBusy,
    StoreFull,
    StoreUnusable,
)
from ledger.chain.vote import Vote
from tests.support.chain import HandmadeChain, certify
from tests.support.postgres import PASSWORD
from tests.support.snapshots import fetch_state, fetch_trail, introduce


@pytest.fixture
def address(postgres):
    return postgres.database()


@pytest.fixture
def chain(address):
    chain = HandmadeChain(address)
    yield chain
    chain.store.close()


@pytest.fixture
def admin(postgres, address):
    """A session of the superuser in the store's database."""
    with postgres.admin(address.rpartition("/")[2]) as session:
        yield session


def sessions(admin):
    """The server processes of the sessions of stores in this database, the writer's first."""
    rows = admin.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'health-ledger' "
        "AND datname = current_database() ORDER BY backend_start"
    )
    return [pid for (pid,) in rows]


def end(admin, *pids):
    for pid in pids or sessions(admin):
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def lose_the_answer(monkeypatch, admin):
    """End the writer's session when it has committed, before it hears so; once."""
    execute = psycopg.Connection.execute
    done = []

    def lose(session, query, *arguments, **options):
        result = execute(session, query, *arguments, **options)
        if query == "COMMIT" and not done:
            done.append(query)
            end(admin, session.info.backend_pid)
            session.execute("SELECT 1")
        return result

    monkeypatch.setattr(psycopg.Connection, "execute", lose)


def persistently(attempt, seconds=30):
    """Do it again while the database is away, as a node does."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except StoreAway:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def vote(height=1, phase="prepare", digest=b"d" * 32):
    return Vote(height, 0, phase, digest, b"m")


class TestOneWriter:
    def test_a_second_process_is_refused_in_a_sentence(self, chain, address, monkeypatch):
        monkeypatch.setattr(module, "_LOCK_PATIENCE", 0.2)
        with pytest.raises(
            StoreBusy, match=r"another process has the store at .* open for writing"
        ):
            Store.open(address)
        chain.append()

    def test_readers_are_not_refused(self, chain, address):
        store = Store.open(address, read_only=True)
        chain.append([chain.transaction()])
        assert store.head() == chain.head
        store.close()

    def test_the_next_one_may_write_as_soon_as_the_first_is_killed(self, address):
        script = (
            "import sys, time\n"
            "from tests.support.chain import HandmadeChain\n"
            "chain = HandmadeChain(sys.argv[1])\n"
            "print('open', flush=True)\n"
            "time.sleep(60)\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", script, address], stdout=subprocess.PIPE, cwd=Path.cwd()
        )
        assert process.stdout.readline() == b"open\n"
        process.kill()
        store = Store.open(address)
        assert store.height() == 0
        store.close()
        process.wait()

    def test_stores_in_different_schemas_do_not_meet(self, admin, address):
        admin.execute("CREATE SCHEMA other")
        first = HandmadeChain(address)
        second = HandmadeChain(f"{address}?options=-csearch_path%3Dother")
        second.append()
        assert (first.store.height(), second.store.height()) == (0, 1)
        first.store.close()
        second.store.close()

    def test_while_another_session_holds_the_store_a_lost_one_does_not_come_back(
        self, chain, admin, monkeypatch
    ):
        (name,) = admin.execute("SELECT current_schema()").fetchone()
        assert name == "public"
        held = admin.execute(
            "SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory'"
        ).fetchone()
        end(admin)
        key = (held[0] << 32) | held[1]
        key -= (key >> 63) << 64
        admin.execute("SELECT pg_advisory_lock(%s)", (key,))
        with pytest.raises(StoreAway, match="another session holds the store"):
            chain.append()
        admin.execute("SELECT pg_advisory_unlock(%s)", (key,))
        persistently(chain.append)
        assert chain.store.height() == 1


class TestLostSessions:
    def test_a_restarted_server_is_not_noticed_by_those_who_were_idle(self, chain, postgres):
        chain.append([chain.transaction()], {b"a/b": b"1"})
        assert chain.store.value(b"a/b") == b"1"
        postgres.restart()
        assert chain.store.value(b"a/b") == b"1"
        chain.append([chain.transaction()], {b"a/b": b"2"})
        assert chain.store.value(b"a/b") == b"2"

    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
    def test_everything_goes_on_when_the_server_is_back(self, chain, postgres, how):
        chain.append()
        postgres.stop(how)
        try:
            for _ in range(3):
                with pytest.raises(StoreAway):
                    chain.append()
                with pytest.raises(StoreAway):
                    chain.store.value(b"a/b")
                with pytest.raises(StoreAway):
                    chain.store.save_votes([vote(2)])
        finally:
            postgres.start()
        persistently(chain.append)
        persistently(lambda: chain.store.save_votes([vote(3)]))
        assert persistently(chain.store.height) == 2
        assert chain.store.votes(3) == [vote(3)]

    def test_while_it_is_gone_nobody_waits_for_the_network(self, chain, postgres, monkeypatch):
        attempts = []
        connect = psycopg.connect
        monkeypatch.setattr(
            module.psycopg, "connect", lambda *a, **k: attempts.append(1) or connect(*a, **k)
        )
        postgres.stop()
        try:
            for _ in range(200):
                with pytest.raises(StoreAway):
                    chain.store.value(b"a/b")
        finally:
            postgres.start()
        assert len(attempts) < 50

    @pytest.mark.parametrize(
        "statement", ["INSERT INTO blocks", "INSERT INTO tiles", 'COPY "state"', "COMMIT"]
    )
    def test_a_commit_that_is_cut_off_leaves_nothing_and_can_come_again(
        self, chain, admin, monkeypatch, statement
    ):
        chain.append()
        execute = psycopg.Cursor.execute
        done = []

        def cut(cursor, query, *arguments, **options):
            text = query if isinstance(query, str) else query.decode()
            if text.startswith(statement) and not done:
                done.append(text)
                end(admin, cursor.connection.info.backend_pid)
            return execute(cursor, query, *arguments, **options)

        def cut_many(cursor, query, rows, **options):
            if query.startswith(statement) and not done:
                done.append(query)
                end(admin, cursor.connection.info.backend_pid)
            return executemany(cursor, query, rows, **options)

        def cut_copy(cursor, query):
            if query.startswith(statement) and not done:
                done.append(query)
                end(admin, cursor.connection.info.backend_pid)
            return copy(cursor, query)

        copy = psycopg.Cursor.copy
        executemany = psycopg.Cursor.executemany
        monkeypatch.setattr(psycopg.Cursor, "copy", cut_copy)
        monkeypatch.setattr(psycopg.Cursor, "execute", cut)
        monkeypatch.setattr(psycopg.Cursor, "executemany", cut_many)
        before = chain.head
        writes = {b"a/b": b"2"}
        if statement.startswith("COPY"):
            writes |= {b"a/%d" % number: b"x" for number in range(100)}
        arguments = ([chain.transaction()], writes)
        with pytest.raises(StoreAway):
            chain.append(*arguments)
        assert done
        assert chain.store.head() == before
        assert chain.store.value(b"a/b") is None
        chain.append(*arguments)
        assert chain.store.height() == 2
        assert chain.store.counts() == (3, 1)
        assert chain.store.value(b"a/b") == b"2"

    def test_a_session_that_was_ended_inside_a_pipeline_is_let_go(self, chain, monkeypatch):
        """It cannot be rolled back, and says neither that it is closed nor that it is broken."""
        chain.append()
        executemany = psycopg.Cursor.executemany
        cut = []

        def stuck(cursor, query, rows, **options):
            if not cut:
                cut.append(cursor.connection)
                cursor.connection.pgconn.enter_pipeline_mode()
                raise psycopg.OperationalError("cannot exit pipeline mode while busy")
            return executemany(cursor, query, rows, **options)

        monkeypatch.setattr(psycopg.Cursor, "executemany", stuck)
        arguments = ([chain.transaction()], {b"a/b": b"2"})
        with pytest.raises(StoreAway):
            chain.append(*arguments)
        assert cut[0].closed
        persistently(lambda: chain.append(*arguments))
        assert chain.store.height() == 2
        assert chain.store.value(b"a/b") == b"2"

    def test_a_commit_whose_answer_was_lost_is_found_and_not_repeated(
        self, chain, admin, monkeypatch
    ):
        chain.append()
        lose_the_answer(monkeypatch, admin)
        transaction = chain.transaction()
        arguments = ([transaction], {b"a/b": b"2"})
        before = chain.head
        with pytest.raises(StoreAway):
            chain.append(*arguments)
        # It is in the database, and the store does not say so before it knows.
        assert admin.execute("SELECT max(height) FROM blocks").fetchone() == (2,)
        assert chain.store.head() == before
        assert chain.store.seen([transaction.id]) == set()
        chain.store.save_votes([vote(3)])
        chain.append(*arguments)
        assert chain.store.seen([transaction.id]) == {transaction.id}
        chain.append([chain.transaction()], {b"a/b": b"3", b"a/c": b"3"})
        assert chain.store.counts() == (4, 2)
        assert chain.store.votes(3) == [vote(3)]
        assert StateTree(chain.store).root == chain.head.state_root
        numbers = admin.execute("SELECT id FROM state ORDER BY id").fetchall()
        assert numbers == [(number,) for number in range(1, len(numbers) + 1)]

    def test_votes_whose_answer_was_lost_can_be_saved_again(self, chain, admin, monkeypatch):
        lose_the_answer(monkeypatch, admin)
        with pytest.raises(StoreAway):
            chain.store.save_votes([vote()])
        chain.store.save_votes([vote()])
        assert chain.store.votes(1) == [vote()]
        with pytest.raises(ConflictingVote):
            chain.store.save_votes([vote(digest=b"e" * 32)])

    def test_a_snapshot_whose_answer_was_lost_is_found_and_not_repeated(
        self, chain, admin, address, tmp_path, monkeypatch
    ):
        source = HandmadeChain(tmp_path / "source.db")
        for number in range(20):
            source.append([source.transaction()], {b"a/%d" % number: b"1"})
        anchor = introduce(source, source.store, 20)
        fetch_state(source.store, chain.store.staging(), anchor)
        fetch_trail(source.store, chain.store.staging(), anchor)
        lose_the_answer(monkeypatch, admin)
        with pytest.raises(StoreAway):
            chain.store.begin_at(anchor)
        assert chain.store.head() == chain.head
        chain.store.begin_at(anchor)
        assert chain.store.head() == source.head
        assert chain.store.base() == 21
        (rows,) = admin.execute("SELECT max(id) FROM state").fetchone()
        assert chain.store._state_rows == rows
        source.store.close()

    def test_a_database_that_comes_back_without_the_newest_block_is_refused(self, chain, admin):
        chain.append()
        chain.append()
        end(admin)
        admin.execute("DELETE FROM blocks WHERE height = 2")
        with pytest.raises(StoreUnusable, match="came back without block 2"):
            chain.append()
        with pytest.raises(StoreUnusable, match="came back without block 2"):
            chain.store.save_votes([vote(3)])

    def test_a_database_that_comes_back_with_a_block_of_somebody_else_is_refused(
        self, chain, admin
    ):
        chain.append()
        end(admin)
        admin.execute(
            "INSERT INTO blocks (height, tree, total, header, certificate, results, body) "
            "VALUES (2, 0, 0, '', '', '', '')"
        )
        with pytest.raises(StoreUnusable, match="block 2 that is not from this node"):
            chain.append()

    def test_readers_and_the_writer_live_through_restarts(self, chain, postgres):
        """Nothing is lost and nothing is there twice, however often the server goes."""
        wrong, stop = [], threading.Event()

        def read():
            while not stop.is_set():
                try:
                    head = chain.store.head()
                    block = chain.store.block(head.height)
                    value = chain.store.value(b"a/n", head.height)
                except StoreAway:
                    time.sleep(0.01)
                    continue
                if block is None or block.header != head or value != b"%d" % head.height:
                    wrong.append(head.height)

        def restart():
            try:
                for how in (signal.SIGINT, signal.SIGKILL, signal.SIGQUIT):
                    time.sleep(0.3)
                    postgres.restart(how)
            finally:
                stop.set()

        chain.append(writes={b"a/n": b"1"})
        threads = [threading.Thread(target=job) for job in (read, read, restart)]
        for thread in threads:
            thread.start()
        height = 1
        while not stop.is_set():
            height += 1
            writes = {b"a/n": b"%d" % height}
            block, results, tiles = chain.prepare([chain.transaction()], writes)
            certificate = certify(block.header, [m.node for m in chain.validators.members])
            ids = [bytes([height % 251]) * 28 + height.to_bytes(4, "big")]
            commit = partial(chain.store.commit, block, certificate, results, writes, tiles, ids)
            persistently(commit)
            chain.tree.adopt(chain.tree.update(writes, height))
            chain.head = block.header
        for thread in threads:
            thread.join()
        assert wrong == []
        assert chain.store._database.sessions > 1
        assert persistently(chain.store.counts) == (height + 1, height - 1)
        assert [b"%d" % n for n in range(1, height + 1)] == [
            entry.value for entry in chain.store.history(b"a/n")
        ]


class TestRefusals:
    def test_a_full_disk_leaves_the_chain_as_it_was(self, chain, admin):
        before = chain.head
        admin.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$"
        )
        for table in ("tiles", "votes"):
            admin.execute(
                f"CREATE TRIGGER no_room BEFORE INSERT ON {table} EXECUTE FUNCTION full_disk()"
            )
        with pytest.raises(StoreFull):
            chain.append([chain.transaction()], {b"a/b": b"1"})
        with pytest.raises(StoreFull):
            chain.store.save_votes([vote()])
        assert chain.store.head() == before
        assert chain.store.value(b"a/b") is None
        for table in ("tiles", "votes"):
            admin.execute(f"DROP TRIGGER no_room ON {table}")
        chain.append([chain.transaction()], {b"a/b": b"1"})
        assert chain.store.value(b"a/b") == b"1"

    def test_a_server_that_takes_no_writes_is_waited_for(self, chain, admin):
        name = admin.info.dbname
        admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
        end(admin)
        with pytest.raises(StoreAway):
            chain.append()
        admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())
        end(admin)
        persistently(chain.append)
        assert chain.store.height() == 1

    def test_a_table_that_somebody_has_locked_is_busy(self, chain, admin):
        with chain.store._database.transaction() as writer:
            writer._cursor.execute("SET lock_timeout = '50ms'")
        with admin.transaction():
            admin.execute("LOCK TABLE blocks")
            with pytest.raises(StoreBusy):
                chain.append()
        chain.append()
        assert chain.store.height() == 1

    def test_what_was_acknowledged_is_on_the_disk(self, chain):
        with chain.store._database.transaction() as writer:
            settings = {
                name: writer._cursor.execute(f"SHOW {name}").fetchone()[0]
                for name in ("synchronous_commit", "transaction_isolation", "statement_timeout")
            }
        assert settings == {
            "synchronous_commit": "on",
            "transaction_isolation": "serializable",
            "statement_timeout": "1min",
        }

    def test_a_database_without_a_store_is_not_made_one_by_mistake(self, address, admin):
        for read_only in (False, True):
            with pytest.raises(StoreUnusable, match="no store"):
                Store.open(address, read_only=read_only)
        assert admin.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")


class TestSecrets:
    @pytest.mark.parametrize(
        "change",
        [
            lambda address: address.replace(PASSWORD, "wrong-" + PASSWORD),
            lambda address: address + "_that_is_not_there",
            lambda address: address.replace("127.0.0.1", "no-such-host.invalid"),
            lambda address: address.replace("127.0.0.1:", "127.0.0.1:1"),
            lambda address: address + "?sslmode=odd",
            lambda address: address + "?password=" + PASSWORD + "&odd=1",
            lambda address: address.replace("@", "@@"),
        ],
    )
    def test_the_password_is_in_no_error(self, address, change, caplog):
        caplog.set_level(logging.DEBUG)
        with pytest.raises((StoreUnusable, StoreAway)) as caught:
            Store.open(change(address), create=True)
        error = caught.value
        while error is not None:
            assert PASSWORD not in f"{error} {error!r}"
            error = error.__cause__
        assert PASSWORD not in caplog.text

    def test_the_name_of_a_store_does_not_hold_its_password(self, chain):
        assert PASSWORD not in chain.store._database.name
        assert "127.0.0.1" in chain.store._database.name


class TestOutage:
    def test_attempts_become_rare_and_never_stop(self):
        now = 0.0
        outage = Outage(lambda: now)
        attempts = []
        outage.check()
        outage.failed("gone")
        while now < 60:
            now += 0.01
            try:
                outage.check()
            except StoreAway:
                continue
            attempts.append(now)
            outage.failed("gone")
        pauses = [later - earlier for earlier, later in itertools.pairwise(attempts)]
        assert 0 < pauses[0] < 0.5
        assert 1.9 < max(pauses) < 2.1
        assert attempts[-1] > 57
        outage.over()
        outage.check()

    def test_who_comes_between_attempts_is_told_what_is_wrong(self):
        outage = Outage(lambda: 0.0)
        outage.failed("gone")
        with pytest.raises(StoreAway, match="gone"):
            outage.check()

    def test_of_many_who_ask_at_once_one_tries(self):
        now = 0.0
        outage = Outage(lambda: now)
        outage.failed("gone")
        now = 5.0
        outage.check()
        with pytest.raises(StoreAway):
            outage.check()
