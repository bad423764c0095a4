from __future__ import annotations

from lanying.shard.core.listed import PublicGroups


def test_pages_of_one_app_in_order() -> None:
    groups = PublicGroups()
    for gid in (5, 3, 9, 7):
        groups.add("app", gid)
    groups.add("other", 4)
    groups.remove("app", 9)
    groups.remove("nobody", 1)
    assert groups.page("app", 0, 2) == ([3, 5], 5)
    assert groups.page("app", 5, 2) == ([7], 0)
    assert groups.page("app", 1 << 70, 2) == ([], 0)
    groups.forget()
    assert (groups.page("app", 0, 2), groups.looked) == (([], 0), 0)
