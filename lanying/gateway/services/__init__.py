"""What handlers of all areas share; it knows no request.

``services``    all of it together
``file_store``  room, housekeeping
``uploads``     uploads under way
``objects``     where the bytes of files are: the local disk, or a ``bucket``
``media``       what a file is
``conversions`` thumbnails, covers, other formats: made by children
``decoder``     such a child
``bodies``      room for the bodies of requests
``guesses``     how often passwords and codes may be guessed
``user_cap``    how many users an app may have
``probes``      what one account may find out about others: budgets
``registrations``  new accounts: budgets
``wording``     reserved names and forbidden words
``sms``         how a code reaches a phone
"""
