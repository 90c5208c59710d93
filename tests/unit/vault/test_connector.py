import os

import pytest

from ledger.node.vault.connector import (
    DirectoryConnector,
    Problem,
    RecordUnavailable,
    SourceRecord,
)


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "records"
    (root / "ward").mkdir(parents=True)
    (root / "b.json").write_bytes(b'{"b": 1}')
    (root / "a.pdf").write_bytes(b"%PDF-1.7")
    (root / "ward" / "c.dcm").write_bytes(b"DICM")
    (tmp_path / "secret.json").write_bytes(b"{}")
    return root


def test_records_come_in_a_stable_order_with_their_exact_bytes(source):
    connector = DirectoryConnector(source)
    expected = [
        SourceRecord("a.pdf", "application/pdf", b"%PDF-1.7"),
        SourceRecord("b.json", "application/fhir+json", b'{"b": 1}'),
        SourceRecord("ward/c.dcm", "application/dicom", b"DICM"),
    ]
    assert list(connector.records()) == expected == list(connector.records())
    with connector.open("ward/c.dcm") as file:
        assert file.read() == b"DICM"


@pytest.mark.parametrize(
    "record_id",
    ["../secret.json", "ward/../../secret.json", "/etc/passwd", "", ".", "ward", "ward//c.dcm",
     "ward\\c.dcm", "b.json\x00", "b.json/", "none.json", "x" * 300, "b.json/c"],
)  # fmt: skip
def test_an_id_that_is_not_a_file_below_the_root_is_refused(source, record_id):
    with pytest.raises(RecordUnavailable):
        DirectoryConnector(source).open(record_id)


def test_symbolic_links_are_not_followed(source, tmp_path):
    (source / "link.json").symlink_to(tmp_path / "secret.json")
    (source / "up").symlink_to(tmp_path)
    connector = DirectoryConnector(source)
    problems = [item for item in connector.records() if isinstance(item, Problem)]
    assert {problem.id for problem in problems} == {"link.json", "up"}
    for record_id in ("link.json", "up/secret.json"):
        with pytest.raises(RecordUnavailable):
            connector.open(record_id)


def test_a_pipe_does_not_block_the_reader(source):
    os.mkfifo(source / "pipe.json")
    with pytest.raises(RecordUnavailable, match="plain file"):
        DirectoryConnector(source).open("pipe.json")


def test_a_file_above_the_limit_is_reported_and_not_read(source):
    (source / "big.json").write_bytes(b" " * 101)
    connector = DirectoryConnector(source, limit=100)
    assert Problem("big.json", "larger than 100 bytes") in list(connector.records())


def test_files_of_unknown_kinds_are_reported_and_hidden_ones_passed_over(source):
    (source / "notes.xyz").write_bytes(b"?")
    (source / ".DS_Store").write_bytes(b"?")
    ids = {item.id for item in DirectoryConnector(source).records() if isinstance(item, Problem)}
    assert ids == {"notes.xyz"}
