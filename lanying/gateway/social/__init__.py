"""Friends and blocks over REST.

``rosters``                the caller's list, requests, blocks
``roster_administration``  friendships that an admin makes
"""
