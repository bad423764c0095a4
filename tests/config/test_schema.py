"""What the configuration says for an app."""

from lanying.config.schema import Accounts, AppOverrides, Config


def test_an_app_says_what_differs_for_it():
    own = AppOverrides(strangers_may_chat=False, rest_url="https://im.branch.example")
    config = Config(accounts=Accounts(open_registration=True), apps={"branch": own})
    assert config.accounts_of("branch") == Accounts(open_registration=True, strangers_may_chat=False)
    assert config.accounts_of("lanying") is config.accounts
    assert config.discovery_of("branch").rest_url == "https://im.branch.example"
    assert config.discovery_of("branch").message_url == config.discovery_of("lanying").message_url == ""
