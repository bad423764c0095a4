"""A message lives and is read here.

- ``frames``: what clients ask for, and the answers
- ``author`` ``policy`` ``door``: who writes, whether they may, and what is let in of it
- ``delivery``: from an upload to everyone who gets it
- ``notices``: what users are notified of, and which notice replaces another
- ``message_kinds``: what is counted as what
- ``sync`` ``unread``: how devices get it: pull loops, the unread list
- ``history`` ``marks`` ``marking`` ``visible`` ``progress``:
  what a conversation shows, what is known about a message, and how far devices have come
- ``operations`` ``edits``: receipts, recalls, edits
- ``posting`` ``broadcasts``: what back ends send
"""
