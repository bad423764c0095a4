"""What every request handler stands on.

``connection``   one HTTP connection and its limits
``front``        what every request passes on its way in and out
``endpoint``     a table row per path; what a handler gets and gives
``params``       parameters, read into the struct an endpoint takes; ``kinds`` says what values a field's type takes
``auth``         who is calling: tokens, admins acting as users
``first_call``   the shards as a request sees them: the first call checks the token
``batch``        many rows of one call
``error_codes``  REST codes that are also the HTTP status
``packing``      compressed answers
``metrics``      what is counted, and the figures of all processes; ``metrics_page`` serves them
``pages``        the web client and the administration page
``trust``        how devices come to trust the server's own authority; from http to https
"""
