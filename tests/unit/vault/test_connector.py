import os

import pytest

from ledger.node.vault.connector import (
    DirectoryConnector,
    Problem,
    RecordUnavailable,
    SourceRecord,
    read_resource,
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
        SourceRecord("a.pdf", "application/pdf"),
        SourceRecord("b.json", "application/fhir+json"),
        SourceRecord("ward/c.dcm", "application/dicom"),
    ]
    assert list(connector.records()) == expected == list(connector.records())
    assert read_resource(connector, "b.json") == b'{"b": 1}'
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


def test_a_resource_above_the_limit_is_not_read(source):
    (source / "big.json").write_bytes(b" " * 101)
    connector = DirectoryConnector(source)
    assert read_resource(connector, "big.json", 101) == b" " * 101
    with pytest.raises(RecordUnavailable, match="larger than 100 bytes"):
        read_resource(connector, "big.json", 100)


def test_a_stamp_changes_with_a_file_and_is_none_while_a_change_could_hide(source):
    stamps = [item.stamp for item in DirectoryConnector(source, settled=0).records()]
    assert len(set(stamps)) == 3
    assert stamps == [item.stamp for item in DirectoryConnector(source, settled=0).records()]
    (source / "b.json").write_bytes(b'{"b": 2}')
    again = [item.stamp for item in DirectoryConnector(source, settled=0).records()]
    assert [old == new for old, new in zip(stamps, again, strict=True)] == [True, False, True]
    assert {item.stamp for item in DirectoryConnector(source).records()} == {""}


def test_opaque_files_of_a_folder_come_before_its_resources_and_inner_folders_after(source):
    for name in ("z.pdf", "c.json", "ward/a.json", "ward/z.png"):
        (source / name).write_bytes(b"{}")
    ids = [item.id for item in DirectoryConnector(source).records()]
    assert ids == [
        "a.pdf", "z.pdf", "b.json", "c.json", "ward/c.dcm", "ward/z.png", "ward/a.json",
    ]  # fmt: skip


def test_files_of_unknown_kinds_are_reported_and_hidden_ones_passed_over(source):
    (source / "notes.xyz").write_bytes(b"?")
    (source / ".DS_Store").write_bytes(b"?")
    ids = {item.id for item in DirectoryConnector(source).records() if isinstance(item, Problem)}
    assert ids == {"notes.xyz"}
