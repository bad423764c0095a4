"""Other servers under the same load, as their packages from Debian install them.

``xmpp`` ``mqtt`` clients for the generator · ``hosts`` the servers, their configuration, how they are started ·
``turns`` runs of all of them in turns
"""
