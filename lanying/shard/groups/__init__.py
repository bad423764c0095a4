"""Everything with a group's id.

- ``records``: the group and its members as stored; who may do what
- ``timeline`` ``membership``: messages: on the group's shard, and on its members' shards
- ``awaited``: posts that the group's shard has not answered yet
- ``entry`` ``applications`` ``invitations``: the ways in
- ``members`` ``settings`` ``items``: members, properties, announcements and files
- ``reading``: who has read what
- ``notices``: what members are notified of
- ``handlers``: calls and link messages, as tables
"""
