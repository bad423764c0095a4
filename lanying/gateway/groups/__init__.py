"""Groups over REST.

``groups``   create, list, settings, owner and admins; the table of all calls of this room
``members``  lists, removal, bans, block list, own settings
``entry``    invitations, applications, QR codes (``codes``: the texts in them)
``items``    announcements and shared files
``context``  what these share: which group, who acts in it, rows and pages
"""
