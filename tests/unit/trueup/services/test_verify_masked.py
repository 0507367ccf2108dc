"""What the daemon finds in masked columns it neither keeps nor tells, and it is known again at the next look."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from fixtures.memory_group import MemoryServers, T, described

from connectors.journal.opening import open_journal
from connectors.journal.salt import mask_salt
from reconciler.masking import Masking
from trueup.bootstrap.masking import strangers
from trueup.services.verify import VerifyService
from verifier.policy import SettlePolicy
from verifier.table import TableName


def test_a_finding_holds_masks_that_stay_the_same(tmp_path: Path) -> None:
    servers = MemoryServers(described(T))
    servers.insert(T, [1, 2])
    servers.catch_up()
    servers.followers["one"].put(T, (1,), {"id": "1", "v": "bent"})
    servers.followers["one"].drop(T, (2,))
    told: list[str] = []
    for _ in range(2):  # a daemon, and the next one
        with closing(open_journal(tmp_path / "journal.db", "shop")) as journal:
            masking = Masking({T: frozenset({"v"})}, mask_salt(journal.store))
            world = servers.grouped(masking=masking, sighted=False)
            verify = VerifyService(world, "one", journal.stream, SettlePolicy())
            journal.stream.touch(dict.fromkeys([(T, (1,)), (T, (2,))], world.leader.position()),
                                 followers=["one"], at=servers.clock.now())  # fmt: skip
            for _ in range(100):
                verify.tick(servers.clock.now())
                servers.clock.at += 0.05
            found = {one.drift.key: one.drift.columns for one in journal.drifts.open()}
            told.append(repr(sorted(found.items())))
            assert {key: both["v"].leader for key, both in found.items()} == dict.fromkeys(
                [(1,), (2,)], masking.value("x")
            )
            assert (found[1,]["v"].follower, found[2,]["v"].follower) == (masking.value("bent"), None)
    assert told[0] == told[1]
    assert "bent" not in told[0]


def test_the_secret_is_a_groups_own_and_made_once(tmp_path: Path) -> None:
    salts = []
    for group in ("shop", "shop", "other"):
        with closing(open_journal(tmp_path / "journal.db", group)) as journal:
            salts.append(mask_salt(journal.store))
    assert salts[0] == salts[1] != salts[2]
    assert [len(salt) for salt in salts] == [32] * 3


def test_a_table_whose_key_is_to_be_masked_is_not_compared(tmp_path: Path) -> None:
    servers = MemoryServers(described(T))
    for column, why in (("id", "part of its key"), ("nobody's", 'no column "nobody\'s"')):
        book = servers.grouped(masking=Masking({T: frozenset({column})}), sighted=False).book
        pair = book.pair("one", T)
        assert pair.compared is None
        assert why in (pair.problem or "")
    other = servers.grouped(masking=Masking({TableName("public", "u"): frozenset({"id"})}), sighted=False).book
    assert other.pair("one", T).compared is not None
    assert strangers(other) == [TableName("public", "u")], "the daemon says so when it starts"
    assert strangers(book) == []
