"""Two users, one message: run it while ``make run`` is running."""

import asyncio

from lanying.client import Client, Message
from lanying.errors import CallError


async def main(url: str = "http://127.0.0.1:8480") -> None:
    alice, bob = Client(url), Client(url)
    for client, name in ((alice, "alice"), (bob, "bob")):
        try:
            await client.register(name, "correct-horse")
        except CallError as error:  # registered by an earlier run
            print(f"{name}: {error}")
        await client.login(name, "correct-horse")
    sent = await alice.send_text(bob.session.uid, "Hello, Bob!")
    async for event in bob:
        if isinstance(event, Message) and event.mid == sent.mid:
            print(f"bob received: {event.text}")
            break
    await alice.close()
    await bob.close()


if __name__ == "__main__":
    asyncio.run(main())
