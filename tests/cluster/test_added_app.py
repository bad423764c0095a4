"""An app that is added to a running server of two shards: its users register, chat, and are there after a restart."""

import asyncio

import httpx
import pytest

from lanying.admin.console.client import Address, Console
from lanying.client import Client, LoginRefused, Message
from lanying.testing.cluster import Cluster
from lanying.testing.poll import PATIENCE_S

PASSWORD = "correct-horse1"
NAMES = [f"pupil_{number}" for number in range(4)]


def test_an_app_is_added_to_the_running_server(tmp_path):
    with Cluster(tmp_path, shards=2, accounts_open_registration="false") as cluster:
        with Console(Address(data=cluster.data)) as console:
            options = {"name": "Our Branch", "strangers_may_chat": "yes", "open_registration": "no"}
            added = console.run("apps add", {"app_id": "branch", **options}, timeout_s=60).value
            assert added["until_restart"] == [] and added["name"] == "Our Branch"
            assert [row["app"] for row in console.run("apps list").value] == ["lanying", "branch"]
            listing = console.run("apps show", {"app": "branch"}).value
            assert (listing["open_registration"], listing["max_users"]) == (False, 0)
        token = (cluster.data / "admin-token.branch").read_text().strip()
        dns = httpx.get(cluster.url + "/v2/app_dns", params={"app_id": "branch"}).json()
        assert dns["data"]["account_verification"]["name"] == "Our Branch"
        headers = {"app_id": "branch", "access-token": token}
        for name in NAMES:  # four names, so that both shards have somebody
            body = {"username": name, "password": PASSWORD}
            answer = httpx.post(
                cluster.url + "/user/register/v2", json=body, headers=headers, timeout=PATIENCE_S
            ).json()
            assert answer["code"] == 200, answer
        asyncio.run(chat(cluster.url))
        cluster.kill("router")  # started again, it knows the app
        cluster.wait_all_ready(60)
        asyncio.run(chat(cluster.url))
        cluster.stop()
        cluster.start()
        assert (cluster.data / "admin-token.branch").read_text().strip() == token
        asyncio.run(chat(cluster.url))


async def chat(url):
    """Everybody writes to the next one and hears from the one before."""
    clients = [Client(url, app_id="branch") for _ in NAMES]
    try:
        for client, name in zip(clients, NAMES, strict=True):
            await client.login(name, PASSWORD)
        for client, other in zip(clients, clients[1:] + clients[:1], strict=True):
            sent = await client.send_text(other.uid, "hello")
            async with asyncio.timeout(PATIENCE_S):
                async for event in other:
                    if isinstance(event, Message) and event.mid == sent.mid:
                        break
        assert clients[0].session
        with pytest.raises(LoginRefused):
            await Client(url, app_id="branch").login_with_token(clients[1].uid, clients[0].session.token)
    finally:
        for client in clients:
            await client.close()


def test_strangers_of_an_added_app_may_not_write_where_it_says_so(tmp_path):
    with Cluster(tmp_path, shards=2) as cluster:
        with Console(Address(data=cluster.data)) as console:
            console.run("apps add", {"app_id": "quiet", "strangers_may_chat": "no"}, timeout_s=60)
        asyncio.run(strangers(cluster.url))


async def strangers(url):
    async with Client(url, app_id="quiet") as one, Client(url, app_id="quiet") as other:
        for client, name in ((one, "one"), (other, "other")):
            await client.register(name, PASSWORD)
            await client.login(name, PASSWORD)
        with pytest.raises(Exception, match="relation with target does not allow chat"):
            await one.send_text(other.uid, "hello")
