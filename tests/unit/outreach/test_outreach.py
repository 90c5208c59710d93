"""What a home's settings make of webhooks and messages."""

import shutil

import pytest

from ledger.chain.store import Store
from ledger.crypto.keys import SigningKey
from ledger.node.events import EventFeed
from ledger.node.notifications.channels import UnknownChannel
from ledger.node.outreach import Outreach
from ledger.node.setup.home import load_home
from ledger.node.setup.tomlfile import InvalidFile

WEBHOOKS = '\n[webhooks]\nallow = ["https://gate.example.org/"]\nprivate = ["10.0.0.0/8"]\n'


@pytest.fixture
def home_with(consortium, tmp_path):
    def make(text: str):
        place = tmp_path / "home"
        shutil.copytree(consortium.home / "nodes" / next(iter(consortium.nodes)), place)
        with (place / "node.toml").open("a") as file:
            file.write(text)
        return load_home(place)

    return make


@pytest.fixture
def reaching(consortium):
    async def make(home):
        shutil.copy(consortium.founded, home.path / "ledger.db")
        store = Store.open(str(home.path / "ledger.db"))

        async def perform(call):
            raise AssertionError

        made = Outreach(
            home, bytes(32), EventFeed(store), store, SigningKey.generate, perform,
            clock=lambda: 0, block_time=lambda: 0,
        )  # fmt: skip
        found = (made.webhooks is not None, made.notifier is not None, len(jobs := made.jobs()))
        lanes = [("notification", "ordinary"), ("notification", "urgent")]
        told = [(kind, standing.id) for kind, standing in made.standing()]
        assert told == (lanes if made.notifier is not None else [])
        for job in jobs:
            job.close()
        await made.close()
        store.close()
        return found

    return make


async def test_without_settings_nobody_is_called(home_with, reaching):
    assert await reaching(home_with("")) == (False, False, 1)


async def test_webhooks_and_messages_are_what_the_settings_say(home_with, reaching):
    more = '[notifications]\nurl = "https://gate.example.org/in"\n'
    home = home_with(WEBHOOKS + more)
    assert await reaching(home) == (True, True, 3)
    assert (home.path / "webhooks.db").stat().st_mode & 0o77 == 0


async def test_a_channel_that_nobody_offers_ends_the_start(home_with, reaching):
    home = home_with('\n[notifications]\nchannel = "pigeon"\n')
    with pytest.raises(UnknownChannel, match="pigeon"):
        await reaching(home)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('\n[webhooks]\nallow = ["http://gate.example.org/"]\n', "allow"),
        ('\n[webhooks]\nallow = []\nprivate = ["10.0.0.1/8"]\n', "private"),
        ("\n[webhooks]\nallow = []\ngive_up_hours = 0\n", "give_up_hours"),
        ("\n[notifications]\n", "url or a channel"),
        ('\n[notifications]\nurl = "https://gate.example.org/in"\n', "list"),
        (WEBHOOKS + '[notifications]\nurl = "https://other.example.org/"\n', "list"),
        (
            WEBHOOKS + '[notifications]\nurl = "https://gate.example.org/"\nchannel = "x"\n',
            "url or",
        ),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_with_their_place(home_with, text, what):
    with pytest.raises(InvalidFile, match=what):
        home_with(text)
