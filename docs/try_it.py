"""Two users, one message: run it while ``make run`` is running, with its address if that is another."""

import asyncio
import secrets
import sys

from lanying.client import Client, Message


async def main(url: str = "http://127.0.0.1:8480") -> None:
    async with Client(url) as alice, Client(url) as bob:
        for client, name in ((alice, "alice"), (bob, "bob")):
            username = f"{name}_{secrets.token_hex(3)}"
            await client.register(username, "correct-horse1")
            await client.login(username, "correct-horse1")
        await alice.send_text(bob.uid, "Hello, Bob!")
        async for event in bob:
            if isinstance(event, Message):
                print(f"bob received: {event.text}")
                break


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
