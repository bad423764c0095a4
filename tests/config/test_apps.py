"""Apps: what the file says over what was said when one was added, and who takes a new one over."""

import msgspec
import pytest

from lanying.base import limits
from lanying.base.errors import ConfigError
from lanying.base.tokens import ROLE_ADMIN, verify
from lanying.config import apps
from lanying.config.apps import Apps, load, new, settle
from lanying.config.runtime import RuntimeSettings
from lanying.config.schema import AppOverrides, Config

FIRST = new("school", "School")


@pytest.fixture
def data(tmp_path):
    apps.save(tmp_path, [FIRST])
    return tmp_path


def test_an_added_app_is_found_by_who_did_not_know_it(data):
    settings = RuntimeSettings(Config(app_id="school", app_name="School"))
    here, there = Apps([FIRST], RuntimeSettings(Config()), data), Apps([FIRST], settings, data)
    assert there.get("branch") is None and list(there) == ["school"]
    here.add(new("branch", "Branch", AppOverrides(open_registration=True)))
    assert there["branch"].name == "Branch" and list(there) == ["school", "branch"]
    config = settings.config
    assert config.accounts_of("branch").open_registration and not config.accounts.open_registration
    token = (data / "admin-token.branch").read_text().strip()
    assert verify(there["branch"].secret, token, 0).role == ROLE_ADMIN
    assert (data / "apps.json").stat().st_mode & 0o777 == 0o600


def test_the_configuration_wins_setting_by_setting(data):
    added = new("branch", "", AppOverrides(name="Added", open_registration=True, max_users=5, rest_url="https://a"))
    config = Config(app_name="Here", apps={"branch": AppOverrides(name="Ours", max_users=9)})
    settled, (first, branch) = settle(config, [FIRST, added])
    assert (first.name, branch.name) == ("Here", "Ours")
    assert settled.apps["branch"] == AppOverrides(
        name="Ours", open_registration=True, max_users=9, rest_url="https://a"
    )
    assert config.apps["branch"].max_users == 9 and not config.apps["branch"].rest_url, (
        "the configuration itself is a value"
    )
    assert settle(settled, [FIRST, added]) == (settled, (first, branch)), "once more changes nothing"


def test_what_cannot_be_added(data):
    here = Apps([FIRST], RuntimeSettings(Config()), data)
    with pytest.raises(ConfigError, match="there is an app school already"):
        here.add(new("school", ""))
    for bad in ("", "a b", "x" * 65, "../x", "ü", "a\n"):
        with pytest.raises(ConfigError, match="1 to 64 letters, digits, _ and -"):
            new(bad, "")
    apps.save(data, [new(f"a{n}", "") for n in range(limits.APPS)])
    with pytest.raises(ConfigError, match="as many as one server takes"):
        here.add(new("more", ""))


def test_the_token_of_an_app_that_was_lost_is_not_kept(data):
    (data / "admin-token.branch").write_text("signed with a key nobody has any more")
    Apps([FIRST], RuntimeSettings(Config()), data).add(new("branch", ""))
    assert verify(load(data)[1].secret, (data / "admin-token.branch").read_text().strip(), 0).app == "branch"


def test_a_damaged_file_takes_no_app_away(data, caplog):
    here = Apps([FIRST], RuntimeSettings(Config()), data)
    (data / "apps.json").write_text("[")
    assert here.get("branch") is None and here["school"] == FIRST
    assert caplog.text.count("apps_unreadable") == 1
    assert here.get("branch") is None and caplog.text.count("apps_unreadable") == 1  # not again for the same file


def test_older_files_are_read(data):
    (data / "apps.json").write_bytes(msgspec.json.encode([{"app_id": "school", "name": "S", "key": "00" * 32}]))
    assert load(data)[0].own is None
