"""Apps: what the file says over what was said when one was added, and who takes a new one over."""

import msgspec
import pytest

from lanying.base import limits
from lanying.base.errors import ConfigError, TokenError
from lanying.base.tokens import ROLE_ADMIN, ROLE_READER, ROLE_USER, Identity, admin, issue, verify
from lanying.config import apps
from lanying.config.apps import App, Apps, load, new, settle
from lanying.config.runtime import RuntimeSettings
from lanying.config.schema import AppOverrides, Config

FIRST = new("school", "School")
NOW_S = 2_000_000_000


@pytest.fixture
def data(tmp_path):
    apps.save(tmp_path, [FIRST])
    return tmp_path


def test_an_added_app_is_found_by_who_did_not_know_it(data):
    settings = RuntimeSettings(Config(app_id="school", app_name="School"))
    here, there = Apps([FIRST], RuntimeSettings(Config()), data), Apps([FIRST], settings, data)
    assert there.get("branch") is None and list(there) == ["school"]
    here.add(new("branch", "Branch", AppOverrides(open_registration=True)), NOW_S)
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
        here.add(new("school", ""), NOW_S)
    for bad in ("", "a b", "x" * 65, "../x", "ü", "a\n"):
        with pytest.raises(ConfigError, match="1 to 64 letters, digits, _ and -"):
            new(bad, "")
    apps.save(data, [new(f"a{n}", "") for n in range(limits.APPS)])
    with pytest.raises(ConfigError, match="as many as one server takes"):
        here.add(new("more", ""), NOW_S)


def test_the_token_of_an_app_that_was_lost_is_not_kept(data):
    (data / "admin-token.branch").write_text("signed with a key nobody has any more")
    Apps([FIRST], RuntimeSettings(Config()), data).add(new("branch", ""), NOW_S)
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


# --- rotation -----------------------------------------------------------------------------------------------------

HOUR_S = 3600


def user_token(app, epoch=0, expires=0):
    return issue(app.token_key, Identity(app.app_id, 7, ROLE_USER, epoch, expires))


def admin_token(app, role=ROLE_ADMIN, expires=0):
    return issue(app.token_key, admin(app.app_id, app.admin_epoch, NOW_S, expires, role))


def good_until(app, token):
    """The last hour in which a token is good, of the next 100; -1: it is not."""
    hours = [hour for hour in range(100) if _good(app, token, (NOW_S + hour * HOUR_S) * 1000)]
    assert hours == list(range(len(hours)))
    return len(hours) - 1


def _good(app, token, now_ms):
    try:
        return app.identify(token, now_ms).app == app.app_id
    except TokenError:
        return False


@pytest.mark.parametrize("grace_h", [0, 5])
def test_a_rotation_ends_what_it_says_after_the_grace(grace_h):
    old = {"user": user_token(FIRST), "admin": admin_token(FIRST), "read": admin_token(FIRST, ROLE_READER)}
    admins = FIRST.rotated(NOW_S, grace_h * HOUR_S, users=False)
    assert {name: good_until(admins, token) for name, token in old.items()} == {
        "user": 99,
        "admin": grace_h - 1,
        "read": grace_h - 1,
    }
    everybody = FIRST.rotated(NOW_S, grace_h * HOUR_S, users=True)
    assert {good_until(everybody, token) for token in old.values()} == {grace_h - 1}
    for app in (admins, everybody):
        assert good_until(app, user_token(app)) == good_until(app, admin_token(app)) == 99


def test_a_token_of_the_grace_ends_with_it_and_not_later_than_by_itself():
    app = FIRST.rotated(NOW_S, 5 * HOUR_S, users=True)
    assert app.identify(user_token(FIRST), NOW_S * 1000).expires == NOW_S + 5 * HOUR_S
    assert app.identify(user_token(FIRST, expires=NOW_S + 60), NOW_S * 1000).expires == NOW_S + 60
    assert app.identify(user_token(app), NOW_S * 1000).expires == 0


def test_the_next_rotation_ends_the_grace_of_the_one_before():
    for users in (True, False):
        once = FIRST.rotated(NOW_S, 50 * HOUR_S, users=users)
        twice = once.rotated(NOW_S, 5 * HOUR_S, users=users)
        assert good_until(twice, admin_token(FIRST)) == -1
        assert good_until(twice, admin_token(once)) == 4
    both = FIRST.rotated(NOW_S, 50 * HOUR_S, users=True).rotated(NOW_S, 0, users=False)
    assert good_until(both, admin_token(FIRST)) == -1
    assert good_until(both, user_token(FIRST)) == 49


def test_a_token_signed_with_no_key_is_nobodys():
    nobody = App("", "", "")
    for app in ("", "school"):
        with pytest.raises(TokenError):
            nobody.identify(issue(b"x", Identity(app, 0, ROLE_ADMIN, 0)), NOW_S * 1000)


def test_every_process_follows_a_rotation(data):
    here = Apps([FIRST], RuntimeSettings(Config(app_id="school")), data)
    there = Apps([FIRST], RuntimeSettings(Config(app_id="school")), data)
    old, file = admin_token(there["school"]), data / "admin-token"
    assert _good(there["school"], old, NOW_S * 1000)
    here.rotate("school", NOW_S, 0, users=False, expires=NOW_S + HOUR_S)
    assert not _good(there["school"], old, NOW_S * 1000)
    assert good_until(there["school"], file.read_text().strip()) == 0
    assert file.stat().st_mode & 0o777 == 0o600
    here.rotate("school", NOW_S, 0, users=True)
    assert not _good(there["school"], user_token(FIRST), NOW_S * 1000)
    found = there["school"].identify(file.read_text().strip(), NOW_S * 1000)
    assert found.number and found.issued and not found.expires
    assert load(data)[0].secret == FIRST.secret, "addresses of files stay good"
