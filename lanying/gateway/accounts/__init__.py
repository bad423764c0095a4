"""Accounts over REST.

``registration``         new accounts        ``user_cap``    how many an app may have
``sign_in``              tokens for a name and a password; change of the password
``code_logins``          tokens for a QR code or a secret    ``code_book``  short-lived secrets
``phones``               numbers, SMS and captchas           ``sms``        how a code reaches a phone
``handles``              names, numbers and aliases that lead to one user
``users``                profile, settings, devices of the caller
``user_administration``  what admin tokens may do with users
``discovery``            where the servers are, and whether they are up
"""
