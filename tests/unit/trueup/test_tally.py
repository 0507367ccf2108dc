"""What services tell becomes the metric that it is, under the side that it was; and no series waits for nobody."""

from __future__ import annotations

from fixtures.memory_group import T

from dashboards import catalogue as c
from dashboards.meter import Meter
from trueup.metrics import Rogues, Tally
from trueup.services.verify import Verified
from verifier.digest import Digest
from verifier.drift import Certainty, Drift, Evidence, Kind, Method
from verifier.keyrange import ALL, Chunk
from verifier.scan import ChunkRead, FollowerChunk


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


def test_every_result_that_is_listed_is_told_by_somebody() -> None:
    meter = Meter()
    tally = Tally(meter, "shop", Rogues(meter, "shop", 9))
    tally.prepare(["one"])
    assert told(meter, c.CHUNKS) == dict.fromkeys(("match", "in_flight", "unverified"), 0.0)
    assert told(meter, c.TOUCHED) == dict.fromkeys(("match", "drift", "unverified"), 0.0)
    for suspects, failed in ((), {}), (((1,),), {}), (None, {"one": "away"}):
        seen = {} if suspects is None else {"one": FollowerChunk(Digest(1, 1), dict.fromkeys(suspects, Kind.EXTRA))}
        tally.read(ChunkRead(Chunk(T, ALL, 0), Digest(1, 1), seen, failed, {}))
    drift = Drift("d", "shop", "one", T, (2,), Kind.EXTRA, {}, Evidence(Certainty.PROVEN, Method.VISIBILITY), 1.0)
    tally.verified(Verified("one", T, {}, ((1,),), (drift,), unsettled=1), opened=1)
    assert set(told(meter, c.CHUNKS).values()) == set(told(meter, c.TOUCHED).values()) == {1.0}


def told(meter: Meter, metric: c.Metric) -> dict[str, float]:
    """By result."""
    (family,) = (one for one in meter.families() if f"{one.name}_total" == metric.name)
    return {one.labels["result"]: one.value for one in family.samples if one.name == metric.name}
