"""The configuration: one table per concern, its keys, what they may be and their defaults. A value: nothing here changes.

``docs/configuration.md`` has a line for every key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec

from lanying.base import limits

Positive = Annotated[int, msgspec.Meta(ge=1)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
APP_ID_PATTERN = "^[A-Za-z0-9_-]{1,64}$"
APP_ID_RULE = "an app id is 1 to 64 letters, digits, _ and -"
RESERVED_NAMES = (
    *(
        "admin",
        "administrator",
        "root",
        "superuser",
        "sysadmin",
        "system",
        "moderator",
        "official",
        "support",
        "security",
    ),
    *("helpdesk", "customerservice", "everyone", "管理员", "系统管理员", "超级管理员", "系统", "系统消息", "系统通知"),
    *("官方", "官方客服", "客服", "所有人", "全体成员"),
)
"""Who would be taken for the server or those who run it, or for all members of a group."""
AppId = Annotated[str, msgspec.Meta(pattern=APP_ID_PATTERN)]


class Storage(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[storage]``: what a commit means and how much memory the store may take."""

    durability: Literal["fsync", "interval", "os"] = "fsync"
    """fsync: on the disk before it is acknowledged. interval: flushed every ``interval_ms``. os: left to the kernel."""
    interval_ms: Positive = 200
    block_cache_mb: Positive = 16
    write_buffer_mb: Positive = 8
    """Memory per shard for reads and for data not yet in a table file."""
    retention_days: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Messages and notices older than this are deleted; 0: kept for ever."""
    cold_path: str = ""
    """Directory on another disk for messages older than ``hot_days``; empty: everything stays in the data directory."""
    hot_days: Positive = 30
    backup_path: str = ""
    """Directory of this machine, from the root on, that the admin page may back the server up into; empty: it may not."""
    min_free_bytes: Positive = 64 << 20
    """With less room on the disk new messages are refused and everything else goes on."""


class Discovery(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[discovery]``: the addresses clients get; empty means those of the request."""

    rest_url: str = ""
    message_url: str = ""
    rtc_url: str = ""
    verified_name: str = ""
    """The organisation that clients show as verified; empty: the app is shown as unverified, under its own name."""


class Accounts(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[accounts]``: who may register and how passwords are kept."""

    open_registration: bool = False
    strangers_may_chat: bool = True
    """False: only friends may send messages to each other."""
    strangers_may_add_to_groups: bool = False
    """False: only friends take each other into groups, others are invited and agree."""
    max_users: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Accounts of an app that may log in; 0: any number."""
    token_lifetime_s: Positive = limits.TOKEN_LIFETIME_S
    password_min_chars: Positive = 6
    argon2_memory_kib: Annotated[int, msgspec.Meta(ge=8)] = 19_456
    argon2_passes: Positive = 2
    password_guesses_per_minute: Positive = 10
    registrations_per_minute: Annotated[int, msgspec.Meta(ge=0)] = 60
    """New accounts from one address, ten times as many from all together; 0: any number. Admins are not counted."""
    reserved_names: tuple[str, ...] = RESERVED_NAMES
    """Names of users, of groups and in groups that only an administrator gives, however they are written; none: all are free."""


class PolicySettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[policy]``: what users may do."""

    recall_seconds: Positive = 300
    """How old a message may be when its author recalls it."""
    group_members: Annotated[int, msgspec.Meta(ge=2, le=limits.GROUP_MEMBERS_MAX)] = limits.GROUP_MEMBERS
    """Members of one group; groups keep the number they were founded with."""
    message_bytes: Annotated[int, msgspec.Meta(ge=1024, le=limits.MAX_MESSAGE_BYTES - 4096)] = limits.MESSAGE_BYTES
    """Largest message; the content of a message and what clients add to it."""
    user_messages_per_s: Positive = limits.SENDS_PER_S
    group_messages_per_s: Positive = limits.SENDS_PER_S
    user_bytes_per_s: Annotated[int, msgspec.Meta(ge=limits.MAX_MESSAGE_BYTES)] = limits.SEND_BYTES_PER_S
    user_bytes_per_day: Annotated[int, msgspec.Meta(ge=limits.MAX_MESSAGE_BYTES)] = limits.SEND_BYTES_PER_DAY
    """More are refused with RATE_LIMIT_EXCEEDED."""
    words_file: str = ""
    """A text file of words that messages must not have, one per line; empty: none."""
    mask_words: bool = False
    """True: such words become asterisks; false: the message is refused with WORD_CENSORED."""


class Admin(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[admin]``: where consoles may come from besides the local socket."""

    listen: str = ""
    """``HOST:PORT`` for consoles with a key (CURVE); events are on the next port. Empty: local ones only."""


class FilesSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[files]``: what users may upload and where it is kept."""

    max_mb: Positive = 64
    """Largest file."""
    user_mb: Annotated[int, msgspec.Meta(ge=0)] = 2048
    """All files of one user; 0: no quota."""
    total_mb: Annotated[int, msgspec.Meta(ge=0)] = 0
    """All files; 0: what the disk holds above ``storage.min_free_bytes``."""
    retention_days: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Files older than this are deleted; 0: kept for ever."""
    link_days: Annotated[int, msgspec.Meta(ge=0)] = 0
    """A download address is good for this long; 0: as long as the file is there."""
    account_tokens: bool = True
    """The token of an account may stand in an address of a file, as other clients have it; false: only tokens made for files."""
    store: Literal["local", "s3"] = "local"
    s3_bucket: str = ""
    s3_prefix: str = ""
    s3_endpoint: str = ""
    """Where the bytes are: the data directory, or a bucket; credentials come as for every S3 client (``AWS_…``)."""


class Sms(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[sms]``: how codes reach a phone; everything that needs one answers 404 without a provider."""

    provider: Literal["none", "log", "http"] = "none"
    """log: codes are written to the server's log, for development. http: they are posted to ``url``, which sends them."""
    url: str = ""
    template: str = "Your code is {code}. It is valid for 10 minutes."
    """The text message; ``{code}`` is the code."""
    secret_file: str = ""
    """A file with the secret that signs what is posted; a file, for settings are shown on consoles."""


class RestLimits(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[rest]``: what the REST API takes from one caller, and how long it waits for a shard."""

    requests_per_second_per_token: Annotated[int, msgspec.Meta(ge=0)] = 100
    requests_per_second_per_address: Annotated[int, msgspec.Meta(ge=0)] = 1000
    """0: any number. Ten seconds' worth may come at once."""
    call_timeout_ms: Positive = 900
    hosts: tuple[str, ...] = ()
    """Names and addresses, with or without a port, under which people come: no other is repeated in addresses given to clients, the
    first one stands in. Empty: whatever a request names."""


class LimitsSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[limits]``: what strangers and users may make the server take of its machine. 0: as much as its memory and cores allow, see
    :mod:`lanying.config.allotment`."""

    waiting_connections: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0
    rest_connections: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0
    rest_bodies_mb: Annotated[int, msgspec.Meta(ge=0, le=4096)] = 0
    password_threads: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0
    uploads: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    unsent_mb: Annotated[int, msgspec.Meta(ge=0, le=4096)] = 0
    picture_megapixels: Annotated[int, msgspec.Meta(ge=0, le=limits.PICTURE_PIXELS // 1_000_000)] = 0


class AppOverrides(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[apps.<app id>]``: another app on the same server, or what differs for the first one; what is not said is as for all."""

    name: str = ""
    open_registration: bool | None = None
    strangers_may_chat: bool | None = None
    max_users: Annotated[int, msgspec.Meta(ge=0)] | None = None
    rest_url: str = ""
    message_url: str = ""
    rtc_url: str = ""
    verified_name: str = ""


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The whole configuration of a server."""

    listen: str = "127.0.0.1:8480"
    """Address without TLS; empty: none."""
    listen_tls: str = ""
    """Address for TLS, with a port of its own; empty: none."""
    listen_redirect: str = ""
    """Address where a request without TLS is redirected to ``listen_tls``, port 80 for example; empty: none."""
    tls: Literal["", "files", "local", "acme"] = ""
    """Where the certificate is from. files: ``tls_certificate`` and ``tls_key``; local: an authority of this server's own, which people
    trust once (``http://…/trust``); acme: a public authority, for ``tls_names``. Empty: files if they are given, else local."""
    tls_names: tuple[str, ...] = ()
    """acme: the names for which a certificate is asked for. local: those that clients use besides those this machine knows of itself."""
    acme_directory: str = "https://acme-v02.api.letsencrypt.org/directory"
    acme_email: str = ""
    """The authority, and where it writes to when something is wrong with a certificate; empty: nowhere."""
    acme_challenge: Literal["", "http-01", "tls-alpn-01"] = ""
    """How names are proved: over port 80 or over port 443; empty: the one that this server listens on."""
    tls_certificate: str = ""
    tls_key: str = ""
    """PEM files: the server's certificate with those that lead to its authority, and its key. They are read again when they change."""
    tls_kernel: bool = True
    """The kernel encrypts, where it can; else, and with False, a process of this server does."""
    mdns_name: Annotated[str, msgspec.Meta(pattern="^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$")] = "lanying"
    """The server is ``NAME.local`` in its network, where that reaches it (mDNS); empty: it is not announced."""
    listen_proxies: tuple[str, ...] = ()
    """Networks of proxies whose X-Forwarded-For, -Proto, -Host and PROXY headers are believed; none: nobody's."""
    data: str = "./data"
    shards: Annotated[int, msgspec.Meta(ge=0, le=limits.MAX_SHARDS)] = 0
    """0: as many as the data directory was built with, in a new one as many as cores."""
    app_id: AppId = "lanying"
    app_name: str = "Lanying"
    max_connections: Positive = 10_000
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    log_mb: Annotated[int, msgspec.Meta(ge=0)] = 64
    """The log of ``--daemon`` begins anew when it is larger than this; 0: it grows."""
    log_files: Positive = 4
    """Of the logs before, so many are kept."""
    metrics_port: Port = 0
    """Prometheus metrics on this loopback port; 0: one the system picks, shown by ``status``."""
    storage: Storage = msgspec.field(default_factory=Storage)
    discovery: Discovery = msgspec.field(default_factory=Discovery)
    accounts: Accounts = msgspec.field(default_factory=Accounts)
    policy: PolicySettings = msgspec.field(default_factory=PolicySettings)
    files: FilesSettings = msgspec.field(default_factory=FilesSettings)
    admin: Admin = msgspec.field(default_factory=Admin)
    sms: Sms = msgspec.field(default_factory=Sms)
    rest: RestLimits = msgspec.field(default_factory=RestLimits)
    limits: LimitsSettings = msgspec.field(default_factory=LimitsSettings)
    apps: dict[AppId, AppOverrides] = {}

    def accounts_of(self, app_id: str) -> Accounts:
        """``[accounts]`` as it is for an app."""
        own = self.apps.get(app_id)
        if own is None:
            return self.accounts
        given = {name: value for name in _OWN_ACCOUNTS if (value := getattr(own, name)) is not None}
        return msgspec.structs.replace(self.accounts, **given)

    def discovery_of(self, app_id: str) -> Discovery:
        """``[discovery]`` as it is for an app."""
        own = self.apps.get(app_id)
        if own is None:
            return self.discovery
        given = {name: value for name in Discovery.__struct_fields__ if (value := getattr(own, name))}
        return msgspec.structs.replace(self.discovery, **given)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of ``listen``, which is not empty; IPv6 hosts are written in brackets."""
        return host_and_port(self.listen)

    @property
    def tls_address(self) -> tuple[str, int]:
        """Host and port of ``listen_tls``, which is not empty."""
        return host_and_port(self.listen_tls)

    @property
    def listens(self) -> dict[str, tuple[str, int]]:
        """Host and port of everything that is listened on, by setting."""
        given = {key: getattr(self, key) for key in ("listen", "listen_tls", "listen_redirect")}
        on = {key: host_and_port(value) for key, value in given.items() if value}
        return {**on, "metrics_port": ("127.0.0.1", self.metrics_port)}

    @property
    def tls_source(self) -> Literal["files", "local", "acme"]:
        """Where the certificate is from."""
        return self.tls or ("files" if self.tls_certificate or self.tls_key else "local")

    @property
    def challenge(self) -> Literal["http-01", "tls-alpn-01"]:
        """How names are proved to a public authority: as configured, or over the port that this server has."""
        return self.acme_challenge or ("tls-alpn-01" if self.tls_address[1] == 443 else "http-01")


def host_and_port(listen: str) -> tuple[str, int]:
    """``[::]:8480`` as ``::``, 8480."""
    host, _, port = listen.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


TABLES: dict[str, type[msgspec.Struct]] = {
    "storage": Storage,
    "discovery": Discovery,
    "accounts": Accounts,
    "policy": PolicySettings,
    "files": FilesSettings,
    "admin": Admin,
    "sms": Sms,
    "rest": RestLimits,
    "limits": LimitsSettings,
}
_OWN_ACCOUNTS = ("open_registration", "strangers_may_chat", "max_users")
"""Fields of ``[accounts]`` that an app may have its own of."""


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested tables as ``table.key`` and value."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
