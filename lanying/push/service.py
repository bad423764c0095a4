"""Takes what shards owe, finds out what is to be said, has it sent, and says what became of it.

One loop per shard takes rows, one reports their ends; between them every push is an :class:`~lanying.push.channel.HeldPush` that is
prepared (a question or two to shards), waits in the channel of its notifier, and is sent. Nothing is kept on disk here: what was
not said to be done is taken again after a start.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Coroutine, Mapping
from typing import Any, Final, Protocol

import msgspec

from lanying.base import limits
from lanying.base.clock import monotonic, wall_ms
from lanying.base.errors import CallError, ConfigError
from lanying.base.figures import Figure
from lanying.base.histogram import Histogram
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    CountPushTask,
    FinishPushes,
    GetAccounts,
    GetGroupPushFacts,
    GetPushFacts,
    GetPushTask,
    PushDone,
    PushFacts,
    PushTask,
    PushTold,
    TakePushes,
)
from lanying.bus.shards import Shards, ask, ask_shard
from lanying.config.apps import App
from lanying.config.notifiers import PROVIDERS, Notifier, Notifiers, Secret
from lanying.push import decision, letters
from lanying.push.channel import Channel, HeldPush, Key, Parcel
from lanying.push.decision import Push
from lanying.push.vendors import PushOutcome, PushState, PushTarget

log = logging.getLogger(__name__)

CHANNELS: Final = {number: name for name, number in PROVIDERS.items()}
RETRY_S: Final = 1.0
"""A shard that does not answer is starting."""
_LOST: Final = {Refusal.NO_SUCH_USER: letters.NO_USER, Refusal.NO_SUCH_GROUP: letters.NO_GROUP}
"""Why a push has nobody to go to any more."""
GATHER_S: Final = 0.02
"""Ends are reported together: each report is a commit."""
TOLD_AT_ONCE: Final = 200
NAMES_KEPT: Final = 10_000
NAMES_KEPT_S: Final = 60.0
"""How long a sender's old name may still be shown."""


class Sends(Protocol):
    """The vendors."""

    async def send(self, target: PushTarget, push: Push, collapse_id: str) -> PushOutcome:
        """Hand a push to the vendor of a device."""


class Service:
    """The push process without its sockets.

    :ivar outcomes: pushes by what became of them and channel
    :ivar unsent: pushes that were owed and not wanted any more
    """

    def __init__(self, shards: Shards, apps: Mapping[str, App], notifiers: Notifiers, vendors: Sends) -> None:
        self._shards, self._notifiers, self._vendors = shards, notifiers, vendors
        self._apps = apps
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.unsent = 0
        self._sending = 0
        self.seconds = Histogram()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(limits.PUSHES_AT_ONCE)
        self._channels: dict[Key, Channel] = {}
        self._held: set[tuple[int, int]] = set()
        self._ahead: Counter[int] = Counter()
        self._awake = [asyncio.Event() for _ in shards.map.peers]
        self._ends: list[list[tuple[HeldPush, PushDone]]] = [[] for _ in self._awake]
        self._ended = [asyncio.Event() for _ in self._awake]
        self._secrets: dict[Key, tuple[Notifier, Secret]] = {}
        self._names: dict[tuple[str, int], tuple[str, float]] = {}
        self._takers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Take from every shard from now on."""
        for index in range(len(self._awake)):
            self._takers.append(self._spawn(self._take(index), f"take {index}"))
            self._spawn(self._tell(index), f"tell {index}")

    def awaken(self, index: int) -> None:
        """This shard owes something."""
        self._awake[index].set()

    async def drain(self, seconds: float) -> None:
        """Take nothing more; what is with vendors now gets this long, and its end is reported."""
        for task in self._takers:
            task.cancel()
        deadline = monotonic() + seconds
        while monotonic() < deadline and (self._sending or any(self._ends)):  # noqa: ASYNC110 - several counts, no event
            await asyncio.sleep(GATHER_S)
        for task in self._tasks:
            task.cancel()

    def figures(self) -> list[Figure]:
        """For ``status``."""
        return [
            *(Figure(f"pushes_{state}", float(n), {"channel": name}) for (state, name), n in self.outcomes.items()),
            Figure("pushes_unsent", float(self.unsent)),
            Figure("pushes_waiting", float(sum(map(len, self._channels.values())))),
            *self.seconds.figures("push_seconds"),
        ]

    # --- from and to shards ----------------------------------------------------------------------------------------------

    async def _take(self, index: int) -> None:
        epoch = after = 0
        awake = self._awake[index]
        while True:
            if len(self._held) >= limits.PUSHES_WAITING:
                await asyncio.sleep(limits.PUSH_POLL_S)
                continue
            awake.clear()
            try:
                taken = await ask_shard(self._shards, index, TakePushes(epoch, after))
            except CallError:
                await asyncio.sleep(RETRY_S)
                continue
            epoch, after = taken.epoch, taken.after
            for row in taken.rows:
                if (row.uid, row.mid) not in self._held:
                    self._held.add((row.uid, row.mid))
                    await self._slots.acquire()
                    self._spawn(self._begin(HeldPush(index, row)), f"push {row.mid}")
            if not taken.more:
                try:
                    await asyncio.wait_for(awake.wait(), limits.PUSH_POLL_S)
                except TimeoutError:
                    pass

    async def _tell(self, index: int) -> None:
        ends, ended = self._ends[index], self._ended[index]
        while True:
            await ended.wait()
            ended.clear()
            await asyncio.sleep(GATHER_S)
            while batch := ends[:TOLD_AT_ONCE]:
                for entry, done in batch:
                    if done.final and entry.ahead:
                        entry.ahead = False
                        self._behind(entry.row.uid)
                try:
                    await self._count_tasks([entry for entry, done in batch if done.final])
                    await ask_shard(self._shards, index, FinishPushes([done for _, done in batch]))
                except CallError as error:
                    if error.refusal is Refusal.UNAVAILABLE:
                        await asyncio.sleep(RETRY_S)
                        continue
                    # The next start asks for them again; the others must not wait for that.
                    log.error("event=ends_refused shard=%d count=%d error=%r", index, len(batch), str(error))
                del ends[: len(batch)]
                self._held -= {(done.uid, done.mid) for _, done in batch if done.final}

    def _behind(self, uid: int) -> None:
        """The report of one more is on its way to the shard: questions after this one find it in the badge."""
        left = self._ahead.pop(uid) - 1
        if left:
            self._ahead[uid] = left

    async def _count_tasks(self, entries: list[HeldPush]) -> None:
        """What vendors took counts for the task that ordered it."""
        for entry in entries:
            if entry.sent and not entry.row.seq:
                await ask(self._shards, entry.row.mid, CountPushTask(entry.row.mid, sent=entry.sent))
                entry.sent = {}

    def _say(self, entry: HeldPush, *, final: bool) -> None:
        row = entry.row
        done = PushDone(row.uid, row.mid, entry.told, entry.gone, final and entry.shown, final)
        entry.told, entry.gone = [], []
        self._ends[entry.index].append((entry, done))
        self._ended[entry.index].set()

    def _finish(self, entry: HeldPush, why: str = "") -> None:
        """It is over; ``why`` when no vendor was asked."""
        entry.parcels = None
        if why:
            self._note(entry, 0, "", why)
            self.unsent += 1
        self._say(entry, final=True)

    def _note(self, entry: HeldPush, sn: int, channel: str, what: str) -> None:
        entry.told.append(PushTold(entry.row.mid, entry.row.uid, sn, channel, what, wall_ms()))

    # --- what is to be said -------------------------------------------------------------------------------------------------

    async def _begin(self, entry: HeldPush) -> None:
        try:
            ready = await self._prepare(entry)
        finally:
            self._slots.release()
        if ready:
            self._route(entry)

    async def _again(self, entry: HeldPush, seconds: float = RETRY_S) -> None:
        await asyncio.sleep(seconds)
        await self._slots.acquire()
        await self._begin(entry)

    async def _prepare(self, entry: HeldPush) -> bool:
        """Find out what goes to which device. False: it is over, or tried again later."""
        row = entry.row
        if wall_ms() - row.since_ms > limits.PUSH_AGE_MS:
            self._finish(entry, letters.TOO_OLD)
            return False
        if not entry.ahead:
            entry.ahead = True
            self._ahead[row.uid] += 1
        try:
            found = await self._decide(entry)
        except CallError as error:
            why = _LOST.get(error.refusal)
            if why is None:
                self._spawn(self._again(entry), f"push {row.mid} again")
            else:
                self._finish(entry, why)
            return False
        except Exception:
            log.exception("event=push_failed mid=%d uid=%d", row.mid, row.uid)
            found = "not pushed: the server failed on it, the log of the push process says why"
        if isinstance(found, str):
            self._finish(entry, found)
            return False
        facts, push = found
        app = facts.info.app
        entry.parcels = [
            Parcel((app, notifier), sn, token, push) for sn, notifier, token in facts.devices if sn not in entry.settled
        ]
        return True

    async def _decide(self, entry: HeldPush) -> tuple[PushFacts, Push] | str:
        """The recipient and their push, or why there is none. :raises CallError: they are gone, or a shard does not answer"""
        row, shards = entry.row, self._shards
        ahead = self._ahead[row.uid] - 1
        facts = await ask(shards, row.uid, GetPushFacts(row.uid, row.mid, row.peer, not row.seq))
        recipient, hour = letters.recipient(facts, ahead), time.localtime().tm_hour
        if not row.seq:
            task = await self._task(row.mid)
            if task is None or not facts.devices:
                return letters.UNBOUND if task else letters.NO_TASK
            order = decision.order(recipient, msgspec.json.decode(task.order), hour)
            return letters.UNWANTED if order is None else (facts, order)
        group = None
        if row.group:
            request = GetGroupPushFacts(row.peer, row.mid, row.uid)
            group = await ask(shards, row.peer, request)
        why = letters.missing(facts, group)
        if why:
            return why
        meta = facts.meta if group is None else group.meta
        name = facts.alias or (group.card if group is not None else "")
        name = name or await self._name(facts.info.app, letters.sender(meta))
        letter = letters.letter(meta, name, group is not None and group.from_admin)
        push = decision.decide(recipient, letters.conversation(facts, group), letter, hour)
        if push is None:
            return letters.UNWANTED
        return facts, msgspec.structs.replace(push, ext=letters.address(row))

    async def _task(self, task_id: int) -> PushTask | None:
        return await ask(self._shards, task_id, GetPushTask(task_id))

    async def _name(self, app: str, uid: int) -> str:
        """What a sender is called; the app for the server."""
        if not uid:
            return self._apps[app].name if app in self._apps else app
        name, until = self._names.get((app, uid), ("", 0.0))
        if monotonic() >= until:
            accounts = await ask(self._shards, uid, GetAccounts(app, [uid]))
            name = letters.name_of(accounts[0] if accounts else None)
            if len(self._names) >= NAMES_KEPT:
                self._names.clear()
            self._names[app, uid] = name, monotonic() + NAMES_KEPT_S
        return name

    # --- to vendors ---------------------------------------------------------------------------------------------------------

    def _route(self, entry: HeldPush) -> None:
        """To the channel of its next device, or to its end."""
        if not entry.parcels:
            self._finish(entry)
            return
        key = entry.parcels[0].key
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = Channel(key, self._work, self._spawn)
        channel.add(entry)

    async def _work(self, channel: Channel, entry: HeldPush) -> None:
        """Send the next parcel of an entry, which is this channel's."""
        if entry.parcels is None and not await self._prepare(entry):
            return
        if not entry.parcels or entry.parcels[0].key != channel.key:
            self._route(entry)  # their devices have changed meanwhile
            return
        parcel = entry.parcels[0]
        try:
            target = self._target(parcel)
        except ConfigError as error:
            name, outcome = "", PushOutcome(PushState.REFUSED, str(error))
        else:
            name = CHANNELS[target.notifier.provider]
            outcome = await self._send(target, entry, parcel)
        self.outcomes[outcome.state, name] += 1
        if outcome.state is PushState.LATER:
            if entry.waits != outcome.reason:
                entry.waits = outcome.reason
                self._note(entry, parcel.sn, name, f"waits, the vendor does not take it: {outcome.reason}")
                self._say(entry, final=False)
            if outcome.device:
                self._throttle(channel, entry, outcome.retry_after_s)
            else:
                channel.rest(outcome.retry_after_s, outcome.reason)
                channel.add(entry)
            return
        channel.worked()
        self._settle(entry, parcel, name, outcome)
        self._route(entry)

    def _throttle(self, channel: Channel, entry: HeldPush, seconds: float) -> None:
        """This device has had too many: its push waits, longer from try to try, and the others go on."""
        channel.worked()
        entry.parcels = None
        wait_s = max(seconds, min(seconds * 2**entry.throttled, limits.PUSH_RETRY_MAX_S))
        entry.throttled += 1
        self._spawn(self._again(entry, wait_s), f"push {entry.row.mid} again")

    async def _send(self, target: PushTarget, entry: HeldPush, parcel: Parcel) -> PushOutcome:
        started = monotonic()
        self._sending += 1
        try:
            return await self._vendors.send(target, parcel.push, str(entry.row.mid))
        except Exception:
            log.exception("event=push_failed mid=%d uid=%d", entry.row.mid, entry.row.uid)
            return PushOutcome(PushState.REFUSED, "the server failed on it, the log of the push process says why")
        finally:
            self._sending -= 1
            self.seconds.observe(monotonic() - started)

    def _settle(self, entry: HeldPush, parcel: Parcel, name: str, outcome: PushOutcome) -> None:
        assert entry.parcels
        del entry.parcels[0]
        entry.settled.add(parcel.sn)
        if outcome.state is PushState.SENT:
            entry.shown = True
            entry.sent[name] = entry.sent.get(name, 0) + 1
            what = "pushed"
        elif outcome.state is PushState.GONE:
            entry.gone.append(parcel.token)
            what = f"the vendor says the token is dead, it is unbound: {outcome.reason}"
        else:
            what = f"refused: {outcome.reason}"
        self._note(entry, parcel.sn, name, what)

    def _target(self, parcel: Parcel) -> PushTarget:
        """:raises ConfigError: there is no such notifier, or its secret cannot be read"""
        app, name = parcel.key
        notifier = next((it for it in self._notifiers.of(app) if it.name == name), None)
        if notifier is None:
            raise ConfigError(f"app {app} has no notifier {name}; `lanying-cluster notifier list` shows them")
        known = self._secrets.get(parcel.key)
        if known is None or known[0] != notifier:
            known = self._secrets[parcel.key] = notifier, self._notifiers.secret(notifier)
        return PushTarget(notifier, known[1], parcel.token)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("event=task_failed task=%r", task.get_name(), exc_info=error)
