"""``lanying-cluster notifier``: what is added is checked, and a test push says what the vendor answers."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12

from lanying.cli.main import cli
from lanying.cli.notifier import notifier as commands
from lanying.config import apps
from lanying.config.notifiers import PROVIDERS, Notifiers
from tests.push.vendors.keys import APNS_TOKEN, account, certificate, p256, pem_of
from tests.push.vendors.play import stage


@pytest.fixture
def notifier(tmp_path):
    """Runs ``notifier …`` on a data directory; ``files`` become options with paths."""
    apps.save(tmp_path, [apps.new("lanying", "")])

    def run(*arguments, **files):
        options = []
        for option, content in files.items():
            file = tmp_path / option
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
            options += [f"--{option.replace('_', '-')}", str(file)]
        return CliRunner().invoke(cli, ["notifier", *arguments, *options, "--data", str(tmp_path)])

    return run


def only(tmp_path):
    notifiers = Notifiers(tmp_path)
    (found,) = notifiers.of("lanying")
    return found, notifiers.secret(found)


APPLE = ("add", "apple", "--provider", "apns", "--app-id", "com.example.app", "--app-key", "KEY", "--team-id", "TEAM")


def test_a_key_of_apple_is_kept_with_its_ids_and_endpoint(notifier, tmp_path):
    done = notifier(*APPLE, "--endpoint", "https://proxy.example/apns", certificate=pem_of(p256()))
    assert done.exit_code == 0, done.output
    found, secret = only(tmp_path)
    assert (found.app_id, found.endpoint) == ("com.example.app", "https://proxy.example/apns")
    assert (secret.app_key, secret.app_secret, secret.certificate) == ("KEY", "TEAM", pem_of(p256()))
    assert notifier("list").output == "apple\tapns\tproduction\tcom.example.app\thttps://proxy.example/apns\n"


def p12(password):
    pem = certificate().encode()
    found = x509.load_pem_x509_certificate(pem)
    return pkcs12.serialize_key_and_certificates(
        b"push", load_pem_private_key(pem, None), found, None, BestAvailableEncryption(password)
    )


def test_a_p12_is_kept_as_pem_without_its_password(notifier, tmp_path):
    arguments = ("add", "apple", "--provider", "apns", "--app-id", "com.example.app")
    wrong = notifier(*arguments, certificate=p12(b"open"), secret_file="shut")
    assert wrong.exit_code == 2 and "password of a .p12" in wrong.output
    assert notifier(*arguments, certificate=p12(b"open"), secret_file="open\n").exit_code == 0
    _found, secret = only(tmp_path)
    assert secret.app_secret == "" and "BEGIN CERTIFICATE" in secret.certificate and "PRIVATE KEY" in secret.certificate


@pytest.mark.parametrize(
    ("arguments", "files", "complaint"),
    [
        (APPLE, {}, "neither a .p8 key"),
        (APPLE[:6], {"certificate": "x"}, "--app-key (key id) and --team-id missing"),
        (("add", "g", "--provider", "fcm"), {"certificate": "{}"}, "project_id"),
        (("add", "h", "--provider", "huawei", "--app-id", "1"), {}, "--secret-file (app secret) missing"),
        (("add", "v", "--provider", "vivo", "--app-id", "x", "--app-key", "k"), {"secret_file": "s"}, "is a number"),
        (
            ("add", "x", "--provider", "xiaomi", "--endpoint", "ftp://x"),
            {"secret_file": "s"},
            "--endpoint is an address",
        ),
        (
            ("add", "x", "--provider", "xiaomi", "--endpoint", "http://127.0.0.1.example.com"),
            {"secret_file": "s"},
            "--endpoint needs https",
        ),
        ((*APPLE, "--app", "nosuch"), {"certificate": "x"}, "there is no app nosuch; there are: lanying"),
    ],
)
def test_what_could_never_send_is_not_added(notifier, tmp_path, arguments, files, complaint):
    apps.save(tmp_path, [apps.new("lanying", "School")])
    refused = notifier(*arguments, **files)
    assert refused.exit_code == 2 and complaint in " ".join(refused.output.split())
    assert not (tmp_path / "notifiers.json").exists()


def test_a_test_push_says_what_the_vendor_answers(notifier, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls.pem"))
    path = f"/3/device/{APNS_TOKEN}"

    async def conversation():
        async with stage(tmp_path) as play:
            play.on(path, {}, (410, {"reason": "Unregistered"}, {}), (503, {}, {"retry-after": "9"}))
            await asyncio.to_thread(notifier, *APPLE, "--endpoint", play.url, certificate=pem_of(p256()))
            return [
                await asyncio.to_thread(notifier, "test", "apple", "--token", APNS_TOKEN, *more)
                for more in ((), ("--json",), ())
            ], play.asked

    (sent, gone, later), asked = asyncio.run(conversation())
    assert (sent.exit_code, sent.output) == (0, "sent: the vendor has the push\n")
    assert json.loads(asked[0][3])["aps"]["alert"] == {"title": "lanying", "body": "This is a test."}
    assert gone.exit_code == 1
    assert json.loads(gone.output) == {
        "notifier": "apple", "state": "gone", "reason": "Unregistered", "retry_after_s": 0.0, "device": False,
    }  # fmt: skip
    assert (
        later.exit_code == 1
        and later.output == "later: the vendor cannot be reached or is busy (HTTP 503); again in 9 s\n"
    )


def test_a_notifier_nobody_knows_cannot_be_tested(notifier):
    unknown = notifier("test", "nobody", "--token", "x")
    assert unknown.exit_code == 1 and "has no notifier nobody" in unknown.output


def test_a_service_account_is_kept_as_it_is(notifier, tmp_path):
    assert notifier("add", "google", "--provider", "fcm", certificate=account()).exit_code == 0
    assert only(tmp_path)[1].certificate == account()


def test_the_page_has_every_command_option_and_vendor():
    page = (Path(__file__).parents[2] / "docs/push.md").read_text()
    options = {
        option
        for command in commands.commands.values()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--")
    }
    missing = [name for name in options - {"--config", "--data"} if f"`{name}" not in page]
    missing += [name for name in commands.commands if f"notifier {name}" not in page]
    missing += [name for name in PROVIDERS if f"| `{name}` |" not in page]
    assert missing == []


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_keys_and_secrets_may_come_from_notepad(notifier, tmp_path, mark):
    pem = pem_of(p256())
    done = notifier(*APPLE, certificate=mark + pem.replace("\n", "\r\n").encode())
    assert done.exit_code == 0, done.output
    assert only(tmp_path)[1].certificate == pem
    done = notifier("add", "mi", "--provider", "xiaomi", "--app-id", "v1", secret_file=mark + b"hush\r\n")
    assert done.exit_code == 0, done.output
    notifiers = Notifiers(tmp_path)
    assert [notifiers.secret(it).app_secret for it in notifiers.of("lanying") if it.name == "mi"] == ["hush"]


def test_a_certificate_in_another_encoding_is_called_that(notifier):
    done = notifier(*APPLE, certificate=pem_of(p256()).encode("utf-16"))
    assert done.exit_code == 2 and "is UTF-16 text; save it as UTF-8" in done.output
