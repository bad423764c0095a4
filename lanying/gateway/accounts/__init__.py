"""Accounts over REST.

``registration``         new accounts
``sign_in``              tokens for a name and a password; change of the password
``code_logins``          tokens for a QR code or a secret    ``code_book``  short-lived secrets
``phones``               numbers, SMS and captchas
``handles``              names, numbers and aliases that lead to one user
``push_bindings``        where pushes for the caller go: device tokens, alias, tags, badge
``users``                profile, settings, devices of the caller
``user_administration``  what admin tokens may do with users
``discovery``            where the servers are, and whether they are up
"""
