"""What users are.

- ``accounts``: the account: settings, state, good tokens
- ``devices`` ``logins`` ``push_tokens``: devices, their logins, and whose a vendor's token is
- ``roster``: contacts, requests, blocks
- ``files`` ``one_time_codes``: records of uploaded files; short-lived secrets
- ``handlers``: calls and link messages, as tables
"""
