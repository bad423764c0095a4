"""The ground: what every package may use, and what uses no other package.

- ``errors`` ``refusals``: what can go wrong: the exception tree, and every refusal with its codes and its remedy
- ``limits``: every limit, with its reason
- ``ids`` ``names`` ``tokens`` ``passwords`` ``private``:
  ids of users and messages, user names, access tokens, password hashes, files with secrets
- ``clock`` ``rate`` ``lag`` ``histogram`` ``figures``:
  time, how often something may happen, how late a loop is, durations in buckets, what a process counts
- ``budgets``: how much of everything one user may cause
- ``states``: state machines as tables
- ``logs`` ``log_file`` ``watched`` ``context``:
  the log of every process, users with a level of their own, and the request that a line belongs to
- ``acceptor`` ``peers`` ``places`` ``fair_queue`` ``throttle`` ``wheel`` ``goodbye``:
  taking connections, who a client is by address, a fair share of places and of work that waits, how fast they come, deadlines, the last
  thing a client hears
- ``texts`` ``jsons`` ``paths`` ``words``: text files, JSON of others, paths, the word filter
- ``failpoints``: named places where tests let a process die, stall or fail
- ``folding``: texts as they read, for lists of words and names
"""
