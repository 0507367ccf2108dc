"""What the configuration says of brakes and the watermark, and how the command line wins over it."""

from __future__ import annotations

import pytest

import config
from trueup.audit.request import Request
from trueup.bootstrap.auditing import Plan, plan_of
from trueup.bootstrap.servers import brakes_of, patterns_of, watermark_of
from trueup.cli.careful import Careful
from trueup.cli.watermark_words import Watermarking
from verifier.brake import Brakes
from verifier.errors import Misconfigured
from verifier.watermark import WatermarkPolicy

FILE = """
groups:
  - name: shop
    leader: {url: "postgresql://a@db1/shop"}
    followers: [{name: copy, url: "postgresql://a@db2/shop"}]
    brakes:
      running_max: 40
      load: [{sql: "select count(*) from pg_locks", max: 5.5}]
      lag: 30s
      rows_per_second: 900
    watermark: {table: public.mark, write: true, followers: [copy]}
"""


@pytest.fixture
def plan() -> Plan:
    (group,) = config.parse(FILE).groups
    return plan_of(group, "trueup.db", Request(patterns_of(group)))


def test_the_configuration_is_obeyed(plan: Plan) -> None:
    assert plan.brakes == Brakes(40, (("select count(*) from pg_locks", 5.5),), 30.0, 900)
    assert plan.watermark == WatermarkPolicy("public.mark", True, False, ("copy",))
    assert "!public.mark" in plan.request.patterns
    applied = Careful().applied(plan)
    assert applied.brakes == plan.brakes
    assert applied.scan.rows_max == 900, "no more than a second's rows at a time"
    assert Watermarking().applied(plan).watermark == plan.watermark


def test_an_option_wins_over_the_brake_of_its_kind(plan: Plan) -> None:
    applied = Careful(running_max=3, load_sql=["select 1=2"], rows_per_second=100).applied(plan)
    assert applied.brakes == Brakes(3, (("select 1", 2.0),), 30.0, 100)
    assert applied.scan.rows_max == 100


def test_options_of_the_watermark(plan: Plan) -> None:
    assert Watermarking(ordered=True).applied(plan).watermark == WatermarkPolicy("public.mark", True, True, ("copy",))
    other = Watermarking("mark", write=False, ordered=True).applied(plan)
    assert other.watermark == WatermarkPolicy("mark", False, True, ("copy",))
    assert other.request.patterns[-1] == "!*.mark"
    (group,) = config.parse(FILE[: FILE.index("    watermark:")]).groups
    bare = plan_of(group, "trueup.db", Request())
    assert watermark_of(group) is None
    assert Watermarking().applied(bare) is bare
    with pytest.raises(Misconfigured, match=r"need --watermark schema\.table"):
        Watermarking(write=True).applied(bare)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("running_max: 0", "groups[0].brakes.running_max"),
        ("lag: 30", "groups[0].brakes.lag"),
        ("load: [{sql: '', max: 1}]", "groups[0].brakes.load[0].sql"),
        ("load: [{sql: 'select 1'}]", "groups[0].brakes.load[0].max"),
        ("rows: 5", "groups[0].brakes.rows: unknown key"),
    ],
)
def test_brakes_that_cannot_be_understood_are_named(wrong: str, said: str) -> None:
    lines = FILE.partition("    brakes:")[0] + f"    brakes: {{{wrong}}}\n"
    with pytest.raises(Misconfigured) as caught:
        config.parse(lines)
    assert said in str(caught.value)


def test_a_watermark_for_nobody_is_named() -> None:
    with pytest.raises(
        Misconfigured, match=r"watermark\.followers\[0\].*no follower of this group is called 'cpy'.*'copy'"
    ):
        config.parse(FILE.replace("followers: [copy]", "followers: [cpy]"))


def test_no_brakes_are_none() -> None:
    (group,) = config.parse(FILE.partition("    brakes:")[0]).groups
    assert brakes_of(group) == Brakes()
