"""Announcements and shared files of a group."""

from __future__ import annotations

import json

import pytest

from lanying.base import limits
from lanying.bus import messages as m
from tests.shard.groups.world import ALL, N, World, line


def test_announcements(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.code(m.PublishAnnouncement, world.mary, "t", "c") == 20012
    assert world.ask_in(m.PublishAnnouncement, world.adam, "t", "one") == [1, world.adam, "t", "one", world.now_ms]
    assert world.told() == {N.ANNOUNCEMENT_UPDATED: line(ALL, "adam", "", "one")}
    world.ask_in(m.PublishAnnouncement, world.alice, "t", "two")
    assert [row[3] for row in world.ask_in(m.ListAnnouncements, world.mary)] == ["one", "two"]
    world.forget()
    assert world.code(m.ListAnnouncements, world.nora) == 20011
    assert world.code(m.DeleteAnnouncement, world.adam, 9) == 20020
    assert world.code(m.DeleteAnnouncement, world.mary, 1) == 20012
    world.ask_in(m.DeleteAnnouncement, world.adam, 1)
    assert world.told() == {N.ANNOUNCEMENT_UPDATED: line(ALL, "adam")}
    monkeypatch.setattr(limits, "GROUP_ANNOUNCEMENTS", 2)
    for text in ("three", "four"):
        world.ask_in(m.PublishAnnouncement, world.alice, "t", text)
    assert [row[::3] for row in world.ask_in(m.ListAnnouncements, world.mary)] == [[3, "three"], [4, "four"]]


def test_files(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    file = world.ask_in(m.ShareFile, world.mary, "a.txt", 12, "200", "http://x/?sign=1")
    assert file == [1, world.mary, "a.txt", 12, "200", "http://x/?sign=1", world.now_ms, world.now_ms]
    [content] = world.told()[N.FILE_UPLOADED]["content"]
    assert json.loads(content)["file_id"] == 1
    world.ask_in(m.ShareFile, world.max, "b.txt", 12, "", "u")
    world.forget()
    assert world.code(m.RenameFile, world.max, 1, "c.txt") == 20023
    assert world.code(m.RenameFile, world.max, 9, "c.txt") == 20022
    world.ask_in(m.RenameFile, world.mary, 1, "c.txt")
    assert world.told() == {N.FILE_UPDATED: line(ALL, "mary", "", '{"file_id":1,"name":"c.txt"}')}
    assert [row[2] for row in world.ask_in(m.ListFiles, world.adam)] == ["c.txt", "b.txt"]
    assert world.results(m.DeleteFiles, world.mary, [1, 2, 9]) == [200, 20023, 20022]
    assert world.told() == {N.FILE_DELETED: line(ALL, "mary", "", '{"file_list":[1]}')}
    assert world.results(m.DeleteFiles, world.adam, [2]) == [200]
    world.forget()
    monkeypatch.setattr(limits, "GROUP_FILES", 0)
    assert world.code(m.ShareFile, world.mary, "a.txt", 12, "", "u") == 20023
    assert world.code(m.ShareFile, world.nora, "a.txt", 12, "", "u") == 20011
