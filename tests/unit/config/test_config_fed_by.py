"""Followers that a sink feeds, as they are configured."""

from __future__ import annotations

from pathlib import Path

import pytest

import config
from verifier.errors import Misconfigured

_TEXT = """\
groups:
  - name: shop
    leader: {url: "postgresql://t@h/shop"}
    followers:
      - {name: copy, url: "mariadb://t@h/shop", fed_by: {kafka_connect_sink: shop-sink%s}}
    stream: %s
"""
_KAFKA = "{kind: kafka, kafka: {bootstrap_servers: 'h:9092', topic_prefix: shop}}"


def test_its_group_is_named_after_the_sink_unless_it_has_another(tmp_path: Path) -> None:
    for more, group in (("", "connect-shop-sink"), (", consumer_group: mine", "mine")):
        follower = config.parse(_TEXT % (more, _KAFKA), folder=tmp_path).groups[0].followers[0]
        assert follower.fed_by is not None
        assert follower.fed_by.group == group


def test_its_topics_must_be_those_of_the_stream(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="the group's stream must read the sink's topics: kind: kafka"):
        config.parse(_TEXT % ("", "{kind: pgoutput}"), folder=tmp_path)
