"""``lanying-admin``: the asking side, which runs anywhere.

- ``cli``: the program
- ``session`` ``contexts``: which server it asks, and names for servers
- ``client``: one socket to an admin endpoint
- ``local``: commands that ask no server
- ``render``: results as tables
- ``repl``: the interactive console
"""
