"""What services tell becomes the metric that it is, under the side that it was."""

from __future__ import annotations

from fixtures.memory_group import T

from dashboards import catalogue as c
from dashboards.meter import Meter
from trueup.metrics import Rogues, Tally
from verifier.digest import Digest
from verifier.keyrange import ALL, Chunk
from verifier.scan import ChunkRead


def test_each_side_of_a_chunk_tells_how_long_it_took() -> None:
    meter = Meter()
    tally = Tally(meter, "shop", Rogues(meter, "shop", 9))
    read = ChunkRead(Chunk(T, ALL, 0), Digest(1, 1), {}, {}, {None: 0.25, "one": 1.5, "two": 4.0})
    assert read.seconds == 4.0
    tally.read(read)
    (family,) = (one for one in meter.families() if one.name == c.CHUNK_SECONDS.name)
    told = {
        (sample.labels["side"], sample.name.rpartition("_")[2]): sample.value
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }
    assert told == {
        ("leader", "count"): 1.0, ("leader", "sum"): 0.25, ("follower", "count"): 2.0, ("follower", "sum"): 5.5,
    }  # fmt: skip
