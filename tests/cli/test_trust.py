"""What the person who runs a server tells those whose devices are to trust it."""

import json
from datetime import UTC, datetime

from click.testing import CliRunner

from lanying.base.errors import ConfigError
from lanying.cli.main import cli
from lanying.config.certificates import AUTHORITY, DIRECTORY
from lanying.tls.authority import ensure


def test_the_fingerprint_is_that_of_the_authority(tmp_path):
    ensure(tmp_path / DIRECTORY, ["localhost"], datetime.now(UTC))
    shown = CliRunner().invoke(cli, ["trust", "--data", str(tmp_path), "--json"])
    found = json.loads(shown.output)
    assert found["authority"] == str(tmp_path / DIRECTORY / AUTHORITY) and found["page"] == ""
    assert len(found["fingerprint"].split(":")) == 32
    words = CliRunner().invoke(cli, ["trust", "--data", str(tmp_path)]).output
    assert found["fingerprint"] in words and "not running" in words


def test_without_an_authority_the_remedy_is_said(tmp_path):
    shown = CliRunner().invoke(cli, ["trust", "--data", str(tmp_path)])
    assert isinstance(shown.exception, ConfigError) and "--listen-tls 0.0.0.0:8443" in str(shown.exception)
