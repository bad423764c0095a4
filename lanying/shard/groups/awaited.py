"""Posts to groups of other shards that are not answered yet (pure).

A post is a link message with a *ticket*, and so is the answer of the group's shard, which names the ticket: neither gets lost, so there
is no deadline, and a client is acknowledged when the answer is committed here. What this shard forgets, with a session that leaves or
a restart, its client sends again; the group's shard recognises the repetition by its client id, and answers it as before. An answer
nobody waits for is ignored.

Whoever posts over REST waits a limited time only: a post that is answered later has a client id for the repetition, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lanying.base import limits
from lanying.base.errors import Refused
from lanying.base.ids import message_time_ms
from lanying.base.refusals import Refusal
from lanying.bus.messages import GroupPosted, Message, Posted
from lanying.shard.chat.author import Answer, Author, InName
from lanying.shard.core.session import Session
from lanying.shard.core.work import Work


class AwaitedPosts:
    """Who is answered, by ticket.

    :ivar _posts: author and answer by ticket, oldest first
    :ivar _tickets: tickets by author; none without one
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._posts: dict[int, tuple[Author, Answer]] = {}
        self._tickets: dict[Author, set[int]] = {}
        self.links: dict[type[Message], Callable[[Any], object]] = {GroupPosted: self.answered}

    def __len__(self) -> int:
        return len(self._posts)

    def add(self, author: Author, answer: Answer) -> int:
        """The ticket of a post that is sent now. :raises Refused: too many are not answered yet"""
        work = self._work
        tickets = self._tickets.get(author, ())
        if len(tickets) >= limits.PARKED_SENDS or len(self._posts) >= limits.AWAITED_POSTS:
            raise Refused(Refusal.TOO_MANY_MESSAGES, "too many messages wait for the shards of their groups")
        ticket = work.next_mid()
        self._put(ticket, author, answer)
        work.undo((self._take, ticket))
        return ticket

    def answered(self, message: GroupPosted) -> None:
        """The group's shard has committed a post, or refused it."""
        answer = self._take(message.ticket)
        if answer is None:
            return
        if message.refusal:
            answer(Refused(Refusal.of_name(message.refusal), message.reason))
        else:
            answer(Posted(message.mid, message.time_ms, message.edit_ms))

    def forget(self, session: Session) -> None:
        """A session leaves: its client sends again what it has no answer to."""
        for ticket in tuple(self._tickets.get(session, ())):
            _, answer = self._posts[ticket]
            self._take(ticket)
            self._work.undo((self._put, ticket, session, answer))

    def step(self) -> None:
        """Once a second: answer REST posts that have waited long enough."""
        oldest = self._work.now_ms - int(limits.REST_POST_S * 1000)
        late: list[int] = []
        for ticket, (author, _) in self._posts.items():
            if message_time_ms(ticket) >= oldest:
                break
            if isinstance(author, InName):
                late.append(ticket)
        for ticket in late:
            answer = self._take(ticket)
            if answer is not None:
                answer(
                    Refused(Refusal.UNAVAILABLE, "the group's shard does not answer; try again with the same client id")
                )

    def _put(self, ticket: int, author: Author, answer: Answer) -> None:
        self._posts[ticket] = author, answer
        self._tickets.setdefault(author, set()).add(ticket)

    def _take(self, ticket: int) -> Answer | None:
        found = self._posts.pop(ticket, None)
        if found is None:
            return None
        author, answer = found
        tickets = self._tickets[author]
        tickets.remove(ticket)
        if not tickets:
            del self._tickets[author]
        return answer
